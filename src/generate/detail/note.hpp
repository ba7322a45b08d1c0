// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "generate/detail/calendar.hpp"

namespace meridian::generate {

/// A text under construction that remembers where each fact was said. Offsets are Unicode code
/// points, ends exclusive.
class Note {
 public:
    struct Attribute {
        std::string_view name;
        std::string value;
    };

    Note& say(std::string_view words);
    /// The offset of what is said next.
    std::size_t here() {
        flush_blank();
        return length_;
    }
    /// Ends an English sentence: a blank follows unless the line ends, and the next letter becomes
    /// a capital.
    void end_sentence() { blank_ = capital_ = true; }
    void start_sentence() { capital_ = true; }

    /// States a fact whose words are `surface`. The same fact said again is noted as a repetition
    /// of the first.
    Note& fact(std::string_view variable, std::string_view value, std::string_view surface,
               std::string_view assertion = "present", std::vector<Attribute> attributes = {});
    /// A measured value: `number` goes into the truth as a JSON number.
    Note& measure(std::string_view variable, std::string_view number, std::string_view unit,
                  std::string_view surface, std::vector<Attribute> attributes = {});
    /// Marks what was said since `start`.
    void mark(std::string_view variable, std::string_view value, std::size_t start,
              std::string_view assertion = "present", std::vector<Attribute> attributes = {},
              bool number = false, std::string_view unit = {});
    /// Says something that identifies a person, place or time (kinds as in the de-identification
    /// truth).
    Note& identifier(std::string_view type, std::string_view words);

    const std::string& text() const { return text_; }
    std::string points_json() const;
    std::string identifiers_json() const;

 private:
    struct Span {
        std::size_t start, end;
    };
    struct Point {
        std::string variable, value, unit, assertion;
        bool number = false;
        Span span{};
        std::vector<Attribute> attributes;
        std::vector<Span> also;
    };
    struct Identifier {
        std::string_view type;
        Span span;
    };
    void flush_blank();

    std::string text_;
    std::size_t length_ = 0;
    bool blank_ = false, capital_ = false;
    std::vector<Point> points_;
    std::vector<Identifier> identifiers_;
};

}  // namespace meridian::generate
