// SPDX-License-Identifier: Apache-2.0
#include "rest/arguments.hpp"

#include <charconv>

namespace meridian::rest {

Result<std::span<const Json>> parameters_of(const Json& parameters) {
    const Json& list = parameters["parameter"];
    if (!list.is_array() && !list.is_null())
        return fail(Category::incorrect, "the parameters are a list", "Parameters.parameter");
    return list.items();
}

namespace {

bool has_resource_body(const Exchange& exchange) {
    return exchange.has_resource ||
           (!exchange.body.empty() && exchange.content_type != "application/x-www-form-urlencoded");
}

std::string text_of(const Json& value) {
    if (value.is_boolean()) return value.boolean() ? "true" : "false";
    return std::string(value.is_object() ? value.string_at("reference") : value.text());
}

}  // namespace

Result<fhir::QueryParameters> query_parameters_of(const Exchange& exchange) {
    fhir::QueryParameters parameters = exchange.parameters;
    if (!has_resource_body(exchange)) return parameters;
    const auto body = exchange.has_resource ? exchange.document : TRY(parse_body(exchange));
    const Json& root = exchange.has_resource ? exchange.resource : body->root();
    if (root.string_at("resourceType") != "Parameters")
        return fail(Category::incorrect, "the body of this operation is a Parameters resource");
    for (const Json& parameter : TRY(parameters_of(root))) {
        for (const JsonMember& member : parameter.members()) {
            if (member.key.starts_with("value"))
                parameters.emplace_back(std::string(parameter.string_at("name")),
                                        text_of(member.value));
        }
    }
    return parameters;
}

Result<Arguments> Arguments::read(const Exchange& exchange, std::string_view body_name) {
    Arguments made;
    for (const auto& [name, value] : exchange.parameters) made.arguments_.push_back({name, value});
    if (!has_resource_body(exchange)) return made;
    made.document_ = exchange.has_resource ? exchange.document : TRY(parse_body(exchange));
    const Json& root = exchange.has_resource ? exchange.resource : made.document_->root();
    if (root.string_at("resourceType") != "Parameters") {
        if (body_name.empty() || root.string_at("resourceType").empty())
            return fail(Category::incorrect, "the body of this operation is a Parameters resource");
        made.arguments_.push_back({std::string(body_name), {}, {}, root});
        return made;
    }
    for (const Json& parameter : TRY(parameters_of(root))) {
        Argument argument{std::string(parameter.string_at("name"))};
        for (const JsonMember& member : parameter.members()) {
            if (member.key == "resource") argument.resource = member.value;
            if (!member.key.starts_with("value")) continue;
            argument.value = member.value;
            argument.text = member.value.is_object() ? std::string() : text_of(member.value);
        }
        made.arguments_.push_back(std::move(argument));
    }
    return made;
}

const Arguments::Argument* Arguments::find(std::string_view name) const {
    for (const Argument& argument : arguments_) {
        if (argument.name == name) return &argument;
    }
    return nullptr;
}

std::string_view Arguments::text(std::string_view name) const {
    const Argument* found = find(name);
    return found == nullptr ? std::string_view() : std::string_view(found->text);
}

std::vector<std::string> Arguments::texts(std::string_view name) const {
    std::vector<std::string> all;
    for (const Argument& argument : arguments_) {
        if (argument.name == name) all.push_back(argument.text);
    }
    return all;
}

const Json* Arguments::value(std::string_view name) const {
    const Argument* found = find(name);
    return found == nullptr || !found->value.is_object() ? nullptr : &found->value;
}

std::vector<const Json*> Arguments::values(std::string_view name) const {
    std::vector<const Json*> all;
    for (const Argument& argument : arguments_) {
        if (argument.name == name && argument.value.is_object()) all.push_back(&argument.value);
    }
    return all;
}

const Json* Arguments::resource(std::string_view name) const {
    const Argument* found = find(name);
    return found == nullptr || !found->resource.is_object() ? nullptr : &found->resource;
}

Result<bool> Arguments::boolean(std::string_view name, bool otherwise) const {
    const Argument* found = find(name);
    if (found == nullptr || found->text.empty()) return otherwise;
    if (found->text == "true" || found->text == "false") return found->text == "true";
    return fail(Category::incorrect,
                fmt::format("{} takes true or false, not \"{}\"", name, found->text.substr(0, 40)),
                std::string(name));
}

Result<std::optional<std::size_t>> Arguments::number(std::string_view name) const {
    const Argument* found = find(name);
    if (found == nullptr || found->text.empty()) return std::optional<std::size_t>();
    std::size_t number = 0;
    const char* last = found->text.data() + found->text.size();
    const auto [end, error] = std::from_chars(found->text.data(), last, number);
    if (error != std::errc() || end != last || number > 2147483647) {
        return fail(Category::incorrect,
                    fmt::format("{} takes a whole number from 0 on, not \"{}\"", name,
                                found->text.substr(0, 40)),
                    std::string(name));
    }
    return std::optional(number);
}

Result<void> Arguments::allow(std::string_view known) const {
    const std::string list = fmt::format(" {} ", known);
    for (const Argument& argument : arguments_) {
        if (list.find(" " + argument.name + " ") == std::string::npos) {
            return fail(Category::incorrect,
                        fmt::format("there is no parameter \"{}\" here; there are: {}",
                                    argument.name.substr(0, 60), known),
                        argument.name.substr(0, 60));
        }
    }
    return {};
}

}  // namespace meridian::rest
