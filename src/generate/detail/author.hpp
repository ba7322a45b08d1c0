// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "generate/detail/note.hpp"
#include "generate/detail/record.hpp"

namespace meridian::generate {

struct Symptom {
    std::string_view value, zh, en;
};
struct Presentation {
    std::span<const Symptom> present, denied;
    std::string_view complaint_zh, complaint_en;  ///< said when no listed symptom leads
};

/// A tumour's type: ICD-O-3 morphology and its names in reports.
struct HistologyWords {
    std::string_view code, zh, en;
};
HistologyWords histology_words(const CancerCourse& cancer);

/// What brings a person to this stay.
Presentation presentation_of(const Scene& scene);

/// Writes in the manner of one hospital: headings, punctuation, dates, sizes, negation, units.
class Author {
 public:
    Author(const Scene& scene, Random& random)
        : scene_(scene),
          person_(*scene.person),
          random_(random),
          style_(scene.hospital->style),
          english_(scene.hospital->english) {}

    Note note;

    const Scene& scene() const { return scene_; }
    const Person& person() const { return person_; }
    Random& random() { return random_; }
    bool english() const { return english_; }
    Style style() const { return style_; }

    Author& say(std::string_view zh, std::string_view en) {
        note.say(english_ ? en : zh);
        return *this;
    }
    void title(std::string_view zh, std::string_view en);
    void heading(std::string_view zh, std::string_view en, std::string_view abbreviation);
    void line() { note.say("\n"); }
    void comma() { note.say(english_ ? ", " : style_ == Style::zh_terse ? "," : "，"); }
    void stop() {
        note.say(english_ ? "." : style_ == Style::zh_terse ? ";" : "。");
        if (english_) note.end_sentence();
    }
    void date(std::string_view variable, Day day, std::string_view assertion = "present");
    std::string date_words(Day day) const;
    void person_line();
    void signature(std::string_view zh, std::string_view en);

    void size(int length_mm, int width_mm = 0);
    void site();         ///< "右肺上叶", "right upper lobe"
    void cancer_name();  ///< with diagnosis, histology, site
    void clinical_stage();
    void pathological_stage();
    Author& metastasis(Spread where, std::string_view assertion = "present");  ///< "脑转移"
    void symptoms(std::span<const Symptom> list, bool absent);
    void history();  ///< chronic diseases, their drugs, allergies
    void habits();
    void family();
    void examination();
    void laboratory();
    void disease(const Diagnosis& diagnosis);
    void main_diagnoses(bool pathological);
    void kidney_diagnoses();
    void surgery(ProcedureId id, std::string_view assertion);
    void drug_list();
    void drug_fact(DrugId id, std::string_view assertion = "present");
    void oncology_history(Day until);
    void kidney_history(Day until);
    Document finish(std::string_view zh, std::string_view en);

 private:
    void chronic_diseases();
    void denied_diseases();
    void allergy();

    const Scene& scene_;
    const Person& person_;
    Random& random_;
    Style style_;
    bool english_;
};

}  // namespace meridian::generate
