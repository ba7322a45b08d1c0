// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/code_system.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/limits.hpp"
#include "fhir/path/regex.hpp"
#include "text/fold.hpp"
#include "text/words.hpp"

namespace meridian::fhir::terminology {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Order of codes without regard to ASCII case.
int compare_folded(std::string_view left, std::string_view right) {
    const std::size_t common = std::min(left.size(), right.size());
    for (std::size_t i = 0; i < common; ++i) {
        const auto l = static_cast<unsigned char>(lower(left[i])),
                   r = static_cast<unsigned char>(lower(right[i]));
        if (l != r) return l < r ? -1 : 1;
    }
    return left.size() == right.size() ? 0 : left.size() < right.size() ? -1 : 1;
}

template <class Visit>
void each_word(std::string_view words, Visit visit) {
    while (!words.empty()) {
        const std::size_t end = std::min(words.find(' '), words.size());
        if (end > 0) visit(words.substr(0, end));
        words.remove_prefix(std::min(end + 1, words.size()));
    }
}

template <class Visit>
void each_part(std::string_view list, Visit visit) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        std::string_view part = list.substr(0, end);
        while (part.starts_with(' ')) part.remove_prefix(1);
        while (part.ends_with(' ')) part.remove_suffix(1);
        if (!part.empty()) visit(part);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

}  // namespace

/// Every word of every concept's texts, sorted, with the concepts it stands in.
struct CodeSystem::WordIndex {
    std::string arena;
    std::vector<Piece> words;                ///< sorted by text
    std::vector<std::uint32_t> owners_from;  ///< words.size() + 1 places
    std::vector<ConceptIndex> owners;

    std::string_view word(std::size_t at) const {
        return std::string_view(arena).substr(words[at].from, words[at].size);
    }
};

CodeSystem::CodeSystem() = default;
CodeSystem::~CodeSystem() = default;

/// Turns the resource into arrays.
class CodeSystemLoader {
 public:
    explicit CodeSystemLoader(const Json& resource) : resource_(resource), made_(new CodeSystem) {}

    Result<std::shared_ptr<const CodeSystem>> load() {
        if (resource_.string_at("resourceType") != "CodeSystem")
            return fail(Category::incorrect, "expected a CodeSystem");
        made_->url_ = resource_.string_at("url");
        if (made_->url_.empty())
            return fail(Category::incorrect, "a CodeSystem without url cannot be used",
                        "CodeSystem.url");
        made_->version_ = resource_.string_at("version");
        made_->name_ = resource_.string_at("name", resource_.string_at("title"));
        made_->is_complete_ = resource_.string_at("content") == "complete";
        const Json* sensitive = resource_.find("caseSensitive");
        made_->is_case_sensitive_ = sensitive == nullptr || sensitive->boolean();
        declare_properties();
        TRY(concepts(resource_["concept"], no_concept, 0));
        if (made_->arena_.size() >= UINT32_MAX)
            return fail(Category::too_large, "the texts of this CodeSystem exceed 4 GB");
        made_->arena_.shrink_to_fit();
        index_codes();
        link();
        mark();
        return std::shared_ptr<const CodeSystem>(std::move(made_));
    }

 private:
    using Piece = CodeSystem::Piece;

    Piece keep(std::string_view text) {
        const Piece piece{static_cast<std::uint32_t>(made_->arena_.size()),
                          static_cast<std::uint32_t>(text.size())};
        made_->arena_ += text;
        return piece;
    }

    /// Few different texts (property codes, kinds): the place of `text` among them.
    static std::uint16_t number_of(std::vector<std::string>& texts, std::string_view text) {
        const auto found = std::find(texts.begin(), texts.end(), text);
        if (found != texts.end()) return static_cast<std::uint16_t>(found - texts.begin());
        if (texts.size() < UINT16_MAX) texts.emplace_back(text);
        return static_cast<std::uint16_t>(texts.size() - 1);
    }

    /// Which properties say parent, child, inactive …: by the standard uri, else by the usual code.
    void declare_properties() {
        constexpr std::string_view standard = "http://hl7.org/fhir/concept-properties#";
        for (const Json& property : resource_["property"].items()) {
            const std::string_view code = property.string_at("code");
            made_->declared_properties_.emplace_back(code);
            std::string_view uri = property.string_at("uri");
            if (uri.starts_with(standard))
                meanings_[std::string(code)] = uri.substr(standard.size());
        }
    }

    std::string_view meaning(std::string_view code) const {
        const auto found = meanings_.find(std::string(code));
        return found == meanings_.end() ? code : std::string_view(found->second);
    }

