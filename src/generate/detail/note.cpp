// SPDX-License-Identifier: Apache-2.0
#include "generate/detail/note.hpp"

#include <algorithm>
#include <utility>

#include "generate/detail/json_writer.hpp"

namespace meridian::generate {
namespace {

/// Variables of which two equal values are still two measurements.
bool is_measurement(std::string_view variable) {
    return variable == "tumor_size";
}

bool has_code(std::string_view variable) {
    return variable == "diagnosis" || variable == "body_site" || variable == "histology" ||
           variable == "comorbidity" || variable == "family_history_cancer";
}

}  // namespace

void Note::flush_blank() {
    if (!std::exchange(blank_, false)) return;
    text_.push_back(' ');
    ++length_;
}

Note& Note::say(std::string_view words) {
    if (words.empty()) return *this;
    if (words.front() == '\n') blank_ = false;
    // A space that the words bring along is the blank.
    if (words.front() == ' ') blank_ = false;
    flush_blank();
    const std::size_t start = text_.size();
    text_.append(words);
    for (char c : words) length_ += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (capital_ && words.front() != '\n') {
        const std::size_t letter = words.front() == ' ' ? start + 1 : start;
        if (letter < text_.size()) {
            capital_ = false;
            if (text_[letter] >= 'a' && text_[letter] <= 'z')
                text_[letter] = static_cast<char>(text_[letter] - 'a' + 'A');
        }
    }
    return *this;
}

Note& Note::fact(std::string_view variable, std::string_view value, std::string_view surface,
                 std::string_view assertion, std::vector<Attribute> attributes) {
    const std::size_t start = here();
    say(surface);
    mark(variable, value, start, assertion, std::move(attributes));
    return *this;
}

Note& Note::measure(std::string_view variable, std::string_view number, std::string_view unit,
                    std::string_view surface, std::vector<Attribute> attributes) {
    const std::size_t start = here();
    say(surface);
    mark(variable, number, start, "present", std::move(attributes), true, unit);
    return *this;
}

void Note::mark(std::string_view variable, std::string_view value, std::size_t start,
                std::string_view assertion, std::vector<Attribute> attributes, bool number,
                std::string_view unit) {
    const Span span{start, here()};
    if (!is_measurement(variable))
        for (auto& point : points_)
            if (point.variable == variable && point.value == value &&
                point.assertion == assertion) {
                point.also.push_back(span);
                return;
            }
    points_.push_back({std::string(variable),
                       std::string(value),
                       std::string(unit),
                       std::string(assertion),
                       number,
                       span,
                       std::move(attributes),
                       {}});
}

Note& Note::identifier(std::string_view type, std::string_view words) {
    const std::size_t start = here();
    say(words);
    identifiers_.push_back({type, {start, here()}});
    return *this;
}

std::string Note::points_json() const {
    auto points = points_;
    std::stable_sort(points.begin(), points.end(),
                     [](const Point& a, const Point& b) { return a.span.start < b.span.start; });
    std::string json = "[";
    JsonWriter writer;
    for (const auto& point : points) {
        if (json.size() > 1) json.push_back(',');
        writer.clear();
        writer.open();
        writer.text("variable", point.variable);
        if (point.number)
            writer.raw("value", point.value);
        else
            writer.text("value", point.value);
        if (!point.unit.empty()) writer.text("unit", point.unit);
        if (has_code(point.variable)) writer.text("code", point.value);
        writer.text("assertion", point.assertion);
        writer.integer("start", static_cast<std::int64_t>(point.span.start));
        writer.integer("end", static_cast<std::int64_t>(point.span.end));
        if (!point.attributes.empty() || !point.also.empty()) {
            writer.open("attributes");
            for (const auto& attribute : point.attributes)
                writer.text(attribute.name, attribute.value);
            if (!point.also.empty()) {
                writer.list("also");
                for (const auto& span : point.also) {
                    writer.open_list();
                    writer.integer(static_cast<std::int64_t>(span.start));
                    writer.integer(static_cast<std::int64_t>(span.end));
                    writer.close_list();
                }
                writer.close_list();
            }
            writer.close();
        }
        writer.close();
        json.append(writer.view());
    }
    json.push_back(']');
    return json;
}

std::string Note::identifiers_json() const {
    JsonWriter writer;
    writer.open_list();
    for (const auto& identifier : identifiers_) {
        writer.open();
        writer.text("type", identifier.type);
        writer.integer("start", static_cast<std::int64_t>(identifier.span.start));
        writer.integer("end", static_cast<std::int64_t>(identifier.span.end));
        writer.close();
    }
    writer.close_list();
    return std::string(writer.view());
}

}  // namespace meridian::generate
