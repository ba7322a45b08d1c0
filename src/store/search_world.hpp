// SPDX-License-Identifier: Apache-2.0
// For tests of the engines' searches: random small stores, random questions, and a naive evaluation
// of these in memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "store/engine/forward.hpp"
#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/store.hpp"

namespace meridian::store::search_world {

using Random = std::mt19937_64;
inline int below(Random& random, int bound) {
    return static_cast<int>(random() % static_cast<unsigned>(bound));
}
inline bool chance(Random& random, int percent) {
    return below(random, 100) < percent;
}

inline constexpr std::int64_t no_date = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t open_end = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t day = 24LL * 3'600 * 1'000;

enum Type : Name { patient_type = 1, observation_type = 2, encounter_type = 3, types_end = 4 };
// A parameter is type * 100 + one of these.
enum ParamKind : Name {
    token_a,
    token_b,
    string_a,
    date_a,
    number_a,
    quantity_a,
    reference_a,
    reference_b,
    uri_a,
    composite_a,
    text_a,
    content_a,
    reference_c
};
inline Name param_of(Name type, ParamKind kind) {
    return type * 100 + kind;
}

class TestNames final : public Names {
 public:
    Name intern(NameKind, std::string_view) override { return 1; }
    Name find(NameKind, std::string_view) const override { return 0; }
    std::string text(NameKind, Name name) const override {
        return name % 100 == text_a      ? "Type._text"
               : name % 100 == content_a ? "Type._content"
                                         : "Type.other";
    }
    std::vector<Name> all(NameKind) const override { return {}; }
    std::size_t coding_count() const override { return 0; }
    const SipKey& token_key() const override { return key_; }

 private:
    SipKey key_{};
};

struct Document {
    Rid rid = 0;
    Name type = 0;  ///< 0: a URL that was only mentioned
    std::string id;
    bool written = true;
    bool live = true;
    int versions = 0;
    Position position = -1;  ///< of the last version; those before lie right before it
    ResolvedRows rows;
    std::string texts[2];
};

inline const char* const words_known[] = {"red", "green", "blue", "kidney", "lung"};
inline const char* const names_known[] = {"smith", "smithson", "smyth", "王伟", "王",
                                          "an",    "ann",      "anna",  "b",    ""};
inline const char* const uris_known[] = {"http://a",  "http://a/b", "http://a/b/c",
                                         "http://ab", "urn:x",      "http://a/"};
inline const double numbers_known[] = {-5, -0.5, 0, 1, 2, 2.5, 3, 7, 100};

inline std::string some_words(Random& random, int count_max) {
    std::string words;
    for (int i = below(random, count_max + 1); i > 0; --i)
        words += (words.empty() ? "" : " ") + std::string(words_known[below(random, 5)]);
    return words;
}
inline std::int64_t some_day(Random& random) {
    return (below(random, 40) - 5) * 10 * day;
}

/// A store as it stands in memory.
struct World {
    std::vector<Document> documents;  ///< by rid - 1
    std::vector<std::size_t> turn;    ///< in which order they were written: indexes of documents
    TestNames names;
    Position next_position = 0;

