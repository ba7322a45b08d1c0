// SPDX-License-Identifier: Apache-2.0
#include "base/toml.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/limits.hpp"
#include "base/toml_library.hpp"

namespace meridian {

namespace {

/// The depth is bounded by the parser (TOML_MAX_NESTED_VALUES).
Toml tree_of(const toml::node& node) {
    Toml tree;
    tree.line = static_cast<unsigned>(node.source().begin.line);
    if (const auto* text = node.as_string()) {
        tree.kind = Toml::Kind::text;
        tree.text = text->get();
    } else if (const auto* integer = node.as_integer()) {
        tree.kind = Toml::Kind::integer;
        tree.integer = integer->get();
    } else if (const auto* boolean = node.as_boolean()) {
        tree.kind = Toml::Kind::boolean;
        tree.boolean = boolean->get();
    } else if (const auto* array = node.as_array()) {
        tree.kind = Toml::Kind::list;
        for (const toml::node& item : *array) tree.items.push_back(tree_of(item));
    } else if (const auto* table = node.as_table()) {
        tree.kind = Toml::Kind::table;
        for (const auto& [key, value] : *table)
            tree.members.emplace_back(std::string(key.str()), tree_of(value));
        // toml++ sorts its keys; a reader of the file knows them by their order.
        std::stable_sort(
            tree.members.begin(), tree.members.end(),
            [](const auto& a, const auto& b) { return a.second.line < b.second.line; });
    }
    return tree;
}

}  // namespace

const Toml* Toml::find(std::string_view key) const {
    for (const auto& [name, value] : members) {
        if (name == key) return &value;
    }
    return nullptr;
}

std::string_view word_for(Toml::Kind kind) {
    switch (kind) {
        case Toml::Kind::text:
            return "a text";
        case Toml::Kind::integer:
            return "a whole number";
        case Toml::Kind::boolean:
            return "true or false";
        case Toml::Kind::list:
            return "a list";
        case Toml::Kind::table:
            return "a table";
        case Toml::Kind::other:
            break;
    }
    return "a value of another kind";
}

Result<Toml> parse_toml(std::string_view text, std::string_view name) {
    if (text.size() > limits::config_bytes_max)
        return fail(Category::too_large,
                    fmt::format("{}: larger than {} bytes", name, limits::config_bytes_max));
    const toml::parse_result result = toml::parse(text, name);
    if (!result) {
        const toml::parse_error& error = result.error();
        return fail(Category::incorrect, fmt::format("{}:{}: {}", name, error.source().begin.line,
                                                     std::string_view(error.description())));
    }
    return tree_of(result.table());
}

}  // namespace meridian
