// SPDX-License-Identifier: Apache-2.0
#include "generate/detail/author.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace meridian::generate {
namespace {

std::string roman(std::string_view group) {
    // ⅠA2, ⅡB, ⅢA, ⅣB: one sign instead of letters, as in many Chinese hospitals.
    const std::size_t letters = group.find_first_not_of("IV");
    const std::string_view number = group.substr(0, letters);
    const std::string_view sign = number == "I"     ? "Ⅰ"
                                  : number == "II"  ? "Ⅱ"
                                  : number == "III" ? "Ⅲ"
                                                    : "Ⅳ";
    return std::string(sign).append(letters == std::string_view::npos ? "" : group.substr(letters));
}

std::string decimal_words(double value, int places) {
    std::string text;
    JsonWriter::append_decimal(text, value, places);
    return text;
}

/// 35 mm → "3.5", 30 mm → "3.0".
std::string centimetres(int mm) {
    return decimal_words(mm / 10.0, 1);
}

struct LabWords {
    LabId id;
    std::string_view variable, unit, zh_long, zh_short, en_long, en_short, printed_unit;
};
constexpr LabWords lab_words[] = {
    {lab_hemoglobin, "hemoglobin", "g/L", "血红蛋白", "Hb", "Hemoglobin", "Hb", "g/L"},
    {lab_wbc, "wbc", "10*9/L", "白细胞", "WBC", "White cell count", "WBC", "×10^9/L"},
    {lab_platelet, "platelet", "10*9/L", "血小板", "PLT", "Platelets", "Plt", "×10^9/L"},
    {lab_creatinine, "creatinine", "umol/L", "血肌酐", "Cr", "Creatinine", "Cr", "umol/L"},
    {lab_egfr, "egfr_rate", "mL/min/{1.73_m2}", "eGFR", "eGFR", "eGFR", "eGFR", "mL/min/1.73m2"},
    {lab_alt, "alt", "U/L", "谷丙转氨酶", "ALT", "ALT", "ALT", "U/L"},
    {lab_uacr, "uacr", "mg/g", "尿白蛋白肌酐比", "UACR", "Urine albumin/creatinine ratio", "UACR",
     "mg/g"},
    {lab_cea, "cea", "ng/mL", "癌胚抗原", "CEA", "CEA", "CEA", "ng/mL"},
    {lab_nse, "nse", "ng/mL", "神经元特异性烯醇化酶", "NSE", "NSE", "NSE", "ng/mL"},
    {lab_ca153, "ca153", "U/mL", "糖类抗原15-3", "CA15-3", "CA 15-3", "CA15-3", "U/mL"},
    {lab_ca199, "ca199", "U/mL", "糖类抗原19-9", "CA19-9", "CA 19-9", "CA19-9", "U/mL"},
};

/// Where a tumour has spread to: value of the data point `metastasis_site`, also its English name.
struct SpreadWords {
    std::string_view value, zh;
};
const SpreadWords& spread_words(Spread where) {
    static constexpr SpreadWords words[] = {
        {"", ""},       {"brain", "脑"},    {"bone", "骨"},          {"liver", "肝"},
        {"lung", "肺"}, {"pleura", "胸膜"}, {"lymph_node", "淋巴结"}};
    return words[static_cast<int>(where)];
}

/// Value of the data point `comorbidity` for an ICD-10 code, empty when it is none of its list.
std::string_view comorbidity_of(std::string_view icd10) {
    static constexpr std::string_view list[] = {"I10", "E11", "E78", "I25", "I21",
                                                "I63", "J44", "J18", "M10", "K80"};
    for (std::string_view code : list)
        if (icd10.starts_with(code)) return code;
    return {};
}

}  // namespace

HistologyWords histology_words(const CancerCourse& cancer) {
    switch (cancer.histology) {
        case Histology::squamous:
            return {"8070/3", "鳞状细胞癌", "squamous cell carcinoma"};
        case Histology::small_cell:
            return {"8041/3", "小细胞癌", "small cell carcinoma"};
        case Histology::ductal:
            return {"8500/3", "浸润性导管癌", "invasive ductal carcinoma"};
        case Histology::lobular:
            return {"8520/3", "浸润性小叶癌", "invasive lobular carcinoma"};
        default:
            return {"8140/3", "腺癌", "adenocarcinoma"};
    }
}

std::string Author::date_words(Day day) const {
    static constexpr std::string_view months[] = {"January",   "February", "March",    "April",
                                                  "May",       "June",     "July",     "August",
                                                  "September", "October",  "November", "December"};
    const CivilDate date = civil(day);
    switch (style_) {
        case Style::zh_classic:
            return fmt::format("{}年{}月{}日", date.year, date.month, date.day);
        case Style::zh_brackets:
            return date_text(day);
        case Style::zh_terse:
            return fmt::format("{}.{}.{}", date.year, date.month, date.day);
        case Style::en_prose:
            return fmt::format("{} {} {}", date.day, months[date.month - 1], date.year);
        case Style::en_short:
            return fmt::format("{}/{}/{}", date.month, date.day, date.year);
    }
    return {};
}

