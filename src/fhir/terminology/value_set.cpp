// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/value_set.hpp"

#include <algorithm>

#include "text/fold.hpp"
#include "text/words.hpp"

namespace meridian::fhir::terminology {

bool is_display(const Member& member, std::string_view display) {
    const std::string folded = text::fold(display);
    if (folded.empty() || folded == text::fold(member.display)) return true;
    if (member.listed != nullptr) {
        for (const Json& item : (*member.listed)["designation"].items()) {
            if (text::fold(item.string_at("value")) == folded) return true;
        }
    }
    return member.codes != nullptr && member.at != no_concept &&
           member.codes->is_display(member.at, display);
}

/// One include or exclude.
struct ValueSet::Clause {
    struct Listed {
        std::string_view code, display;
        ConceptIndex at = no_concept;
        const Json* source = nullptr;
    };
    std::string system{}, version{};
    std::shared_ptr<const CodeSystem> codes{};  ///< null when it is not loaded, or for a grammar
    OpenSystem grammar = OpenSystem::none;
    bool is_list = false;
    std::vector<Listed> list{};
    std::unordered_map<std::string_view, std::uint32_t> by_code{};  ///< of `list`
    std::optional<Bits> selected{};  ///< by filters; none = every concept of `codes`
    std::vector<std::shared_ptr<const ValueSet>>
        within{};  ///< value sets that must hold the concept too

    bool is_missing() const {
        return !system.empty() && !is_list && codes == nullptr && grammar == OpenSystem::none;
    }
    Contained contains(std::string_view wanted_system, std::string_view wanted_version,
                       std::string_view code, Member* member) const;
    Contained contains_alone(std::string_view wanted_system, std::string_view code,
                             Member* member) const;
    Member member_at(ConceptIndex at) const {
        return {codes.get(),        at,     system, codes->version(), codes->code(at),
                codes->display(at), nullptr};
    }
    Member member_of(const Listed& item) const {
        return {codes.get(),
                item.at,
                system,
                codes != nullptr ? std::string_view(codes->version()) : std::string_view(version),
                item.code,
                item.display,
                item.source};
    }
    const Listed* find(std::string_view code) const;
    bool each(const ValueSet::Filter& filter,
              const std::function<bool(const Member&)>& visit) const;
};

ValueSet::ValueSet() = default;
ValueSet::~ValueSet() = default;

/// Builds a ValueSet from its resource.
class ValueSetCompiler {
 public:
    ValueSetCompiler(const Library& library, std::vector<std::string>& path)
        : library_(library), path_(path) {}

    Result<std::shared_ptr<const ValueSet>> compile(const Json& resource) {
        if (resource.string_at("resourceType") != "ValueSet")
            return fail(Category::incorrect, "expected a ValueSet");
        std::unique_ptr<ValueSet> made(new ValueSet);
        made->url_ = resource.string_at("url");
        made->version_ = resource.string_at("version");
        made->name_ = resource.string_at("name", resource.string_at("title"));
        made->source_.set_root(made->source_.copy(resource));
        const Json& source = made->source_.root();
        const Json* compose = source.find("compose");
        if (compose == nullptr) {
            take_expansion(source["expansion"]["contains"], *made);
            return std::shared_ptr<const ValueSet>(std::move(made));
        }
        const Json* inactive = compose->find("inactive");
        made->with_inactive_ = inactive == nullptr || inactive->boolean();
        for (const Json& part : (*compose)["include"].items())
            made->includes_.push_back(TRY(clause(part)));
        for (const Json& part : (*compose)["exclude"].items())
            made->excludes_.push_back(TRY(clause(part)));
        return std::shared_ptr<const ValueSet>(std::move(made));
    }

 private:
    using Clause = ValueSet::Clause;