    Result<void> concepts(const Json& list, ConceptIndex parent, unsigned depth) {
        if (depth > limits::concept_depth_max)
            return fail(Category::too_large,
                        "the concepts of this CodeSystem are nested too deeply",
                        "CodeSystem.concept");
        for (const Json& item : list.items()) {
            const auto at = static_cast<ConceptIndex>(made_->concepts_.size());
            made_->concepts_.push_back({keep(item.string_at("code")),
                                        keep(item.string_at("display")),
                                        keep(item.string_at("definition"))});
            if (parent != no_concept) edges_.emplace_back(parent, at);
            for (const Json& property : item["property"].items()) add_property(at, property);
            for (const Json& designation : item["designation"].items()) {
                const Json* use = designation.find("use");
                made_->designations_.push_back({at, keep(designation.string_at("language")),
                                                use != nullptr ? keep(to_text(*use)) : Piece{},
                                                keep(designation.string_at("value"))});
            }
            TRY(concepts(item["concept"], at, depth + 1));
        }
        return {};
    }

    void add_property(ConceptIndex owner, const Json& property) {
        for (const JsonMember& member : property.members()) {
            if (!member.key.starts_with("value")) continue;
            const Json& value = member.value;
            const std::string text = value.is_boolean()  ? (value.boolean() ? "true" : "false")
                                     : value.is_object() ? to_text(value)
                                                         : std::string(value.text());
            made_->properties_.push_back(
                {owner, number_of(made_->property_codes_, property.string_at("code")),
                 number_of(made_->property_kinds_, member.key.substr(5)), keep(text)});
            return;
        }
    }