    const Document& at(Rid rid) const { return documents[static_cast<std::size_t>(rid - 1)]; }
    Identity identity(Rid rid) const { return {at(rid).type, at(rid).id}; }
};

inline DateRow some_dates(Random& random, Name param) {
    const std::int64_t lo = chance(random, 8) ? no_date : some_day(random);
    const int kind = below(random, 10);
    if (kind == 0) return {param, lo, open_end};
    if (kind == 1) return {param, lo, (lo == no_date ? 0 : lo) + 400 * day};
    const std::int64_t from = lo == no_date ? 0 : lo;
    return {param, from,
            from + (kind < 5    ? day
                    : kind == 5 ? 32 * day
                    : kind == 6 ? 32 * day + 1
                                : 1'000)};
}

inline NumberRow some_range(Random& random) {
    const double lo = numbers_known[below(random, 9)];
    return {0, lo, chance(random, 50) ? lo : lo + below(random, 4)};
}

inline void fill_rows(Random& random, World& world, Document& document, int documents) {
    const auto times = [&](int most) { return chance(random, 25) ? 0 : 1 + below(random, most); };
    const auto param = [&](ParamKind kind) { return param_of(document.type, kind); };
    ResolvedRows& rows = document.rows;
    for (int i = times(3); i > 0; --i) rows.tokens.push_back({param(token_a), below(random, 12)});
    for (int i = times(1); i > 0; --i)
        rows.tokens.push_back({param(token_b), 1000 + below(random, 2)});
    for (int i = times(2); i > 0; --i) {
        const std::string folded = names_known[below(random, 10)];
        rows.strings.push_back({param(string_a), folded,
                                chance(random, 50) || folded.empty() ? folded : "X" + folded});
    }
    for (int i = times(2); i > 0; --i) rows.dates.push_back(some_dates(random, param(date_a)));
    for (int i = times(2); i > 0; --i) {
        NumberRow row = some_range(random);
        rows.numbers.push_back({param(number_a), row.lo, row.hi});
        row = some_range(random);
        rows.quantities.push_back({param(quantity_a), below(random, 3), row.lo, row.hi});
        row = some_range(random);
        rows.composites.push_back({param(composite_a), below(random, 4), below(random, 3), row.lo,
                                   row.hi, names_known[below(random, 10)]});
    }
    for (int i = times(2); i > 0; --i)
        rows.references.push_back({param(reference_a), 1 + below(random, documents)});
    for (int i = times(1); i > 0; --i)
        rows.references.push_back({param(reference_b), 1 + below(random, 10)});
    for (int i = times(2); i > 0; --i)
        rows.uris.push_back({param(uri_a), uris_known[below(random, 6)]});
    const std::int64_t main_date = chance(random, 15) ? no_date : some_day(random);
    std::vector<std::int64_t> codes;
    for (int i = below(random, 3); i > 0; --i) codes.push_back(1 + below(random, 4));
    const auto add_patient = [&](Rid patient) {
        rows.patients.push_back({patient, 0, main_date});
        for (const std::int64_t code : codes) rows.patients.push_back({patient, code, main_date});
        rows.compartments.push_back(patient);
    };
    // reference_b and reference_c are the patient paths, token_b is the main code.
    for (int i = times(2); i > 0; --i)
        rows.references.push_back({param(reference_c), 1 + below(random, 5)});
    for (auto& row : rows.tokens) {
        if (row.param == param(token_b)) codes.push_back(row.value);
    }
    for (auto& row : rows.references) {
        if (row.param == param(reference_b) || row.param == param(reference_c))
            add_patient(row.target);
    }
    for (const int field : {0, 1}) {
        if (!chance(random, 50)) continue;
        document.texts[field] = some_words(random, 5);
        if (!document.texts[field].empty())
            rows.texts.push_back(param(field == 0 ? text_a : content_a));
    }
    (void)world;
}

/// A random world. Its random numbers are those of the seed alone, so every engine sees the same.
inline World make_world(std::uint64_t seed, int documents) {
    Random random(seed);
    World world;
    for (int i = 1; i <= documents; ++i) {
        Document document;
        document.rid = i;
        // The first ten are patients that others belong to; the last five URLs are only mentioned.
        document.type = i <= 10             ? Name{patient_type}
                        : i > documents - 5 ? 0
                                            : 1 + below(random, types_end - 1);
        document.id = document.type == 0 ? fmt::format("http://far/{}", i)
                                         : fmt::format("{}{}", "zyxwvutsrq"[i % 10], i);
        document.written = document.type != 0 && !chance(random, 4);
        document.live = document.written && !chance(random, 8);
        if (document.live) fill_rows(random, world, document, documents);
        world.documents.push_back(std::move(document));
    }
    auto& turn = world.turn;
    turn.resize(world.documents.size());
    for (std::size_t i = 0; i < turn.size(); ++i) turn[i] = i;
    std::shuffle(turn.begin(), turn.end(), random);
    for (const std::size_t i : turn) {
        Document& document = world.documents[i];
        if (!document.written) continue;
        document.versions = 1 + below(random, 2);
        world.next_position += document.versions;
        document.position = world.next_position - 1;
    }
    return world;
}

// --- the naive evaluation ---

template <class T>
bool in_box(const Box<T>& box, T lo, T hi) {
    return !(box.lo_from && lo < *box.lo_from) && !(box.lo_below && lo >= *box.lo_below) &&
           !(box.hi_above && hi <= *box.hi_above) && !(box.hi_to && hi > *box.hi_to);
}
template <class T>
bool is_in(const std::vector<T>& values, const T& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}
template <class Rows, class Wanted>
bool some(const Rows& rows, Wanted wanted) {
    return std::any_of(rows.begin(), rows.end(), wanted);
}

struct Naive {
    const World& world;

    bool holds(const Condition& condition, const Document& d) const {
        return std::visit([&](const auto& kind) { return is(kind, d); }, condition.as_variant());
    }
    bool is(const Everything&, const Document&) const { return true; }
    bool is(const Nothing&, const Document&) const { return false; }
    bool is(const AllOf& c, const Document& d) const {
        return std::all_of(c.parts.begin(), c.parts.end(),
                           [&](auto& part) { return holds(part, d); });
    }
    bool is(const AnyOf& c, const Document& d) const {
        return some(c.parts, [&](auto& part) { return holds(part, d); });
    }
    bool is(const NoneOf& c, const Document& d) const {
        return !some(c.parts, [&](auto& part) { return holds(part, d); });
    }
    bool is(const HasId& c, const Document& d) const {
        return c.type == d.type && is_in(c.ids, d.id);
    }
    bool is(const HasToken& c, const Document& d) const {
        return some(d.rows.tokens,
                    [&](auto& r) { return r.param == c.param && is_in(c.values, r.value); });
    }
    bool is(const HasTokenIn& c, const Document& d) const {
        return some(d.rows.tokens, [&](auto& r) {
            return r.param == c.param && r.value >= c.first && r.value <= c.last;
        });
    }
    bool is(const HasString& c, const Document& d) const {
        return some(d.rows.strings, [&](auto& r) {
            if (r.param != c.param) return false;
            if (c.match == StringMatch::exact) return r.exact == c.text;
            if (c.match == StringMatch::ends) return r.folded.ends_with(c.text);
            const auto place = r.folded.find(c.text);
            return c.match == StringMatch::starts ? place == 0 : place != std::string::npos;
        });
    }
    bool is(const HasDate& c, const Document& d) const {
        return some(d.rows.dates,
                    [&](auto& r) { return r.param == c.param && in_box(c.box, r.lo, r.hi); });
    }
    bool is(const HasNumber& c, const Document& d) const {
        return some(d.rows.numbers,
                    [&](auto& r) { return r.param == c.param && in_box(c.box, r.lo, r.hi); });
    }
    bool is(const HasQuantity& c, const Document& d) const {
        return some(d.rows.quantities, [&](auto& r) {
            return r.param == c.param && (c.units.empty() || is_in(c.units, r.unit)) &&
                   in_box(c.box, r.lo, r.hi);
        });
    }
    bool is(const HasUri& c, const Document& d) const {
        return some(d.rows.uris, [&](auto& r) {
            return r.param == c.param &&
                   (r.uri == c.uri || (c.below && r.uri.find(c.uri + "/") == 0));
        });
    }
    bool is(const HasReference& c, const Document& d) const {
        return some(d.rows.references, [&](auto& r) {
            return r.param == c.param && is_in(c.targets, world.identity(r.target));
        });
    }
    bool is(const HasComposite& c, const Document& d) const {
        return some(d.rows.composites, [&](auto& r) {
            return r.param == c.param && is_in(c.keys, r.key) &&
                   (c.seconds.empty() || is_in(c.seconds, r.second)) && in_box(c.box, r.lo, r.hi) &&
                   (!c.starts || r.folded.find(*c.starts) == 0);
        });
    }
    bool is(const HasText& c, const Document& d) const {
        const std::string& text = d.texts[c.param % 100 == content_a ? 1 : 0];
        const auto has = [&](const std::string& words) {
            return !words.empty() &&
                   (" " + text + " ")
                           .find(" " + words + (c.prefix && c.words.ends_with(words) ? "" : " ")) !=
                       std::string::npos;
        };
        if (c.phrase) return has(c.words);
        std::istringstream in(c.words);
        bool all = !c.words.empty();
        for (std::string word; in >> word;) all = all && has(word);
        return all;
    }
    bool is(const HasAny& c, const Document& d) const {
        const auto own = [&](const auto& r) { return r.param == c.param; };
        return some(d.rows.tokens, own) || some(d.rows.strings, own) || some(d.rows.dates, own) ||
               some(d.rows.numbers, own) || some(d.rows.quantities, own) ||
               some(d.rows.references, own) || some(d.rows.uris, own) ||
               some(d.rows.composites, own) || is_in(d.rows.texts, c.param);
    }
    bool is(const RefersTo& c, const Document& d) const {
        return some(d.rows.references, [&](auto& r) {
            const Document& target = world.at(r.target);
            return r.param == c.param && target.live && target.type == c.target_type &&
                   holds(*c.target, target);
        });
    }
    bool is(const ReferredBy& c, const Document& d) const {
        return some(world.documents, [&](auto& source) {
            return source.live && source.type == c.source_type && holds(*c.source, source) &&
                   some(source.rows.references,
                        [&](auto& r) { return r.param == c.param && r.target == d.rid; });
        });
    }
    bool is(const OfPatient& c, const Document& d) const {
        return d.type == c.type && some(d.rows.patients, [&](auto& r) {
                   return is_in(c.patients, world.identity(r.patient)) &&
                          (c.codes.empty() ? r.code == 0 : is_in(c.codes, r.code)) &&
                          r.date >= c.date_from && r.date < c.date_below;
               });
    }
    bool is(const InCompartment& c, const Document& d) const {
        return (c.type == 0 || c.type == d.type) &&
               (Identity{d.type, d.id} == c.patient ||
                some(d.rows.compartments, [&](Rid r) { return world.identity(r) == c.patient; }));
    }
    bool is(const ChangedWithin& c, const Document& d) const {
        return d.position >= c.from && d.position < c.below;
    }

    using Key = std::variant<std::monostate, std::int64_t, double, std::string>;
    Key key(const Document& d, const Order& order) const {
        std::vector<Key> keys;
        const auto add = [&](const auto& rows, auto value) {
            for (auto& r : rows) {
                if (r.param == order.param) keys.emplace_back(value(r));
            }
        };
        switch (order.kind) {
            case SortKind::token:
                add(d.rows.tokens, [](auto& r) { return r.value; });
                break;
            case SortKind::string:
                add(d.rows.strings, [](auto& r) { return r.folded; });
                break;
            case SortKind::date:
                add(d.rows.dates, [](auto& r) { return r.lo; });
                break;
            case SortKind::number:
                add(d.rows.numbers, [](auto& r) { return r.lo; });
                break;
            case SortKind::quantity:
                add(d.rows.quantities, [](auto& r) { return r.lo; });
                break;
            case SortKind::reference:
                add(d.rows.references, [](auto& r) { return r.target; });
                break;
            case SortKind::uri:
                add(d.rows.uris, [](auto& r) { return r.uri; });
                break;
            case SortKind::id:
                keys.emplace_back(d.id);
                break;
            case SortKind::updated:
                keys.emplace_back(d.position);
                break;
            case SortKind::patient_date:
                for (auto& r : d.rows.patients) {
                    if (r.date != no_date) keys.emplace_back(r.date);
                }
        }
        if (keys.empty()) return {};
        return order.descending ? *std::max_element(keys.begin(), keys.end())
                                : *std::min_element(keys.begin(), keys.end());
    }

    /// All matches in order.
    std::vector<Rid> matches(const Plan& plan) const {
        std::vector<const Document*> found;
        for (const Document& d : world.documents) {
            if (d.live && (plan.type == 0 || d.type == plan.type) && holds(plan.where, d))
                found.push_back(&d);
        }
        std::stable_sort(found.begin(), found.end(), [&](const Document* a, const Document* b) {
            for (const Order& order : plan.order) {
                const Key x = key(*a, order);
                const Key y = key(*b, order);
                if (x == y) continue;
                if (x.index() == 0 || y.index() == 0) return x.index() != 0;
                return order.descending ? x > y : x < y;
            }
            return false;
        });
        std::vector<Rid> rids;
        rids.reserve(found.size());
        for (const Document* d : found) rids.push_back(d->rid);
        return rids;
    }
};

// --- random conditions ---

struct Maker {
    Random& random;
    const World& world;

    template <class T>
    std::vector<T> some_of(int most, auto make) {
        std::vector<T> values;
        for (int i = below(random, most + 1); i > 0; --i) values.push_back(static_cast<T>(make()));
        return values;
    }
    Rid any_rid() { return 1 + below(random, static_cast<int>(world.documents.size())); }
    Identity any_identity() {
        return chance(random, 5) ? Identity{patient_type, "nobody"} : world.identity(any_rid());
    }
    Identity any_patient() {
        return chance(random, 5) ? any_identity() : world.identity(1 + below(random, 10));
    }
    NumberBox number_box() {
        NumberBox box;
        if (chance(random, 35)) box.lo_from = numbers_known[below(random, 9)];
        if (chance(random, 35)) box.lo_below = numbers_known[below(random, 9)];
        if (chance(random, 35)) box.hi_above = numbers_known[below(random, 9)];
        if (chance(random, 35)) box.hi_to = numbers_known[below(random, 9)] + below(random, 3);
        return box;
    }
    DateBox date_box() {
        DateBox box;
        if (chance(random, 35)) box.lo_from = some_day(random);
        if (chance(random, 35)) box.lo_below = some_day(random) + below(random, 2);
        if (chance(random, 35))
            box.hi_above = chance(random, 5) ? open_end : some_day(random) + below(random, 3) * day;
        if (chance(random, 35)) box.hi_to = some_day(random) + below(random, 4) * day;
        return box;
    }
    std::unique_ptr<Condition> boxed(Condition condition) {
        return std::make_unique<Condition>(std::move(condition));
    }

    /// A condition on a main code or date, and what it leaves of each chart.
    std::pair<Condition, ChartRange> in_chart(Name type) {
        ChartRange range{type, param_of(type, token_b)};
        if (chance(random, 60)) {
            range.codes.push_back(1000 + below(random, 2));
            if (chance(random, 20)) range.codes.push_back(1002);
            return {HasToken{range.code_param, range.codes}, range};
        }
        if (chance(random, 70)) range.date_from = some_day(random);
        if (chance(random, 70)) range.date_below = some_day(random);
        OfPatient of{type, {}, {}, range.date_from, range.date_below};
        for (Rid patient = 1; patient <= 10; ++patient)
            of.patients.push_back(world.identity(patient));
        return {std::move(of), range};
    }

    static constexpr int kinds = 23;
    Condition value(Name type, int kind) {
        switch (kind) {
            case 0:
                return HasToken{param_of(type, token_a),
                                some_of<std::int64_t>(chance(random, 20) ? 14 : 3,
                                                      [&] { return below(random, 14); })};
            case 1:
                return HasToken{param_of(type, token_b), {1000 + below(random, 2)}};
            case 2:
                return HasTokenIn{param_of(type, token_a), below(random, 8), 3 + below(random, 8)};
            case 3: {
                const auto match = static_cast<StringMatch>(below(random, 4));
                std::string text = names_known[below(random, 10)];
                if (match == StringMatch::exact && chance(random, 50)) text = "X" + text;
                return HasString{
                    param_of(type, string_a), match,
                    chance(random, 30) ? text.substr(0, text.starts_with("王") ? 3 : 1) : text};
            }
            case 4:
                return HasDate{param_of(type, date_a), date_box()};
            case 5:
                return HasNumber{param_of(type, number_a), number_box()};
            case 6:
                return HasQuantity{param_of(type, quantity_a),
                                   some_of<Name>(2, [&] { return below(random, 4); }),
                                   number_box()};
            case 7:
                return HasUri{param_of(type, uri_a), chance(random, 50),
                              uris_known[below(random, 6)]};
            case 8: {
                HasComposite composite{param_of(type, composite_a),
                                       some_of<std::int64_t>(3, [&] { return below(random, 5); })};
                composite.seconds = some_of<std::int64_t>(2, [&] { return below(random, 4); });
                if (chance(random, 50)) composite.box = number_box();
                if (chance(random, 30)) composite.starts = names_known[below(random, 10)];
                return composite;
            }
            default:
                return HasAny{param_of(type, static_cast<ParamKind>(below(random, content_a + 1)))};
        }
    }
    Condition link(Name type, int kind, int depth) {
        switch (kind) {
            case 10: {
                const Name id_type =
                    type == 0 || chance(random, 10) ? 1 + below(random, types_end - 1) : type;
                HasId has{id_type, {}};
                for (int i = below(random, 6); i > 0; --i)
                    has.ids.push_back(world.at(any_rid()).id);
                return has;
            }
            case 11: {
                HasReference has{param_of(type, chance(random, 50) ? reference_a : reference_b),
                                 {}};
                const bool of_patients = chance(random, 50);
                for (int i = below(random, chance(random, 20) ? 20 : 3); i >= 0; --i)
                    has.targets.push_back(of_patients ? any_patient() : any_identity());
                // reference_b is a patient path: what refers to patients by it concerns them.
                has.concerns_targets = has.param == param_of(type, reference_b) &&
                                       std::ranges::all_of(has.targets, [](const Identity& target) {
                                           return target.type == patient_type;
                                       });
                return has;
            }
            case 12: {
                HasText has{param_of(type, chance(random, 50) ? text_a : content_a),
                            some_words(random, 2), chance(random, 50), chance(random, 30)};
                if (has.prefix && has.words.size() > 2) has.words.pop_back();
                return has;
            }
            case 13:
            case 14: {
                const Name target = 1 + below(random, types_end - 1);
                return RefersTo{param_of(type, chance(random, 50) ? reference_a : reference_b),
                                target, boxed(any(target, depth - 1))};
            }
            case 15:
            case 16: {
                const Name source = 1 + below(random, types_end - 1);
                return ReferredBy{param_of(source, chance(random, 50) ? reference_a : reference_b),
                                  source, boxed(any(source, depth - 1))};
            }
            case 17:
            case 18: {
                OfPatient of{chance(random, 5) ? 1 + below(random, types_end - 1) : type,
                             {any_patient()}};
                while (chance(random, 30)) of.patients.push_back(any_patient());
                of.codes = some_of<std::int64_t>(2, [&] { return 1 + below(random, 4); });
                if (chance(random, 30)) of.date_from = some_day(random);
                if (chance(random, 30)) of.date_below = some_day(random);
                return of;
            }
            case 21: {
                const Name source = 1 + below(random, types_end - 1);
                auto [where, range] = in_chart(source);
                if (chance(random, 30)) {
                    AllOf both;
                    both.parts.push_back(any(source, depth - 1));
                    both.parts.push_back(std::move(where));
                    where = std::move(both);
                }
                if (chance(random, 70))
                    range.other_paths = std::vector{param_of(source, reference_c)};
                return ReferredBy{param_of(source, reference_b), source, boxed(std::move(where)),
                                  range};
            }
            case 22: {
                auto [where, range] = in_chart(type);
                AllOf both;
                both.parts.push_back(RefersTo{param_of(type, reference_b), patient_type,
                                              boxed(any(patient_type, depth - 1)), range});
                both.parts.push_back(std::move(where));
                if (chance(random, 30)) both.parts.push_back(any(type, depth - 1));
                return both;
            }
            case 19:
                return InCompartment{any_patient(),
                                     chance(random, 50) ? 0 : 1 + below(random, types_end - 1)};
            default: {  // 20
                const int from = below(random, static_cast<int>(world.next_position));
                return ChangedWithin{from, from + below(random, 200)};
            }
        }
    }
    Condition leaf(Name type, int depth) {
        // A search over all types still names parameters of one.
        const Name of = type == 0 ? 1 + below(random, types_end - 1) : type;
        const int kind = below(random, depth > 0 ? kinds : 10);
        return kind < 10 ? value(of, kind) : link(kind == 10 ? type : of, kind, depth);
    }
    Condition any(Name type, int depth) {
        if (depth <= 0 || chance(random, 45)) {
            if (chance(random, 3)) return Everything{};
            if (chance(random, 2)) return Nothing{};
            return leaf(type, depth);
        }
        Conditions parts;
        for (int i = below(random, 4); i > 0; --i) parts.push_back(any(type, depth - 1));
        const int kind = below(random, 10);
        const bool first_admits = !parts.empty() && chance(random, 40);
        if (kind < 5) return AllOf{std::move(parts), first_admits};
        if (kind < 8) return AnyOf{std::move(parts)};
        return NoneOf{std::move(parts)};
    }
    std::vector<Order> orders(Name type) {
        std::vector<Order> orders;
        while (orders.size() < 3 && chance(random, orders.empty() ? 60 : 40)) {
            static constexpr std::pair<SortKind, ParamKind> sorts[] = {
                {SortKind::token, token_a},
                {SortKind::string, string_a},
                {SortKind::date, date_a},
                {SortKind::number, number_a},
                {SortKind::quantity, quantity_a},
                {SortKind::reference, reference_a},
                {SortKind::uri, uri_a},
                {SortKind::token, token_b},
                {SortKind::id, token_a},
                {SortKind::updated, token_a},
                {SortKind::patient_date, token_a},
                {SortKind::patient_date, token_a}};
            const auto [kind, param] = sorts[below(random, 12)];
            const Name of = type == 0 ? Name{observation_type} : type;
            orders.push_back({kind, param_of(of, param), chance(random, 50)});
        }
        return orders;
    }
};

// --- what a failure says ---

inline std::string describe(const Condition& condition);
// No overload of describe: clang would try to make one Condition of the list.
inline std::string describe_parts(const Conditions& parts) {
    std::string text;
    for (const Condition& part : parts) text += (text.empty() ? "" : ", ") + describe(part);
    return text;
}
template <class T>
std::string describe_box(const Box<T>& box) {
    const auto bound = [](const char* name, const std::optional<T>& value) {
        return value ? fmt::format(" {}{}", name, *value) : std::string();
    };
    return bound("lo>=", box.lo_from) + bound("lo<", box.lo_below) + bound("hi>", box.hi_above) +
           bound("hi<=", box.hi_to);
}
inline std::string describe(const Condition& condition) {
    return std::visit(
        []<class Kind>(const Kind& c) -> std::string {
            if constexpr (std::is_same_v<Kind, AllOf>)
                return "all(" + describe_parts(c.parts) + ")";
            if constexpr (std::is_same_v<Kind, AnyOf>)
                return "any(" + describe_parts(c.parts) + ")";
            if constexpr (std::is_same_v<Kind, NoneOf>)
                return "none(" + describe_parts(c.parts) + ")";
            if constexpr (std::is_same_v<Kind, RefersTo>)
                return fmt::format("refers[{} to {}]({})", c.param, c.target_type,
                                   describe(*c.target));
            if constexpr (std::is_same_v<Kind, ReferredBy>)
                return fmt::format("referred[{} by {}]({})", c.param, c.source_type,
                                   describe(*c.source));
            if constexpr (requires { c.box; })
                return fmt::format("{}[{}{}]", __PRETTY_FUNCTION__ + 90, c.param,
                                   describe_box(c.box));
            if constexpr (requires { c.param; })
                return fmt::format("{}[{}]", __PRETTY_FUNCTION__ + 90, c.param);
            return __PRETTY_FUNCTION__ + 90;
        },
        condition.as_variant());
}
inline std::string describe(const Plan& plan) {
    std::string text =
        fmt::format("type {} limit {} where {} order", plan.type, plan.limit, describe(plan.where));
    for (const Order& order : plan.order)
        text += fmt::format(" {}{}:{}", order.descending ? "-" : "", static_cast<int>(order.kind),
                            order.param);
    return text;
}

/// One page, its continuation, and the count, against the naive evaluation. `search` and `count`
/// answer `plan` as it stands.
template <class Search, class Count>
void expect_as_naive(const World& world, Plan& plan, Search search, Count count) {
    SCOPED_TRACE(describe(plan));
    const auto all = Naive{world}.matches(plan);
    std::vector<Rid> walked;
    auto given = std::make_shared<std::unordered_set<Rid>>();
    for (bool more = true; more;) {
        const auto page = search();
        ASSERT_TRUE(page) << page.error().message << " " << page.error().where;
        ASSERT_LE(page->rids.size(), plan.limit);
        walked.insert(walked.end(), page->rids.begin(), page->rids.end());
        more = page->more;
        if (more) {
            ASSERT_EQ(page->rids.size(), plan.limit);
        }
        if (plan.limit == 0) {
            ASSERT_EQ(more, !all.empty());
            break;
        }
        if (walked.size() > all.size()) break;
        if (plan.order.empty() && !page->rids.empty()) {
            plan.after = page->rids.back();
        } else {
            given->insert(page->rids.begin(), page->rids.end());
            plan.exclude = given;
        }
    }
    if (plan.limit > 0) {
        ASSERT_EQ(walked, all);
    }
    const auto counted = count();
    ASSERT_TRUE(counted) << counted.error().message;
    ASSERT_EQ(*counted, static_cast<std::int64_t>(all.size()));
}

}  // namespace meridian::store::search_world
