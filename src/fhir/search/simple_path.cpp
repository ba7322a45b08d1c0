// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/simple_path.hpp"

#include <cctype>

namespace meridian::fhir::search {
namespace {

using Paths = std::vector<SimplePath>;

bool is_name_start(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_name_part(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Recursive descent over the subset. Any surprise makes the whole result "not simple"; the
/// FHIRPath engine takes over then.
class Parser {
 public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::optional<Paths> whole() {
        auto paths = alternatives(0);
        skip_space();
        if (!paths || at_ != text_.size()) return std::nullopt;
        return paths;
    }

 private:
    static constexpr unsigned depth_max = 8;

    static bool is_filter(const PathStep& step) {
        return step.kind == PathStep::Kind::where_equals ||
               step.kind == PathStep::Kind::has_extension || step.kind == PathStep::Kind::first ||
               step.kind == PathStep::Kind::extension;
    }

    void skip_space() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
            ++at_;
    }
    bool take(char c) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool take_word(std::string_view word) {
        skip_space();
        if (text_.substr(at_, word.size()) != word) return false;
        const std::size_t end = at_ + word.size();
        if (end < text_.size() && is_name_part(text_[end])) return false;
        at_ = end;
        return true;
    }
    std::optional<std::string> name() {
        skip_space();
        const std::size_t start = at_;
        if (at_ < text_.size() && text_[at_] == '%') ++at_;
        if (at_ >= text_.size() || !is_name_start(text_[at_])) return std::nullopt;
        while (at_ < text_.size() && is_name_part(text_[at_])) ++at_;
        return std::string(text_.substr(start, at_ - start));
    }
    std::optional<std::string> quoted() {
        if (!take('\'')) return std::nullopt;
        const std::size_t end = text_.find('\'', at_);
        if (end == std::string_view::npos ||
            text_.substr(at_, end - at_).find('\\') != std::string_view::npos)
            return std::nullopt;
        std::string value(text_.substr(at_, end - at_));
        at_ = end + 1;
        return value;
    }
    /// A type name, with or without its namespace. Some published parameters write DateTime for
    /// dateTime.
    std::optional<std::string> type_name() {
        auto type = name();
        if (type && (*type == "FHIR" || *type == "System") && take('.')) type = name();
        if (type == "DateTime") type = "dateTime";
        return type;
    }

    std::optional<Paths> alternatives(unsigned depth) {
        if (depth > depth_max) return std::nullopt;
        Paths all;
        do {
            auto paths = term(depth);
            if (!paths) return std::nullopt;
            all.insert(all.end(), std::make_move_iterator(paths->begin()),
                       std::make_move_iterator(paths->end()));
        } while (take('|'));
        return all;
    }

    std::optional<Paths> term(unsigned depth) {
        auto paths = primary(depth);
        if (!paths) return std::nullopt;
        for (;;) {
            std::optional<PathStep> step;
            if (take('.')) {
                step = invocation();
            } else if (take('[')) {
                if (!take('0') || !take(']')) return std::nullopt;
                step = PathStep{PathStep::Kind::first};
            } else if (take_word("as")) {
                if (auto type = type_name()) step = PathStep{PathStep::Kind::as_type, *type};
            } else {
                return paths;
            }
            if (!step) return std::nullopt;
            for (auto& path : *paths) {
                // A step holds one filter, on an element: more than that is left to the FHIRPath
                // engine.
                const bool is_first_filter = !path.steps.empty() && !is_filter(path.steps.back());
                if (is_filter(*step) && step->kind != PathStep::Kind::extension && !is_first_filter)
                    return std::nullopt;
                path.steps.push_back(*step);
            }
        }
    }

    std::optional<Paths> primary(unsigned depth) {
        if (take('(')) {
            auto inner = alternatives(depth + 1);
            if (!inner || !take(')')) return std::nullopt;
            return inner;
        }
        const std::size_t start = at_;
        auto first = name();
        if (!first) return std::nullopt;
        if (*first == "%resource" ||
            std::isupper(static_cast<unsigned char>(first->front())) != 0) {
            return Paths{SimplePath{*first, {}}};
        }
        if (first->front() == '%') return std::nullopt;
        at_ = start;
        auto step = invocation();
        if (!step) return std::nullopt;
        return Paths{SimplePath{"", {*step}}};
    }

    std::optional<PathStep> invocation() {
        auto called = name();
        if (!called || called->front() == '%') return std::nullopt;
        if (!take('(')) return PathStep{PathStep::Kind::child, *called};
        std::optional<PathStep> step;
        if (*called == "as" || *called == "ofType") {
            if (auto type = type_name()) step = PathStep{PathStep::Kind::as_type, *type};
        } else if (*called == "extension") {
            if (auto url = quoted()) step = PathStep{PathStep::Kind::extension, *url};
        } else if (*called == "first") {
            step = PathStep{PathStep::Kind::first};
        } else if (*called == "where") {
            step = criterion();
        }
        if (!step || !take(')')) return std::nullopt;
        return step;
    }

    std::optional<PathStep> criterion() {
        auto left = name();
        if (!left) return std::nullopt;
        if (take('(')) return called_criterion(*left);
        if (!take('=')) return std::nullopt;
        auto value = quoted();
        if (!value) return std::nullopt;
        return PathStep{PathStep::Kind::where_equals, *left, *value};
    }

    std::optional<PathStep> called_criterion(const std::string& called) {
        if (called == "resolve") {
            if (!take(')') || !take_word("is")) return std::nullopt;
            auto type = type_name();
            if (!type) return std::nullopt;
            return PathStep{PathStep::Kind::where_resolve_is, *type};
        }
        auto url = quoted();
        if (!url || !take(')')) return std::nullopt;
        if (called == "hasExtension") return PathStep{PathStep::Kind::has_extension, *url};
        if (called == "extension" && take('.') && take_word("exists") && take('(') && take(')')) {
            return PathStep{PathStep::Kind::has_extension, *url};
        }
        return std::nullopt;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

bool is_of(const Type& type, std::string_view wanted) {
    for (const Type* t = &type; t != nullptr; t = t->base) {
        if (t->name == wanted) return true;
    }
    return false;
}

void add_child(const Route& from, const Element& element, const ElementType& type,
               std::vector<Route>& out) {
    if (type.type == nullptr) return;
    Route next = from;
    next.steps.push_back({std::string(type.property.empty() ? element.name : type.property), {}});
    next.type = type.type;
    next.element = &element;
    next.targets = type.targets;
    next.repeats = from.repeats || element.is_array();
    next.element_path += '.';
    next.element_path += element.name;
    out.push_back(std::move(next));
}

void take_child(const Route& from, std::string_view name, std::vector<Route>& out) {
    const Element* element = from.type == nullptr ? nullptr : from.type->element(name);
    if (element == nullptr) return;
    for (const auto& type : element->types) add_child(from, *element, type, out);
}

void set_filter(Route& route, RouteFilter filter) {
    if (route.steps.empty()) return;
    route.element_path += '[' + filter.member + '=' + filter.value + ']';
    route.steps.back().filter = std::move(filter);
}

void take_step(const Route& from, const PathStep& step, std::vector<Route>& out) {
    switch (step.kind) {
        case PathStep::Kind::child:
            return take_child(from, step.name, out);
        case PathStep::Kind::as_type:
            if (from.type != nullptr && is_of(*from.type, step.name)) out.push_back(from);
            return;
        case PathStep::Kind::extension: {
            std::vector<Route> extensions;
            take_child(from, "extension", extensions);
            for (auto& route : extensions) {
                set_filter(route, {RouteFilter::Kind::equals, "url", step.name});
                out.push_back(std::move(route));
            }
            return;
        }
        case PathStep::Kind::where_resolve_is:
            out.push_back(from);
            out.back().resolve_type = step.name;
            return;
        case PathStep::Kind::where_equals:
            out.push_back(from);
            set_filter(out.back(), {RouteFilter::Kind::equals, step.name, step.value});
            return;
        case PathStep::Kind::has_extension:
            out.push_back(from);
            set_filter(out.back(), {RouteFilter::Kind::has_extension, "", step.name});
            return;
        case PathStep::Kind::first:
            out.push_back(from);
            set_filter(out.back(), {RouteFilter::Kind::first});
            return;
    }
}

}  // namespace

std::optional<std::vector<SimplePath>> parse_simple_paths(std::string_view expression) {
    return Parser(expression).whole();
}

std::vector<Route> resolve_routes(const SimplePath& path, const Type& context) {
    Route start;
    start.type = &context;
    start.element_path = context.name;
    std::vector<Route> routes{start};
    for (const auto& step : path.steps) {
        std::vector<Route> next;
        for (const auto& route : routes) take_step(route, step, next);
        routes = std::move(next);
    }
    std::vector<Route> result;
    for (const auto& route : routes) {
        if (route.type != nullptr && route.type->name == "Extension") {
            take_child(route, "value", result);
        } else {
            result.push_back(route);
        }
    }
    return result;
}

}  // namespace meridian::fhir::search