    void index_codes() {
        auto& order = made_->by_code_;
        order.resize(made_->concepts_.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<ConceptIndex>(i);
        // Of a code that stands twice the first counts: equal codes keep their order.
        std::stable_sort(order.begin(), order.end(), [&](ConceptIndex l, ConceptIndex r) {
            return made_->code(l) < made_->code(r);
        });
        if (made_->is_case_sensitive_) return;
        made_->by_folded_ = order;
        std::stable_sort(made_->by_folded_.begin(), made_->by_folded_.end(),
                         [&](ConceptIndex l, ConceptIndex r) {
                             return compare_folded(made_->code(l), made_->code(r)) < 0;
                         });
    }

    /// Nesting and the properties parent and child become two arrays.
    void link() {
        for (const auto& property : made_->properties_) {
            const std::string_view what = meaning(made_->property_codes_[property.code]);
            const bool up = what == "parent" || what == "subsumedBy";
            if (!up && what != "child") continue;
            const ConceptIndex other = made_->find(made_->text(property.value));
            if (other == no_concept || other == property.owner) continue;
            edges_.push_back(up ? std::pair(other, property.owner)
                                : std::pair(property.owner, other));
        }
        fill(made_->children_, made_->children_from_);
        for (auto& [above, under] : edges_) std::swap(above, under);
        fill(made_->parents_, made_->parents_from_);
    }

    void fill(std::vector<ConceptIndex>& targets, std::vector<std::uint32_t>& from) {
        std::sort(edges_.begin(), edges_.end());
        edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
        from.assign(made_->size() + 1, 0);
        targets.clear();
        targets.reserve(edges_.size());
        for (const auto& [owner, target] : edges_) {
            ++from[owner + 1];
            targets.push_back(target);
        }
        for (std::size_t i = 1; i < from.size(); ++i) from[i] += from[i - 1];
    }

    void mark() {
        made_->inactive_ = Bits(made_->size());
        made_->abstract_ = Bits(made_->size());
        for (const auto& property : made_->properties_) {
            const std::string_view what = meaning(made_->property_codes_[property.code]);
            const std::string_view value = made_->text(property.value);
            if (what == "notSelectable" && value == "true") made_->abstract_.set(property.owner);
            if ((what == "inactive" && value == "true") ||
                (what == "status" && (value == "retired" || value == "inactive")))
                made_->inactive_.set(property.owner);
        }
    }

    const Json& resource_;
    std::unique_ptr<CodeSystem> made_;
    std::vector<std::pair<ConceptIndex, ConceptIndex>> edges_;  ///< above, under
    std::unordered_map<std::string, std::string> meanings_;
};

Result<std::shared_ptr<const CodeSystem>> CodeSystem::load(const Json& resource) {
    return CodeSystemLoader(resource).load();
}

ConceptIndex CodeSystem::find(std::string_view wanted) const {
    const auto found =
        std::lower_bound(by_code_.begin(), by_code_.end(), wanted,
                         [&](ConceptIndex at, std::string_view key) { return code(at) < key; });
    if (found != by_code_.end() && code(*found) == wanted) return *found;
    const auto folded = std::lower_bound(
        by_folded_.begin(), by_folded_.end(), wanted,
        [&](ConceptIndex at, std::string_view key) { return compare_folded(code(at), key) < 0; });
    return folded != by_folded_.end() && compare_folded(code(*folded), wanted) == 0 ? *folded
                                                                                    : no_concept;
}

/// Walks the hierarchy breadth first; a concept with several parents is met once, a circle ends.
Bits CodeSystem::reach(ConceptIndex at, bool down) const {
    Bits met(size());
    std::vector<ConceptIndex> waiting{at};
    met.set(at);
    while (!waiting.empty()) {
        const ConceptIndex next = waiting.back();
        waiting.pop_back();
        for (const ConceptIndex other : down ? children(next) : parents(next)) {
            if (met.test(other)) continue;
            met.set(other);
            waiting.push_back(other);
        }
    }
    return met;
}

Bits CodeSystem::below(ConceptIndex at) const {
    return reach(at, true);
}
Bits CodeSystem::above(ConceptIndex at) const {
    return reach(at, false);
}

bool CodeSystem::subsumes(ConceptIndex ancestor, ConceptIndex descendant) const {
    if (ancestor == descendant) return true;
    // Upwards there are few: a bitmap of the whole system would cost more than the walk.
    std::vector<ConceptIndex> met{descendant};
    for (std::size_t i = 0; i < met.size(); ++i) {
        for (const ConceptIndex parent : parents(met[i])) {
            if (parent == ancestor) return true;
            if (std::find(met.begin(), met.end(), parent) == met.end()) met.push_back(parent);
        }
    }
    return false;
}

std::span<const CodeSystem::StoredProperty> CodeSystem::properties_of(ConceptIndex at) const {
    const auto range = std::ranges::equal_range(properties_, at, {}, &StoredProperty::owner);
    return {range.begin(), range.end()};
}

std::vector<CodeSystem::Property> CodeSystem::properties(ConceptIndex at) const {
    std::vector<Property> result;
    for (const StoredProperty& property : properties_of(at))
        result.push_back(
            {property_codes_[property.code], property_kinds_[property.kind], text(property.value)});
    return result;
}

std::vector<CodeSystem::Designation> CodeSystem::designations(ConceptIndex at) const {
    std::vector<Designation> result;
    for (const StoredDesignation& item :
         std::ranges::equal_range(designations_, at, {}, &StoredDesignation::owner)) {
        result.push_back({text(item.language), text(item.use), text(item.value)});
    }
    return result;
}

bool CodeSystem::is_display(ConceptIndex at, std::string_view wanted) const {
    const std::string folded = text::fold(wanted);
    if (text::fold(display(at)) == folded) return true;
    for (const Designation& designation : designations(at)) {
        if (text::fold(designation.value) == folded) return true;
    }
    return false;
}

Result<Bits> CodeSystem::filter_concepts(std::string_view op, std::string_view value) const {
    const ConceptIndex at = find(value);
    if (at == no_concept)
        return fail(Category::not_found,
                    fmt::format("{} has no code \"{}\" to filter by", url_, value.substr(0, 80)));
    if (op == "generalizes") return above(at);
    Bits found = below(at);
    if (op == "descendent-of") {
        Bits self(size());
        self.set(at);
        self.flip();
        found.keep(self);
    } else if (op == "is-not-a") {
        found.flip();
    }
    return found;
}

Result<Bits> CodeSystem::filter_listed(std::string_view op, std::string_view value) const {
    Bits found(size());
    each_part(value, [&](std::string_view listed) {
        const ConceptIndex at = find(listed);
        if (at != no_concept) found.set(at);
    });
    if (op == "not-in") found.flip();
    return found;
}

Result<Bits> CodeSystem::filter_property(std::string_view property, std::string_view op,
                                         std::string_view value) const {
    Bits found(size());
    std::set<std::string, std::less<>> wanted;
    if (op == "=") wanted.emplace(value);
    if (op == "in" || op == "not-in")
        each_part(value, [&](std::string_view part) { wanted.emplace(part); });
    std::shared_ptr<const path::Regex> regex;
    if (op == "regex") regex = TRY(path::Regex::compile(value, ""));
    const auto fits = [&](std::string_view text) {
        return regex ? regex->matches_full(text) : op == "exists" || wanted.contains(text);
    };
    if (property == "display" || property == "definition" || property == "code" ||
        property == "concept") {
        for (ConceptIndex at = 0; at < size(); ++at) {
            const std::string_view text = property == "display"      ? display(at)
                                          : property == "definition" ? definition(at)
                                                                     : code(at);
            if (!text.empty() && fits(text)) found.set(at);
        }
    } else if (property == "designation") {
        for (const StoredDesignation& item : designations_) {
            if (fits(text(item.value))) found.set(item.owner);
        }
    } else {
        const bool is_known = std::find(property_codes_.begin(), property_codes_.end(), property) !=
                                  property_codes_.end() ||
                              std::find(declared_properties_.begin(), declared_properties_.end(),
                                        property) != declared_properties_.end();
        if (!is_known && property != "parent" && property != "child") {
            return fail(Category::unsupported, fmt::format("{} has no property \"{}\" to filter by",
                                                           url_, property.substr(0, 80)));
        }
        for (const StoredProperty& item : properties_) {
            if (property_codes_[item.code] != property) continue;
            std::string_view text = this->text(item.value);
            // A Coding is compared by its code.
            if (property_kinds_[item.kind] == "Coding") {
                const auto coding = JsonDocument::parse(text);
                if (coding && fits(coding->root().string_at("code"))) found.set(item.owner);
            } else if (fits(text)) {
                found.set(item.owner);
            }
        }
        if (property == "parent" || property == "child") {
            for (ConceptIndex at = 0; at < size(); ++at) {
                for (const ConceptIndex other : property == "parent" ? parents(at) : children(at)) {
                    if (fits(code(other))) found.set(at);
                }
            }
        }
    }
    if (op == "not-in" || (op == "exists" && value == "false")) found.flip();
    return found;
}

Result<Bits> CodeSystem::filter(std::string_view property, std::string_view op,
                                std::string_view value) const {
    const bool is_hierarchy =
        op == "is-a" || op == "descendent-of" || op == "is-not-a" || op == "generalizes";
    if (is_hierarchy) return filter_concepts(op, value);
    if ((op == "in" || op == "not-in") && (property == "concept" || property == "code"))
        return filter_listed(op, value);
    for (const std::string_view known : {"=", "in", "not-in", "regex", "exists"}) {
        if (op == known) return filter_property(property, op, value);
    }
    return fail(Category::unsupported,
                fmt::format("\"{}\" is no filter operator: expected =, is-a, is-not-a, "
                            "descendent-of, generalizes, in, not-in, regex or exists",
                            op.substr(0, 40)));
}

const CodeSystem::WordIndex& CodeSystem::words() const {
    std::call_once(words_once_, [&] {
        auto index = std::make_unique<WordIndex>();
        std::unordered_map<std::string, std::vector<ConceptIndex>> found;
        const auto add = [&](ConceptIndex at, std::string_view text) {
            each_word(text::words(text), [&](std::string_view word) {
                auto& owners = found[std::string(word)];
                if (owners.empty() || owners.back() != at) owners.push_back(at);
            });
        };
        auto designation = designations_.begin();
        for (ConceptIndex at = 0; at < size(); ++at) {
            add(at, code(at));
            add(at, display(at));
            for (; designation != designations_.end() && designation->owner == at; ++designation)
                add(at, text(designation->value));
        }
        std::vector<const decltype(found)::value_type*> sorted;
        sorted.reserve(found.size());
        for (const auto& entry : found) sorted.push_back(&entry);
        std::sort(sorted.begin(), sorted.end(),
                  [](const auto* l, const auto* r) { return l->first < r->first; });
        index->owners_from.push_back(0);
        for (const auto* entry : sorted) {
            index->words.push_back({static_cast<std::uint32_t>(index->arena.size()),
                                    static_cast<std::uint32_t>(entry->first.size())});
            index->arena += entry->first;
            index->owners.insert(index->owners.end(), entry->second.begin(), entry->second.end());
            index->owners_from.push_back(static_cast<std::uint32_t>(index->owners.size()));
        }
        words_ = std::move(index);
    });
    return *words_;
}

Bits CodeSystem::with_words(std::string_view wanted) const {
    Bits found(size());
    found.set_all();
    each_word(text::query_words(wanted), [&](std::string_view start) {
        const WordIndex& index = words();
        Bits with(size());
        auto at = static_cast<std::size_t>(
            std::partition_point(
                index.words.begin(), index.words.end(),
                [&](const Piece& piece) {
                    return std::string_view(index.arena).substr(piece.from, piece.size) < start;
                }) -
            index.words.begin());
        for (; at < index.words.size() && index.word(at).starts_with(start); ++at) {
            for (std::uint32_t i = index.owners_from[at]; i < index.owners_from[at + 1]; ++i)
                with.set(index.owners[i]);
        }
        found.keep(with);
    });
    return found;
}

}  // namespace meridian::fhir::terminology