    Result<Clause> clause(const Json& part) {
        Clause made;
        made.system = part.string_at("system");
        made.version = part.string_at("version");
        if (const std::size_t bar = made.system.find('|'); bar != std::string::npos) {
            made.version = made.system.substr(bar + 1);
            made.system.resize(bar);
        }
        made.grammar = open_system(made.system);
        for (const Json& import : part["valueSet"].items())
            made.within.push_back(TRY(library_.import(import.text(), path_)));
        if (made.system.empty()) return made;
        auto codes = library_.code_system(made.system, made.version);
        if (codes) {
            made.codes = *std::move(codes);
        } else if (codes.error().category != Category::not_found) {
            return std::unexpected(std::move(codes).error());
        }
        if (const Json* list = part.find("concept")) {
            made.is_list = true;
            take_list(*list, made);
        } else if (made.codes != nullptr) {
            TRY(take_filters(part["filter"], made));
        }
        return made;
    }

    static void take_list(const Json& list, Clause& made) {
        made.list.reserve(list.size());
        for (const Json& item : list.items()) {
            Clause::Listed listed{item.string_at("code"), item.string_at("display"), no_concept,
                                  &item};
            if (made.codes != nullptr) listed.at = made.codes->find(listed.code);
            if (listed.display.empty() && listed.at != no_concept)
                listed.display = made.codes->display(listed.at);
            if (made.by_code.emplace(listed.code, static_cast<std::uint32_t>(made.list.size()))
                    .second)
                made.list.push_back(listed);
        }
    }

    static Result<void> take_filters(const Json& filters, Clause& made) {
        for (const Json& filter : filters.items()) {
            auto found = made.codes->filter(filter.string_at("property"), filter.string_at("op"),
                                            filter.string_at("value"));
            if (!found)
                return fail(found.error().category == Category::unsupported
                                ? Category::unsupported
                                : Category::unprocessable,
                            found.error().message, "ValueSet.compose.include.filter");
            if (made.selected) {
                made.selected->keep(*found);
            } else {
                made.selected = *std::move(found);
            }
        }
        return {};
    }

    /// A set that was given expanded: one list per system, nested entries included.
    void take_expansion(const Json& contains, ValueSet& made) {
        for (const Json& item : contains.items()) {
            const Json* abstract = item.find("abstract");
            const std::string_view code = item.string_at("code");
            if (!code.empty() && (abstract == nullptr || !abstract->boolean())) {
                Clause& clause = list_of(item.string_at("system"), item.string_at("version"), made);
                Clause::Listed listed{code, item.string_at("display"), no_concept, &item};
                if (clause.codes != nullptr) listed.at = clause.codes->find(code);
                if (clause.by_code.emplace(code, static_cast<std::uint32_t>(clause.list.size()))
                        .second)
                    clause.list.push_back(listed);
            }
            take_expansion(item["contains"], made);
        }
    }

    Clause& list_of(std::string_view system, std::string_view version, ValueSet& made) {
        for (Clause& clause : made.includes_) {
            if (clause.system == system && clause.version == version) return clause;
        }
        Clause& clause = made.includes_.emplace_back();
        clause.system = system;
        clause.version = version;
        clause.is_list = true;
        if (auto codes = library_.code_system(system, version)) clause.codes = *std::move(codes);
        return clause;
    }

