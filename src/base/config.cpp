// SPDX-License-Identifier: Apache-2.0
#include "base/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/message.hpp"
#include "base/toml_library.hpp"

namespace meridian {

namespace {

std::string_view word_for(Option::Kind kind) {
    switch (kind) {
        case Option::Kind::text:
            return "a text";
        case Option::Kind::integer:
            return "an integer";
        case Option::Kind::number:
            return "a number";
        case Option::Kind::boolean:
            return "true or false";
        case Option::Kind::list:
            return "a list of texts";
    }
    return "a value";
}

template <class Number>
bool read_number(std::string_view text, Number& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string> split_at_commas(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        if (comma != 0) items.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return items;
}

/// Number of single-character edits between two words, to guess which key was meant.
std::size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> row(right.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= left.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j < row.size(); ++j) {
            const std::size_t changed = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

/// Walks a parsed TOML table and gathers checked values; only when all are sound do they go into
/// the Config.
struct ConfigReader {
    Config& config;
    std::string_view name;
    std::vector<std::pair<Config::Setting*, Config::Value>> values{};

    std::unexpected<Error> wrong(const toml::node& node, Error error) const {
        error.message =
            fmt::format("{} line {}: {}", name, node.source().begin.line, error.message);
        return std::unexpected(std::move(error));
    }

    Result<void> read_table(const toml::table& table, const std::string& prefix) {
        for (const auto& [key, node] : table) {
            const std::string full = prefix + std::string(key.str());
            // TOML nests at most as deep as its parser allows, so this recursion is bounded.
            if (const toml::table* inner = node.as_table()) {
                TRY(read_table(*inner, full + "."));
                continue;
            }
            auto found = config.setting(full);
            if (!found) return wrong(node, found.error());
            Config::Setting& setting = **found;
            auto value = read_value(setting.option, node);
            if (!value) return wrong(node, value.error());
            values.emplace_back(&setting, std::move(*value));
        }
        return {};
    }

    static Result<Config::Value> read_value(const Option& option, const toml::node& node) {
        Config::Value value;
        const bool is_kind = [&] {
            switch (option.kind) {
                case Option::Kind::text:
                    return take<std::string>(node, value);
                case Option::Kind::integer:
                    return take<std::int64_t>(node, value);
                case Option::Kind::boolean:
                    return take<bool>(node, value);
                case Option::Kind::list:
                    return take_list(node, value);
                case Option::Kind::number:
                    if (const auto whole = node.value_exact<std::int64_t>()) {
                        value = static_cast<double>(*whole);
                        return true;
                    }
                    return take<double>(node, value);
            }
            return false;
        }();
        if (!is_kind)
            return fail(Category::incorrect,
                        fmt::format("{} must be {}", option.key, word_for(option.kind)));
        TRY(Config::check(option, value));
        return value;
    }

    template <class T>
    static bool take(const toml::node& node, Config::Value& value) {
        const auto exact = node.value_exact<T>();
        if (exact) value = *exact;
        return exact.has_value();
    }

    static bool take_list(const toml::node& node, Config::Value& value) {
        const toml::array* array = node.as_array();
        if (array == nullptr) return false;
        std::vector<std::string> items;
        for (const toml::node& item : *array) {
            const auto text = item.value_exact<std::string>();
            if (!text) return false;
            items.push_back(*text);
        }
        value = std::move(items);
        return true;
    }
};

Config::Config(std::span<const Option> options) {
    for (const Option& option : options) {
        auto value = parsed(option, option.fallback);
        if (!value)
            throw std::logic_error("the fallback of an option is wrong: " + value.error().message);
        if (!settings_.emplace(option.key, Setting{option, std::move(*value)}).second) {
            throw std::logic_error(fmt::format("the option {} is declared twice", option.key));
        }
    }
}

Result<Config::Setting*> Config::setting(std::string_view key) {
    if (const auto found = settings_.find(key); found != settings_.end()) return &found->second;
    std::string message = fmt::format("there is no option \"{}\"", shown_in_message(key));
    const std::string_view compared = key.substr(0, 64);
    const auto nearest = std::ranges::min_element(
        settings_, {}, [&](const auto& entry) { return edit_distance(compared, entry.first); });
    constexpr std::size_t typing_errors_max = 3;
    if (nearest != settings_.end() &&
        edit_distance(compared, nearest->first) <= typing_errors_max) {
        message += fmt::format(" (did you mean {}?)", nearest->first);
    }
    return fail(Category::incorrect, std::move(message), std::string(key.substr(0, 64)));
}

Result<Config::Value> Config::parsed(const Option& option, std::string_view text) {
    Value value;
    bool is_kind = true;
    switch (option.kind) {
        case Option::Kind::text:
            value = std::string(text);
            break;
        case Option::Kind::integer:
            is_kind = read_number(text, value.emplace<std::int64_t>());
            break;
        case Option::Kind::number:
            is_kind = read_number(text, value.emplace<double>());
            break;
        case Option::Kind::boolean:
            value = text == "true";
            is_kind = text == "true" || text == "false";
            break;
        case Option::Kind::list:
            value = split_at_commas(text);
            break;
    }
    if (!is_kind) {
        return fail(Category::incorrect,
                    fmt::format("{} must be {}, not \"{}\"", option.key, word_for(option.kind),
                                shown_in_message(text)));
    }
    TRY(check(option, value));
    return value;
}

Result<void> Config::check(const Option& option, const Value& value) {
    const auto* integer = std::get_if<std::int64_t>(&value);
    if (integer == nullptr || (*integer >= option.least && *integer <= option.most)) return {};
    return fail(
        Category::incorrect,
        option.most == INT64_MAX
            ? fmt::format("{} must be at least {}", option.key, option.least)
            : fmt::format("{} must be from {} to {}", option.key, option.least, option.most));
}

Result<void> Config::read(std::string_view toml, std::string_view name) {
    if (toml.size() > limits::config_bytes_max) {
        return fail(Category::too_large,
                    fmt::format("{} has more than {} bytes", name, limits::config_bytes_max));
    }
    const toml::parse_result result = toml::parse(toml, name);
    if (!result) {
        return fail(Category::incorrect,
                    fmt::format("{} line {}: {}", name, result.error().source().begin.line,
                                result.error().description()));
    }
    ConfigReader reader{*this, name};
    TRY(reader.read_table(result.table(), ""));
    for (auto& [setting, value] : reader.values) {
        setting->value = std::move(value);
        setting->is_set = true;
    }
    return {};
}

Result<void> Config::read_file(const std::string& path) {
    const std::string content = TRY(meridian::read_file(path, limits::config_bytes_max));
    return read(content, path);
}

Result<void> Config::set(std::string_view key, std::string_view value) {
    Setting* const place = TRY(setting(key));
    place->value = TRY(parsed(place->option, value));
    place->is_set = true;
    return {};
}

template <class T>
const T& Config::value_of(std::string_view key) const {
    const auto found = settings_.find(key);
    const T* value = found != settings_.end() ? std::get_if<T>(&found->second.value) : nullptr;
    if (value == nullptr)
        throw std::logic_error(fmt::format("the option {} is not declared with this kind", key));
    return *value;
}

const std::string& Config::text(std::string_view key) const {
    return value_of<std::string>(key);
}
std::int64_t Config::integer(std::string_view key) const {
    return value_of<std::int64_t>(key);
}
double Config::number(std::string_view key) const {
    return value_of<double>(key);
}
bool Config::boolean(std::string_view key) const {
    return value_of<bool>(key);
}
const std::vector<std::string>& Config::list(std::string_view key) const {
    return value_of<std::vector<std::string>>(key);
}

namespace {

struct ToToml {
    // JSON's escapes are those of a TOML basic string, except that TOML has no "\/" and JSON never
    // needs it.
    std::string operator()(const std::string& text) const {
        std::string out;
        write_string(text, out);
        return out;
    }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const {
        const std::string out = fmt::format("{}", value);
        return out.find_first_of(".en") == std::string::npos ? out + ".0" : out;
    }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(const std::vector<std::string>& items) const {
        std::string out = "[";
        for (const std::string& item : items) out += (out.size() == 1 ? "" : ", ") + (*this)(item);
        return out + "]";
    }
};

}  // namespace

std::string Config::to_toml() const {
    std::string out;
    for (const auto& [key, setting] : settings_) {
        out += fmt::format("# {}\n{}{} = {}\n\n", setting.option.help, setting.is_set ? "" : "# ",
                           key, std::visit(ToToml{}, setting.value));
    }
    return out;
}

}  // namespace meridian
