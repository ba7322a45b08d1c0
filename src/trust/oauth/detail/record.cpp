// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/record.hpp"

#include <charconv>

namespace meridian::trust::oauth::detail {

Result<Record> Record::parse(std::string_view text) {
    auto document = JsonDocument::parse(text);
    if (!document || !document->root().is_object())
        return fail(Category::fault, "an entry of the vault cannot be read");
    return Record(*std::move(document));
}

Record& Record::set(std::string_view name, std::string_view value) {
    document_.set(document_.root(), name, document_.string(value));
    return *this;
}

Record& Record::set(std::string_view name, std::int64_t value) {
    document_.set(document_.root(), name, document_.number(value));
    return *this;
}

Record& Record::set(std::string_view name, bool value) {
    document_.set(document_.root(), name, document_.boolean(value));
    return *this;
}

Record& Record::set(std::string_view name, const std::vector<std::string>& values) {
    Json list = document_.array();
    for (const std::string& value : values) document_.append(list, document_.string(value));
    document_.set(document_.root(), name, list);
    return *this;
}

Record& Record::set_if(std::string_view name, std::string_view value) {
    return value.empty() ? *this : set(name, value);
}

std::string Record::string(std::string_view name) const {
    return std::string(document_.root().string_at(name));
}

std::int64_t Record::integer(std::string_view name) const {
    std::int64_t value = 0;
    const Json& member = document_.root()[name];
    if (member.is_number())
        std::from_chars(member.text().data(), member.text().data() + member.text().size(), value);
    return value;
}

bool Record::flag(std::string_view name) const {
    return document_.root()[name].boolean();
}

std::vector<std::string> Record::strings(std::string_view name) const {
    std::vector<std::string> values;
    for (const Json& item : document_.root()[name].items()) values.emplace_back(item.text());
    return values;
}

}  // namespace meridian::trust::oauth::detail
