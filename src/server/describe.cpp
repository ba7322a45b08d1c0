// SPDX-License-Identifier: Apache-2.0
#include "server/describe.hpp"

#include "base/hash.hpp"
#include "base/markup.hpp"

namespace meridian::server {

namespace {

/// text, or the first display or code, of a CodeableConcept.
std::string_view concept_text(const Json& concept_node) {
    if (const std::string_view text = concept_node.string_at("text"); !text.empty()) return text;
    for (const Json& coding : concept_node["coding"].items()) {
        if (const std::string_view display = coding.string_at("display"); !display.empty())
            return display;
        if (const std::string_view code = coding.string_at("code"); !code.empty()) return code;
    }
    return {};
}

std::string name_text(const Json& name) {
    if (const std::string_view text = name.string_at("text"); !text.empty())
        return std::string(text);
    std::string given;
    for (const Json& part : name["given"].items())
        given += (given.empty() ? "" : " ") + std::string(part.text());
    const std::string_view family = name.string_at("family");
    if (given.empty()) return std::string(family);
    // Han names are written family first and without a space.
    const bool is_han = !family.empty() && static_cast<unsigned char>(family[0]) >= 0xE3;
    return is_han ? fmt::format("{}{}", family, given) : fmt::format("{} {}", given, family);
}

std::string first_date(const Json& resource) {
    for (const char* member :
         {"effectiveDateTime", "onsetDateTime", "authoredOn", "date", "performedDateTime",
          "started", "occurrenceDateTime", "created", "recordedDate"}) {
        if (const std::string_view date = resource.string_at(member); !date.empty())
            return std::string(date.substr(0, 10));
    }
    for (const char* member : {"period", "performedPeriod", "effectivePeriod", "billablePeriod"}) {
        if (const std::string_view date = resource[member].string_at("start"); !date.empty())
            return std::string(date.substr(0, 10));
    }
    return {};
}

std::string title_of(const Json& resource) {
    const Json& name = resource["name"];
    if (name.is_array() && name.size() > 0) return name_text(name.items()[0]);
    if (name.is_string()) return std::string(name.text());
    for (const char* member :
         {"code", "medicationCodeableConcept", "vaccineCode", "type", "class", "category"}) {
        const Json& value = resource[member];
        const Json& node = value.is_array() && value.size() > 0 ? value.items()[0] : value;
        if (const std::string_view text = concept_text(node); !text.empty())
            return std::string(text);
        if (const std::string_view display = node.string_at("display"); !display.empty())
            return std::string(display);
    }
    for (const char* member : {"title", "description", "url"}) {
        if (const std::string_view text = resource.string_at(member); !text.empty())
            return std::string(text);
    }
    if (const std::string_view display = resource["medicationReference"].string_at("display");
        !display.empty())
        return std::string(display);
    return {};
}

}  // namespace

std::string describe(const Json& resource, Language) {
    const std::string title = title_of(resource);
    const std::string date = first_date(resource);
    std::string out =
        escaped_markup(title.empty() ? fmt::format("{}/{}", resource.string_at("resourceType"),
                                                   resource.string_at("id"))
                                     : title);
    if (const Json& quantity = resource["valueQuantity"]; quantity.is_object())
        out += fmt::format(" <b>{}</b> {}", escaped_markup(quantity["value"].text()),
                           escaped_markup(quantity.string_at("unit")));
    if (!date.empty()) out += fmt::format(" <span class=soft>{}</span>", escaped_markup(date));
    return out;
}

std::string gender_text(const Json& patient, Language language) {
    const std::string_view gender = patient.string_at("gender");
    if (gender == "male") return std::string(say(language, "男", "male"));
    if (gender == "female") return std::string(say(language, "女", "female"));
    return std::string(say(language, "未知", "unknown"));
}

std::string identifier_text(const Json& resource) {
    const auto identifiers = resource["identifier"].items();
    return identifiers.empty() ? std::string() : escaped_markup(identifiers[0].string_at("value"));
}

std::string document_text(const Json& resource) {
    for (const Json& content : resource["content"].items()) {
        const Json& attachment = content["attachment"];
        std::string text;
        if (attachment.string_at("contentType").starts_with("text/plain") &&
            base64_decode(attachment.string_at("data"), text))
            return text;
    }
    return {};
}

std::string linked_json(const Json& resource) {
    const std::string text = escaped_markup(to_text(resource, true));
    constexpr std::string_view key = "&quot;reference&quot;: &quot;";
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at)) {
        at += key.size();
        const std::size_t end = text.find("&quot;", at);
        const std::string_view target = std::string_view(text).substr(at, end - at);
        if (target.find('/') == std::string_view::npos ||
            target.find(':') != std::string_view::npos)
            continue;
        out += text.substr(done, at - done);
        out += fmt::format(R"(<a href="/record/{0}">{0}</a>)", target);
        done = end;
    }
    return out + text.substr(done);
}

void add_observation(const Json& observation, const std::string& id,
                     std::vector<LabSeries>& series) {
    const Json& quantity = observation["valueQuantity"];
    if (!quantity["value"].is_number()) return;
    const std::string name(concept_text(observation["code"]));
    auto found = std::find_if(series.begin(), series.end(), [&](const LabSeries& one) {
        return one.name == name && one.unit == quantity.string_at("unit");
    });
    if (found == series.end()) {
        LabSeries made;
        made.name = name;
        made.unit = quantity.string_at("unit");
        made.latest = quantity["value"].text();
        made.date = observation.string_at("effectiveDateTime").substr(0, 10);
        made.latest_id = id;
        found = series.insert(series.end(), std::move(made));
    }
    double value = 0;
    const std::string_view text = quantity["value"].text();
    std::from_chars(text.data(), text.data() + text.size(), value);
    found->values.push_back(value);
}

std::string sparkline(const LabSeries& series) {
    if (series.values.size() < 2) return {};
    const std::size_t count = std::min<std::size_t>(series.values.size(), 40);
    const auto [low, high] = std::minmax_element(
        series.values.begin(), series.values.begin() + static_cast<std::ptrdiff_t>(count));
    const double span = std::max(1e-9, *high - *low);
    std::string points;
    for (std::size_t i = 0; i < count; ++i) {
        // newest first in the series, oldest at the left in the picture
        const double x =
            4 + 112.0 * static_cast<double>(count - 1 - i) / static_cast<double>(count - 1);
        points += fmt::format("{:.1f},{:.1f} ", x, 24 - 20 * (series.values[i] - *low) / span);
    }
    return fmt::format(
        R"svg(<svg class=spark viewBox="0 0 120 28" role=img aria-label="{} – {}"><polyline points="{}" fill=none stroke="var(--accent)" stroke-width=1.8 /><circle cx=116 cy="{:.1f}" r=2.6 fill="var(--accent)" /></svg>)svg",
        *low, *high, points, 24 - 20 * (series.values[0] - *low) / span);
}

}  // namespace meridian::server