void Author::date(std::string_view variable, Day day, std::string_view assertion) {
    const std::size_t start = note.here();
    note.identifier("DATE", date_words(day));
    if (!variable.empty()) note.mark(variable, date_text(day), start, assertion);
}

void Author::title(std::string_view zh, std::string_view en) {
    note.identifier("HOSPITAL", english_ ? scene_.hospital->en : scene_.hospital->zh);
    switch (style_) {
        case Style::zh_classic:
            note.say("\n").say(zh).say("\n");
            break;
        case Style::zh_brackets:
            note.say(" ").say(zh).say("\n");
            break;
        case Style::zh_terse:
            note.say("　").say(zh).say("\n");
            break;
        case Style::en_prose: {
            std::string upper(en);
            std::transform(upper.begin(), upper.end(), upper.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
            note.say("\n").say(upper).say("\n");
            break;
        }
        case Style::en_short:
            note.say(" - ").say(en).say("\n");
            break;
    }
}

void Author::heading(std::string_view zh, std::string_view en, std::string_view abbreviation) {
    switch (style_) {
        case Style::zh_classic:
            note.say(zh).say("：");
            break;
        case Style::zh_brackets:
            note.say("【").say(zh).say("】");
            break;
        case Style::zh_terse:
            note.say(zh).say(":");
            break;
        case Style::en_prose: {
            std::string upper(en);
            std::transform(upper.begin(), upper.end(), upper.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
            note.say(upper).say(":\n");
            break;
        }
        case Style::en_short:
            note.say(abbreviation).say(": ");
            break;
    }
    if (english_) note.start_sentence();
}

void Author::person_line() {
    const std::string name = english_               ? person_.name.full_latin()
                             : person_.name.english ? person_.name.full()
                                                    : person_.name.full();
    const int age = std::max(0, person_.age(scene_.day));
    const std::string_view age_kind = age >= 90 ? "AGE90" : "";
    auto years = [&](std::string words) {
        if (age_kind.empty())
            note.say(words);
        else
            note.identifier(age_kind, words);
    };
    switch (style_) {
        case Style::zh_classic:
            note.say("姓名：")
                .identifier("NAME", name)
                .say(person_.male ? "　性别：男　年龄：" : "　性别：女　年龄：");
            years(fmt::format("{}岁", age));
            note.say("　病历号：").identifier("MRN", scene_.number).say("\n");
            break;
        case Style::zh_brackets:
            note.say("【姓名】")
                .identifier("NAME", name)
                .say(person_.male ? "【性别】男【年龄】" : "【性别】女【年龄】");
            years(fmt::format("{}岁", age));
            note.say("【编号】").identifier("MRN", scene_.number).say("\n");
            break;
        case Style::zh_terse:
            note.identifier("NAME", name).say(person_.male ? " 男 " : " 女 ");
            years(fmt::format("{}岁", age));
            note.say(" ID").identifier("MRN", scene_.number).say("\n");
            break;
        case Style::en_prose:
            note.say("Patient: ")
                .identifier("NAME", name)
                .say(". Sex: ")
                .say(person_.male ? "male" : "female")
                .say(". Age: ");
            years(fmt::format("{} years", age));
            note.say(". Record number: ").identifier("MRN", scene_.number).say(".\n");
            break;
        case Style::en_short:
            note.identifier("NAME", name).say(person_.male ? " / M / " : " / F / ");
            years(fmt::format("{}y", age));
            note.say(" / MRN ").identifier("MRN", scene_.number).say("\n");
            break;
    }
}

void Author::signature(std::string_view zh, std::string_view en) {
    const std::string name =
        english_ ? scene_.doctor->name.full_latin() : scene_.doctor->name.full();
    say(zh, en).note.identifier("NAME", name);
    note.say("\n");
}

void Author::size(int length_mm, int width_mm) {
    std::string words;
    switch (style_) {
        case Style::zh_classic:
            words = width_mm
                        ? fmt::format("{}cm×{}cm", centimetres(length_mm), centimetres(width_mm))
                        : fmt::format("{}cm", centimetres(length_mm));
            break;
        case Style::zh_brackets:
            words = width_mm ? fmt::format("{}mm×{}mm", length_mm, width_mm)
                             : fmt::format("{}mm", length_mm);
            break;
        case Style::zh_terse:
            words = width_mm ? fmt::format("{}*{}cm", centimetres(length_mm), centimetres(width_mm))
                             : fmt::format("{}cm", centimetres(length_mm));
            break;
        case Style::en_prose:
            words = width_mm
                        ? fmt::format("{} x {} cm", centimetres(length_mm), centimetres(width_mm))
                        : fmt::format("{} cm", centimetres(length_mm));
            break;
        case Style::en_short:
            words = width_mm ? fmt::format("{}x{} mm", length_mm, width_mm)
                             : fmt::format("{} mm", length_mm);
            break;
    }
    std::vector<Note::Attribute> attributes;
    if (width_mm) attributes.push_back({"dims", fmt::format("{}x{}", length_mm, width_mm)});
    note.measure("tumor_size", fmt::format("{}", length_mm), "mm", words, std::move(attributes));
}

void Author::site() {
    const auto& cancer = person_.cancer;
    const std::size_t start = note.here();
    if (cancer.site == Site::lung) {
        static constexpr std::string_view zh[] = {"右肺上叶", "右肺中叶", "右肺下叶", "左肺上叶",
                                                  "左肺下叶"};
        static constexpr std::string_view en[] = {"right upper lobe", "right middle lobe",
                                                  "right lower lobe", "left upper lobe",
                                                  "left lower lobe"};
        static constexpr std::string_view abbreviated[] = {"RUL", "RML", "RLL", "LUL", "LLL"};
        static constexpr std::string_view codes[] = {"C34.1", "C34.2", "C34.3", "C34.1", "C34.3"};
        const int lobe = static_cast<int>(cancer.lobe);
        note.say(english_ ? (style_ == Style::en_short ? abbreviated[lobe] : en[lobe]) : zh[lobe]);
        note.mark("body_site", codes[lobe], start);
        note.mark("laterality", cancer.left ? "left" : "right", start);
        return;
    }
    if (cancer.site == Site::breast) {
        const std::size_t side = note.here();
        say(cancer.left ? "左" : "右", cancer.left ? "left" : "right");
        note.mark("laterality", cancer.left ? "left" : "right", side);
        say("乳", " breast ");
        const std::size_t quadrant = note.here();
        say("外上象限", "upper outer quadrant");
        note.mark("body_site", "C50.4", quadrant);
        return;
    }
    const std::string_view code = cancer.diagnosis->icd10.code;
    static constexpr struct {
        std::string_view code, zh, en;
    } parts[] = {{"C18.0", "盲肠", "cecum"},
                 {"C18.2", "升结肠", "ascending colon"},
                 {"C18.4", "横结肠", "transverse colon"},
                 {"C18.6", "降结肠", "descending colon"},
                 {"C18.7", "乙状结肠", "sigmoid colon"},
                 {"C20", "直肠", "rectum"}};
    for (const auto& part : parts)
        if (part.code == code) {
            say(part.zh, part.en);
            // The list of sites has no code for the rectum: the diagnosis says it.
            if (code != "C20") note.mark("body_site", code, start);
        }
}

void Author::cancer_name() {
    const auto& cancer = person_.cancer;
    const auto words = histology_words(cancer);
    const std::size_t start = note.here();
    const std::string_view category = cancer.site == Site::lung ? "C34"
                                      : cancer.site == Site::breast
                                          ? "C50"
                                          : cancer.diagnosis->icd10.code.substr(0, 3);
    if (english_) {
        if (cancer.site == Site::lung) {
            note.say("lung ").fact("histology", words.code, words.en);
            note.mark("diagnosis", category, start);
            note.say(" of the ");
            site();
        } else if (cancer.site == Site::breast) {
            note.fact("histology", words.code, words.en).say(" of the ");
            const std::size_t side = note.here();
            note.say(cancer.left ? "left" : "right");
            note.mark("laterality", cancer.left ? "left" : "right", side);
            note.say(" breast");
            note.mark("diagnosis", category, start);
        } else {
            note.fact("histology", words.code, words.en).say(" of the ");
            site();
            note.mark("diagnosis", category, start);
        }
        return;
    }
    if (cancer.site == Site::breast) {
        const std::size_t side = note.here();
        note.say(cancer.left ? "左" : "右");
        note.mark("laterality", cancer.left ? "left" : "right", side);
        note.say("乳");
    } else {
        site();
    }
    note.fact("histology", words.code, words.zh);
    note.mark("diagnosis", category, start);
}

void Author::clinical_stage() {
    const auto& cancer = person_.cancer;
    note.say(english_ ? " (" : style_ == Style::zh_classic ? "（" : " ");
    note.fact("t_category", fmt::format("cT{}", cancer.t), fmt::format("cT{}", cancer.t));
    note.fact("n_category", fmt::format("cN{}", cancer.n), fmt::format("N{}", cancer.n));
    note.fact("m_category", fmt::format("cM{}", cancer.m), fmt::format("M{}", cancer.m));
    note.say(english_                      ? ", stage "
             : style_ == Style::zh_classic ? "，"
             : style_ == Style::zh_terse   ? ","
                                           : " ");
    note.fact("stage_group", cancer.group,
              style_ == Style::zh_classic ? roman(cancer.group) : std::string(cancer.group));
    note.say(english_ ? ")" : style_ == Style::zh_classic ? "期）" : "期");
}

void Author::pathological_stage() {
    const auto& cancer = person_.cancer;
    note.fact("t_category", fmt::format("pT{}", cancer.pt), fmt::format("pT{}", cancer.pt));
    note.fact("n_category", fmt::format("pN{}", cancer.pn), fmt::format("N{}", cancer.pn));
    note.say(english_ ? ", stage " : style_ == Style::zh_classic ? "，" : " ");
    note.fact("stage_group", cancer.pgroup,
              style_ == Style::zh_classic ? roman(cancer.pgroup) : std::string(cancer.pgroup));
    if (!english_) note.say("期");
}

Author& Author::metastasis(Spread where, std::string_view assertion) {
    const SpreadWords& words = spread_words(where);
    note.fact(
        "metastasis_site", words.value,
        english_ ? fmt::format("{} metastasis", words.value) : fmt::format("{}转移", words.zh),
        assertion);
    return *this;
}

void Author::symptoms(std::span<const Symptom> list, bool absent) {
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (i > 0) {
            if (style_ == Style::zh_terse)
                note.say(",");
            else if (!english_)
                note.say("、");
            else
                note.say(i + 1 == list.size() ? (absent ? " or " : " and ") : ", ");
        }
        note.fact("symptom", list[i].value, english_ ? list[i].en : list[i].zh,
                  absent ? "absent" : "present");
        if (style_ == Style::zh_terse) note.say(absent ? "(-)" : "(+)");
    }
}

void Author::drug_fact(DrugId id, std::string_view assertion) {
    const Drug& kind = drug(id);
    const std::string_view words = english_ ? kind.en : kind.zh;
    struct Class {
        DrugId id;
        std::string_view variable, value;
    };
    static constexpr Class classes[] = {{drug_gefitinib, "targeted_therapy", "gefitinib"},
                                        {drug_osimertinib, "targeted_therapy", "osimertinib"},
                                        {drug_alectinib, "targeted_therapy", "alectinib"},
                                        {drug_trastuzumab, "targeted_therapy", "trastuzumab"},
                                        {drug_bevacizumab, "targeted_therapy", "bevacizumab"},
                                        {drug_pembrolizumab, "immunotherapy", "pembrolizumab"},
                                        {drug_letrozole, "endocrine_therapy", "letrozole"},
                                        {drug_tamoxifen, "endocrine_therapy", "tamoxifen"},
                                        {drug_pemetrexed, "chemotherapy", "pemetrexed"},
                                        {drug_cisplatin, "chemotherapy", "cisplatin"},
                                        {drug_carboplatin, "chemotherapy", "carboplatin"},
                                        {drug_oxaliplatin, "chemotherapy", "oxaliplatin"},
                                        {drug_paclitaxel, "chemotherapy", "paclitaxel"},
                                        {drug_docetaxel, "chemotherapy", "docetaxel"},
                                        {drug_etoposide, "chemotherapy", "etoposide"},
                                        {drug_capecitabine, "chemotherapy", "capecitabine"},
                                        {drug_irinotecan, "chemotherapy", "irinotecan"},
                                        {drug_fluorouracil, "chemotherapy", "fluorouracil"},
                                        {drug_leucovorin, "chemotherapy", "leucovorin"},
                                        {drug_cyclophosphamide, "chemotherapy", "cyclophosphamide"},
                                        {drug_epirubicin, "chemotherapy", "epirubicin"}};
    for (const auto& known : classes)
        if (known.id == id) {
            note.fact(known.variable, known.value, words, assertion);
            return;
        }
    note.fact("medication", kind.id, words, assertion);
}

void Author::history() {
    chronic_diseases();
    denied_diseases();
    allergy();
}

void Author::chronic_diseases() {
    const Day day = scene_.admitted;
    struct Chronic {
        Day onset;
        std::string_view code, zh, en, en_short;
        DrugId drug;
    };
    const Chronic list[] = {
        {person_.hypertension, "I10", "高血压", "hypertension", "HTN", person_.pressure_drugs[0]},
        {person_.diabetes, "E11", "2型糖尿病", "type 2 diabetes", "T2DM",
         person_.gfr(day) >= 30 ? drug_metformin : drug_insulin_glargine},
        {person_.dyslipidaemia, "E78", "高脂血症", "hyperlipidemia", "hyperlipidemia",
         person_.number % 2 ? drug_atorvastatin : drug_rosuvastatin},
        {person_.coronary, "I25", "冠心病", "coronary artery disease", "CAD", drug_aspirin},
        {person_.copd, "J44", "慢性阻塞性肺疾病", "COPD", "COPD", drug_tiotropium},
        {person_.gout, "M10", "痛风", "gout", "gout", drug_febuxostat}};
    bool any = false;
    for (const auto& item : list) {
        if (item.onset > day) continue;
        if (any) comma();
        any = true;
        const int years = std::max(1, years_between(item.onset, day));
        if (style_ == Style::zh_terse) {
            note.fact("comorbidity", item.code, item.zh).say(fmt::format("(+){}年,", years));
            drug_fact(item.drug);
        } else if (!english_) {
            note.fact("comorbidity", item.code, item.zh)
                .say(fmt::format("{}年{}", years,
                                 style_ == Style::zh_classic ? "，口服" : "，规律使用"));
            drug_fact(item.drug);
        } else {
            note.fact("comorbidity", item.code,
                      style_ == Style::en_short ? item.en_short : item.en);
            note.say(style_ == Style::en_short ? fmt::format(" x{}y on ", years)
                                               : fmt::format(" for {} year{}, treated with ", years,
                                                             years == 1 ? "" : "s"));
            drug_fact(item.drug);
        }
    }
    if (any) stop();
}

void Author::denied_diseases() {
    const Day day = scene_.admitted;
    struct Denied {
        bool has;
        std::string_view code, zh, en;
    };
    const Denied denied[] = {{person_.hypertension <= day, "I10", "高血压", "hypertension"},
                             {person_.diabetes <= day, "E14", "糖尿病", "diabetes"},
                             {person_.coronary <= day, "I25", "冠心病", "coronary artery disease"}};
    bool first = true;
    for (const auto& item : denied) {
        if (item.has) continue;
        if (first) {
            if (english_)
                note.say(style_ == Style::en_short ? "No " : "No history of ");
            else if (style_ != Style::zh_terse)
                note.say(style_ == Style::zh_classic ? "否认" : "无");
        } else if (english_) {
            note.say(" or ");
        } else {
            note.say(style_ == Style::zh_terse ? "," : "、");
        }
        first = false;
        note.fact("comorbidity", item.code, english_ ? item.en : item.zh, "absent");
        if (style_ == Style::zh_terse) note.say("(-)");
    }
    if (!first) {
        if (!english_ && style_ != Style::zh_terse) note.say("病史");
        stop();
    }
}

void Author::allergy() {
    if (person_.penicillin_allergy) {
        say("对", "Allergic to ")
            .note.fact("allergy", "penicillin", english_ ? "penicillin" : "青霉素");
        say("过敏", "");
    } else if (person_.contrast_allergy) {
        say("对", "Allergic to ")
            .note.fact("allergy", "iodinated_contrast",
                       english_ ? "iodinated contrast" : "碘对比剂");
        say("过敏", "");
    } else {
        if (english_)
            note.say(style_ == Style::en_short ? "No known " : "There are no known ")
                .fact("allergy", "drug", "drug allergies", "absent");
        else
            note.say("否认").fact("allergy", "drug", "药物过敏", "absent").say("史");
    }
    stop();
}

void Author::habits() {
    using S = Person::Smoking;
    if (person_.smoking == S::none) {
        if (english_)
            note.fact("smoking_status", "never",
                      style_ == Style::en_short ? "Non-smoker" : "Never smoked");
        else
            note.fact("smoking_status", "never",
                      style_ == Style::zh_classic ? "不吸烟" : "无吸烟史");
        stop();
        return;
    }
    const std::size_t start = note.here();
    const double packs = person_.cigarettes_per_day * person_.smoked_years / 20.0;
    const bool former = person_.smoking == S::former;
    if (english_) {
        if (style_ == Style::en_short)
            note.say(fmt::format("{} {}/day x {}y", former ? "Ex-smoker" : "Smoker",
                                 person_.cigarettes_per_day, person_.smoked_years));
        else
            note.say(fmt::format("{} {} cigarettes a day for {} years",
                                 former ? "Formerly smoked" : "Smokes", person_.cigarettes_per_day,
                                 person_.smoked_years));
    } else {
        note.say(fmt::format("吸烟{}年，每日{}支，{}", person_.smoked_years,
                             person_.cigarettes_per_day, former ? "已戒烟" : "未戒"));
    }
    note.mark("smoking_status", former ? "former" : "current", start);
    const bool whole = packs == std::floor(packs);
    note.mark("pack_years",
              decimal_words(packs, whole                                  ? 0
                                   : packs * 10 == std::floor(packs * 10) ? 1
                                                                          : 2),
              start, "present", {}, true, "{pack-years}");
    stop();
}

void Author::family() {
    if (person_.family_cancer) {
        if (english_)
            note.say("Father had ")
                .fact("family_history_cancer", "C16", "gastric cancer", "family",
                      {{"relation", "father"}});
        else
            note.say("父亲患").fact("family_history_cancer", "C16", "胃癌", "family",
                                    {{"relation", "father"}});
    } else {
        if (english_)
            note.say("No family history of ")
                .fact("family_history_cancer", "any", "cancer", "absent");
        else
            note.say("否认家族").fact("family_history_cancer", "any", "肿瘤", "absent").say("史");
    }
    stop();
}

void Author::examination() {
    const std::string value = fmt::format("{}/{}", scene_.systolic, scene_.diastolic);
    const std::string words =
        english_ ? (style_ == Style::en_short ? "BP " + value : "Blood pressure " + value + " mmHg")
        : style_ == Style::zh_classic ? "血压" + value + "mmHg"
                                      : "BP " + value + "mmHg";
    note.fact("blood_pressure", value, words);
    comma();
    const std::string pulse = fmt::format("{}", scene_.pulse);
    if (english_)
        note.say(style_ == Style::en_short ? "HR " : "heart rate ")
            .say(pulse)
            .say(style_ == Style::en_short ? "" : " per minute");
    else
        note.say(style_ == Style::zh_classic ? "心率" : "HR").say(pulse).say("次/分");
    if (person_.cancer.any() && scene_.admitted >= person_.cancer.found && scene_.inpatient &&
        scene_.kind >= AdmissionKind::cancer_workup) {
        comma();
        const int score = scene_.kind == AdmissionKind::terminal_cancer ? 4 : person_.cancer.ecog;
        if (english_)
            note.measure("ecog", fmt::format("{}", score), "{score}",
                         fmt::format("ECOG {}", score));
        else
            note.measure("ecog", fmt::format("{}", score), "{score}",
                         fmt::format("ECOG评分{}分", score));
    }
    stop();
}

void Author::laboratory() {
    bool any = false;
    for (const auto& words : lab_words) {
        const Measured& measured = (*scene_.labs)[words.id];
        if (!measured.known || measured.day < scene_.admitted || measured.day > scene_.day)
            continue;
        const Lab& kind = lab(words.id);
        const bool us = scene_.hospital->us_units && !kind.us_loinc.empty();
        const std::string printed = decimal_words(measured.value * (us ? kind.us_factor : 1),
                                                  us ? kind.us_places : kind.places);
        // The truth is normalised: g/dL × 10, mg/dL × 88.4 with one decimal (docs/region.md).
        std::string normal = printed;
        if (us && words.id == lab_creatinine) normal = decimal_words(std::stod(printed) * 88.4, 1);
        if (us && words.id == lab_hemoglobin) normal = decimal_words(std::stod(printed) * 10, 0);
        if (any) comma();
        any = true;
        const std::string_view unit = us ? kind.us_unit : words.printed_unit;
        switch (style_) {
            case Style::zh_classic:
                note.say(words.zh_long).say(" ");
                break;
            case Style::zh_brackets:
                note.say(words.zh_short).say(" ");
                break;
            case Style::zh_terse:
                note.say(words.zh_short);
                break;
            case Style::en_prose:
                note.say(words.en_long).say(" ");
                break;
            case Style::en_short:
                note.say(words.en_short).say(" ");
                break;
        }
        note.measure(words.variable, normal, words.unit, printed);
        note.say(english_ ? " " : "").say(unit);
    }
    if (any) stop();
}

void Author::disease(const Diagnosis& diagnosis) {
    const std::string_view value = comorbidity_of(diagnosis.icd10.code);
    struct Words {
        std::string_view code, zh, en;
    };
    static constexpr Words words[] = {{"I10", "高血压", "hypertension"},
                                      {"E11", "2型糖尿病", "type 2 diabetes"},
                                      {"E78", "高脂血症", "hyperlipidemia"},
                                      {"I25", "冠心病", "coronary artery disease"},
                                      {"I21", "急性心肌梗死", "acute myocardial infarction"},
                                      {"I63", "脑梗死", "cerebral infarction"},
                                      {"J44", "慢性阻塞性肺疾病", "COPD"},
                                      {"J18", "肺炎", "pneumonia"},
                                      {"M10", "痛风", "gout"},
                                      {"K80", "胆囊结石", "gallstones"}};
    for (const auto& item : words)
        if (item.code == value) {
            note.fact("comorbidity", value, english_ ? item.en : item.zh);
            if (diagnosis.icd10.code == "J44.1") say("急性加重", " with acute exacerbation");
            return;
        }
    struct Other {
        std::string_view code, en;
    };
    static constexpr Other others[] = {
        {"K35.8", "acute appendicitis"},     {"I20.0", "unstable angina"},
        {"S52.5", "distal radius fracture"}, {"S72.0", "femoral neck fracture"},
        {"H25.9", "senile cataract"},        {"O80.9", "spontaneous vaginal delivery"},
        {"O82.9", "delivery by operation"}};
    for (const auto& item : others)
        if (item.code == diagnosis.icd10.code) {
            // 剖宫产 is itself an operation of the list, so the diagnosis names the delivery only.
            say(item.code == "O82.9" ? std::string_view("手术分娩") : diagnosis.icd10.zh, item.en);
            return;
        }
    say(diagnosis.icd10.zh, diagnosis.icd10.en);
}

void Author::kidney_diagnoses() {
    const auto& kidney = person_.kidney;
    struct Cause {
        std::string_view value, zh, en;
    };
    static constexpr Cause causes[] = {{"", "", ""},
                                       {"E11.2", "2型糖尿病肾病", "diabetic nephropathy"},
                                       {"I12", "高血压肾病", "hypertensive nephropathy"},
                                       {"N03", "慢性肾小球肾炎", "chronic glomerulonephritis"},
                                       {"N02.8", "IgA肾病", "IgA nephropathy"}};
    const auto& cause = causes[static_cast<int>(kidney.cause)];
    note.fact("diagnosis", cause.value, english_ ? cause.en : cause.zh);
    comma();
    note.fact("diagnosis", "N18",
              english_ ? (style_ == Style::en_short ? "CKD" : "chronic kidney disease")
              : style_ == Style::zh_terse ? "CKD"
                                          : "慢性肾脏病");
    note.say(english_ ? " stage " : "");
    const std::string stage(gfr_category(person_.gfr(scene_.admitted)));
    note.fact("ckd_stage", stage, stage);
    if (!english_) note.say("期");
}

void Author::main_diagnoses(bool pathological) {
    using A = AdmissionKind;
    const auto kind = scene_.kind;
    if (kind == A::cancer_workup && !pathological && person_.cancer.site == Site::lung) {
        site();
        say("占位", " mass");
    } else if (kind == A::cancer_workup || kind == A::cancer_surgery ||
               kind == A::cancer_recurrence || kind == A::terminal_cancer) {
        cancer_name();
        if (kind == A::cancer_surgery && pathological && !person_.cancer.pt.empty()) {
            note.say(english_ ? " (" : style_ == Style::zh_classic ? "（" : " ");
            pathological_stage();
            note.say(english_ ? ")" : style_ == Style::zh_classic ? "）" : "");
        } else {
            clinical_stage();
        }
    } else if (kind == A::kidney_biopsy || kind == A::fistula || kind == A::dialysis_start ||
               kind == A::transplant) {
        kidney_diagnoses();
    } else {
        static const Diagnosis* const main[] = {
            &dx::pneumonia,         &dx::appendicitis, &dx::gallstones,      &dx::stroke,
            &dx::infarction,        &dx::angina,       &dx::radius_fracture, &dx::hip_fracture,
            &dx::copd_exacerbation, &dx::cataract,     &dx::delivery,        &dx::cesarean,
            &dx::diabetes};
        disease(kind == A::terminal ? dx::pneumonia : *main[static_cast<int>(kind)]);
    }
    const Day day = scene_.admitted;
    auto also = [&](Day onset, const Diagnosis& diagnosis, bool shown) {
        if (onset > day || shown) return;
        comma();
        disease(diagnosis);
    };
    also(person_.hypertension, dx::hypertension, false);
    also(person_.diabetes, dx::diabetes, kind == A::diabetes_control);
    also(person_.coronary, dx::coronary, false);
    stop();
}

void Author::surgery(ProcedureId id, std::string_view assertion) {
    const ProcedureKind& kind = procedure(id);
    if (id == proc_kidney_transplant) {
        note.fact(
            "kidney_transplant", person_.kidney.living_donor ? "living_donor" : "deceased_donor",
            english_ ? (person_.kidney.living_donor ? "living donor kidney transplant"
                                                    : "deceased donor kidney transplant")
                     : (person_.kidney.living_donor ? "亲属活体供肾肾移植术" : "尸体供肾肾移植术"),
            assertion);
        return;
    }
    if (id == proc_kidney_biopsy) {
        note.fact("kidney_biopsy", "performed", english_ ? "kidney biopsy" : "肾穿刺活检",
                  assertion);
        return;
    }
    if (id == proc_hemodialysis || id == proc_peritoneal_dialysis) {
        note.fact("dialysis_modality", id == proc_hemodialysis ? "HD" : "PD",
                  english_ ? (id == proc_hemodialysis ? "hemodialysis" : "peritoneal dialysis")
                           : kind.local.zh,
                  assertion);
        return;
    }
    const std::string_view value =
        kind.variable.empty() ? std::string_view("other") : kind.variable;
    struct English {
        ProcedureId id;
        std::string_view words;
    };
    static constexpr English in_english[] = {
        {proc_lung_lobectomy, "thoracoscopic lobectomy"},
        {proc_pci, "PCI"},
        {proc_hd_catheter, "dialysis catheter placement"},
        {proc_av_fistula, "AV fistula creation"},
        {proc_cesarean, "cesarean section"},
        {proc_appendectomy, "laparoscopic appendectomy"},
        {proc_cholecystectomy, "laparoscopic cholecystectomy"}};
    std::string words(kind.local.en);
    for (char& c : words) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (words.starts_with("ct-")) words.replace(0, 2, "CT");
    for (const auto& known : in_english)
        if (known.id == id) words = known.words;
    note.fact("surgery", value, english_ ? std::string_view(words) : kind.local.zh, assertion);
    if (id == proc_lung_lobectomy) {
        say("及", " with ")
            .note.fact("surgery", "lymph_node_dissection",
                       english_ ? "lymph node dissection" : "淋巴结清扫术", assertion);
    }
}

void Author::drug_list() {
    std::vector<DrugId> drugs = scene_.drugs;
    std::sort(drugs.begin(), drugs.end());
    drugs.erase(std::unique(drugs.begin(), drugs.end()), drugs.end());
    for (std::size_t i = 0; i < drugs.size(); ++i) {
        if (i > 0) note.say(english_ ? ", " : style_ == Style::zh_terse ? "," : "；");
        drug_fact(drugs[i]);
        const Drug& kind = drug(drugs[i]);
        const bool whole = kind.dose == std::floor(kind.dose);
        const std::string unit = kind.unit == "[IU]" ? "IU" : std::string(kind.unit);
        note.say(fmt::format(
            " {}{}",
            decimal_words(kind.dose, whole                                          ? 0
                                     : kind.dose * 10 == std::floor(kind.dose * 10) ? 1
                                                                                    : 2),
            unit));
        if (kind.times_per_day > 0) {
            static constexpr std::string_view latin[] = {"", "qd", "bid", "tid"},
                                              zh[] = {"", "每日1次", "每日2次", "每日3次"},
                                              en[] = {"", "once daily", "twice daily",
                                                      "three times daily"};
            note.say(" ").say(style_ == Style::zh_classic ? zh[kind.times_per_day]
                              : style_ == Style::en_prose ? en[kind.times_per_day]
                                                          : latin[kind.times_per_day]);
        }
    }
    if (!drugs.empty()) stop();
}

void Author::oncology_history(Day until) {
    const auto& cancer = person_.cancer;
    date("diagnosis_date", cancer.diagnosed);
    say("确诊", " diagnosed with ");
    cancer_name();
    clinical_stage();
    stop();
    for (const auto& treatment : cancer.treatments) {
        if (treatment.start >= until) continue;
        if (treatment.kind == TreatmentKind::radiotherapy) continue;
        if (treatment.kind == TreatmentKind::surgery) {
            date("surgery_date", treatment.start);
            say("行", " ");
            surgery(treatment.procedure, "present");
            stop();
            continue;
        }
        date("treatment_start_date", treatment.start);
        say("起行", " started ");
        if (treatment.line == "adjuvant")
            note.fact("treatment_line", "adjuvant", english_ ? "adjuvant" : "辅助");
        else
            note.fact("treatment_line", treatment.line,
                      english_ ? (treatment.line == "1L" ? "first-line" : "second-line")
                               : (treatment.line == "1L" ? "一线" : "二线"));
        say("治疗：", " therapy: ");
        for (int i = 0; i < treatment.drug_count; ++i) {
            if (i > 0) note.say("+");
            drug_fact(treatment.drugs[i]);
        }
        stop();
    }
    const Assessment* best = nullptr;
    for (const auto& assessment : cancer.assessments)
        if (assessment.day < until) best = &assessment;
    if (best) {
        say("末次疗效评价", "Latest response ")
            .note.fact("response", code_of(best->response), code_of(best->response));
        stop();
    }
    if (cancer.recurrence <= until) {
        date("progression_date", cancer.recurrence);
        const SpreadWords& organ = spread_words(cancer.recurrence_site);
        if (english_)
            note.say(" ")
                .fact("recurrence", "distant", "distant recurrence")
                .say(" in the ")
                .fact("metastasis_site", organ.value, organ.value);
        else
            note.say("复查示")
                .fact("recurrence", "distant", "远处复发")
                .say("，")
                .fact("metastasis_site", organ.value, fmt::format("{}转移", organ.zh));
        stop();
    }
}

void Author::kidney_history(Day until) {
    const auto& kidney = person_.kidney;
    note.fact("diagnosis", "N18", english_ ? "chronic kidney disease" : "慢性肾脏病");
    say("病程", " for ");
    note.say(fmt::format("{}", std::max(1, years_between(kidney.onset, until))));
    say("年", " years");
    stop();
    if (kidney.dialysis < until - 2) {
        const std::size_t start = note.here();
        // The first session is on the third day of that stay.
        date("", kidney.dialysis + 2);
        note.mark("dialysis_start", date_text(kidney.dialysis + 2), start);
        say("起", " started ");
        surgery(kidney.peritoneal ? proc_peritoneal_dialysis : proc_hemodialysis, "present");
        stop();
    }
}

Document Author::finish(std::string_view zh, std::string_view en) {
    return {std::string(english_ ? en : zh), note.text(), note.points_json(),
            note.identifiers_json()};
}

}  // namespace meridian::generate