    const Library& library_;
    std::vector<std::string>& path_;
};

Result<std::shared_ptr<const ValueSet>> ValueSet::compile(const Json& resource,
                                                          const Library& library,
                                                          std::vector<std::string>& path) {
    return ValueSetCompiler(library, path).compile(resource);
}

const ValueSet::Clause::Listed* ValueSet::Clause::find(std::string_view code) const {
    auto found = by_code.find(code);
    if (found == by_code.end() && codes != nullptr && !codes->is_case_sensitive()) {
        // The list may write the code in another case than the one asked about.
        if (const ConceptIndex at = codes->find(code); at != no_concept) {
            const auto listed = std::find_if(list.begin(), list.end(),
                                             [&](const Listed& item) { return item.at == at; });
            return listed == list.end() ? nullptr : &*listed;
        }
    }
    return found == by_code.end() ? nullptr : &list[found->second];
}

Contained ValueSet::Clause::contains_alone(std::string_view wanted_system, std::string_view code,
                                           Member* member) const {
    if (!wanted_system.empty() && wanted_system != system) return Contained::no;
    if (is_list) {
        const Listed* listed = find(code);
        if (listed == nullptr) return Contained::no;
        if (member != nullptr) *member = member_of(*listed);
        return Contained::yes;
    }
    if (grammar != OpenSystem::none && (codes == nullptr || codes->find(code) == no_concept)) {
        if (!follows_grammar(grammar, code)) return Contained::no;
        if (member != nullptr) *member = {nullptr, no_concept, system, version, code, {}, nullptr};
        return Contained::yes;
    }
    if (codes == nullptr) return Contained::unknown;
    const ConceptIndex at = codes->find(code);
    if (at == no_concept) return codes->is_complete() ? Contained::no : Contained::unknown;
    if (selected && !selected->test(at)) return Contained::no;
    if (member != nullptr) *member = member_at(at);
    return Contained::yes;
}

Contained ValueSet::Clause::contains(std::string_view wanted_system,
                                     std::string_view wanted_version, std::string_view code,
                                     Member* member) const {
    Contained result = Contained::yes;
    if (!system.empty()) {
        if (!wanted_version.empty() && !version.empty() && wanted_version != version)
            return Contained::no;
        result = contains_alone(wanted_system, code, member);
    }
    for (const auto& set : within) {
        if (result == Contained::no) return result;
        const Contained inner =
            set->contains(wanted_system, wanted_version, code, system.empty() ? member : nullptr);
        if (inner != Contained::yes) result = inner;
    }
    return result;
}

Contained ValueSet::contains(std::string_view system, std::string_view version,
                             std::string_view code, Member* member) const {
    Member found;
    if (member == nullptr) member = &found;
    Contained result = Contained::no;
    for (const Clause& clause : includes_) {
        const Contained one = clause.contains(system, version, code, member);
        if (one == Contained::unknown) result = one;
        if (one != Contained::yes) continue;
        result = one;
        break;
    }
    if (result != Contained::yes) return result;
    for (const Clause& clause : excludes_) {
        const Contained one = clause.contains(system, version, code, nullptr);
        if (one != Contained::no) return one == Contained::yes ? Contained::no : Contained::unknown;
    }
    if (!with_inactive_ && member->codes != nullptr && member->at != no_concept &&
        member->codes->is_inactive(member->at))
        return Contained::no;
    return result;
}

bool ValueSet::is_excluded(const Member& member) const {
    for (const Clause& clause : excludes_) {
        // Where the bitmap can answer there is no need to look the code up.
        if (!clause.is_list && clause.within.empty() && clause.codes.get() == member.codes &&
            member.at != no_concept && clause.codes != nullptr) {
            if (!clause.selected || clause.selected->test(member.at)) return true;
        } else if (clause.contains(member.system, {}, member.code, nullptr) == Contained::yes) {
            return true;
        }
    }
    return false;
}

bool ValueSet::is_repeated(const Member& member, std::size_t before) const {
    for (std::size_t i = 0; i < before; ++i) {
        if (includes_[i].contains(member.system, {}, member.code, nullptr) == Contained::yes)
            return true;
    }
    return false;
}

/// Members of this clause alone; false when `visit` stopped it.
bool ValueSet::Clause::each(const ValueSet::Filter& filter,
                            const std::function<bool(const Member&)>& visit) const {
    std::optional<Bits> wanted;
    if (codes != nullptr && !filter.words.empty()) wanted = codes->with_words(filter.words);
    if (is_list) {
        const std::string words = " " + text::query_words(filter.words);
        for (const Listed& item : list) {
            bool fits =
                filter.words.empty() || (wanted && item.at != no_concept && wanted->test(item.at));
            if (!fits)
                fits = (" " + text::words(item.display)).find(words) != std::string::npos ||
                       (" " + text::words(item.code)).find(words) != std::string::npos;
            if (fits && !visit(member_of(item))) return false;
        }
        return true;
    }
    if (selected) {
        if (wanted) {
            wanted->keep(*selected);
        } else {
            wanted = *selected;
        }
    }
    const auto give = [&](std::size_t at) {
        return visit(member_at(static_cast<ConceptIndex>(at)));
    };
    if (wanted) return wanted->each(give);
    for (std::size_t at = 0; at < codes->size(); ++at) {
        if (!give(at)) return false;
    }
    return true;
}

Result<void> ValueSet::each(const Filter& filter,
                            const std::function<bool(const Member&)>& visit) const {
    for (std::size_t i = 0; i < includes_.size(); ++i) {
        const Clause& clause = includes_[i];
        const auto take = [&](const Member& member) {
            const bool is_known = member.codes != nullptr && member.at != no_concept;
            const bool is_inactive = is_known && (filter.active_only || !with_inactive_) &&
                                     member.codes->is_inactive(member.at);
            const bool is_abstract =
                is_known && filter.selectable_only && member.codes->is_abstract(member.at);
            if (is_inactive || is_abstract || is_repeated(member, i) || is_excluded(member))
                return true;
            return visit(member);
        };
        bool go_on = true;
        if (clause.system.empty()) {
            if (clause.within.empty()) continue;
            TRY(clause.within.front()->each(filter, [&](const Member& member) {
                const bool in_all = std::all_of(
                    clause.within.begin() + 1, clause.within.end(), [&](const auto& set) {
                        return set->contains(member.system, {}, member.code) == Contained::yes;
                    });
                go_on = !in_all || take(member);
                return go_on;
            }));
        } else {
            if (clause.is_missing())
                return fail(
                    Category::not_found,
                    fmt::format(
                        "the code system {}{}{} is not loaded here, so its codes cannot be listed",
                        clause.system, clause.version.empty() ? "" : "|", clause.version));
            if (!clause.is_list && clause.codes == nullptr)
                return fail(Category::too_large,
                            fmt::format("too costly: {} is a grammar, its codes cannot be listed",
                                        clause.system));
            go_on = clause.each(filter, [&](const Member& member) {
                const bool in_all =
                    std::all_of(clause.within.begin(), clause.within.end(), [&](const auto& set) {
                        return set->contains(member.system, {}, member.code) == Contained::yes;
                    });
                return !in_all || take(member);
            });
        }
        if (!go_on) return {};
    }
    return {};
}

std::optional<std::size_t> ValueSet::quick_count(const Filter& filter) const {
    if (includes_.size() != 1 || !excludes_.empty() || filter.active_only ||
        filter.selectable_only || !with_inactive_)
        return std::nullopt;
    const Clause& clause = includes_.front();
    if (!clause.within.empty() || clause.codes == nullptr || clause.is_list) return std::nullopt;
    if (filter.words.empty())
        return clause.selected ? clause.selected->count() : clause.codes->size();
    Bits found = clause.codes->with_words(filter.words);
    if (clause.selected) found.keep(*clause.selected);
    return found.count();
}

Result<std::size_t> ValueSet::count(const Filter& filter) const {
    if (const auto quick = quick_count(filter)) return *quick;
    const bool is_plain = filter.words.empty() && !filter.active_only && !filter.selectable_only;
    if (is_plain && known_count_ >= 0) return static_cast<std::size_t>(known_count_.load());
    std::size_t total = 0;
    TRY(each(filter, [&](const Member&) {
        ++total;
        return true;
    }));
    if (is_plain) known_count_ = static_cast<std::int64_t>(total);
    return total;
}

std::vector<std::string> ValueSet::used_systems() const {
    std::vector<std::string> used;
    const auto add = [&](std::string text) {
        if (std::find(used.begin(), used.end(), text) == used.end())
            used.push_back(std::move(text));
    };
    for (const Clause& clause : includes_) {
        if (clause.codes != nullptr && !clause.codes->version().empty())
            add(clause.system + "|" + clause.codes->version());
        for (const auto& set : clause.within) {
            for (std::string& inner : set->used_systems()) add(std::move(inner));
        }
    }
    return used;
}

}  // namespace meridian::fhir::terminology
