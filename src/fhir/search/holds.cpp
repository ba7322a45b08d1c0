// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/holds.hpp"

#include "fhir/search/run.hpp"

namespace meridian::fhir::search {

namespace {

template <class T>
bool inside(const store::Box<T>& box, T lo, T hi) {
    return !(box.lo_from && lo < *box.lo_from) && !(box.lo_below && lo >= *box.lo_below) &&
           !(box.hi_above && hi <= *box.hi_above) && !(box.hi_to && hi > *box.hi_to);
}

template <class T>
bool is_in(const std::vector<T>& values, const T& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

template <class List, class Wanted>
bool some(const List& rows, Wanted wanted) {
    return std::any_of(rows.begin(), rows.end(), wanted);
}

/// The rows that have this parameter are looked at one by one.
template <class List, class Wanted>
bool some_of(const List& rows, store::Name param, Wanted wanted) {
    return some(rows, [&](const auto& row) { return row.param == param && wanted(row); });
}

bool has_words(const store::TextRow& row, const store::HasText& condition) {
    const std::string text = fmt::format(" {} ", row.words);
    const auto holds_words = [&](std::string_view words) {
        // The last word of the condition may be the start of a longer one.
        const bool is_start = condition.prefix && condition.words.ends_with(words);
        return text.find(fmt::format(" {}{}", words, is_start ? "" : " ")) != std::string::npos;
    };
    if (condition.phrase) return !condition.words.empty() && holds_words(condition.words);
    std::size_t begin = 0;
    bool any = false;
    while (begin < condition.words.size()) {
        const std::size_t end = std::min(condition.words.find(' ', begin), condition.words.size());
        if (end > begin) {
            any = true;
            if (!holds_words(std::string_view(condition.words).substr(begin, end - begin)))
                return false;
        }
        begin = end + 1;
    }
    return any;
}

/// Whether the record has to be asked, beyond the candidate's own rows.
bool asks_record(const store::Condition& condition) {
    const auto some_part = [](const store::Conditions& parts) {
        return std::any_of(parts.begin(), parts.end(), asks_record);
    };
    if (const auto* all = std::get_if<store::AllOf>(&condition.as_variant()))
        return some_part(all->parts);
    if (const auto* any = std::get_if<store::AnyOf>(&condition.as_variant()))
        return some_part(any->parts);
    if (const auto* none = std::get_if<store::NoneOf>(&condition.as_variant()))
        return some_part(none->parts);
    return std::holds_alternative<store::RefersTo>(condition.as_variant()) ||
           std::holds_alternative<store::ReferredBy>(condition.as_variant());
}

struct Evaluation {
    const Candidate& candidate;
    store::Snapshot& snapshot;

    Result<bool> holds(const store::Condition& condition) const {
        return std::visit(*this, condition.as_variant());
    }

    Result<bool> operator()(const store::Everything&) const { return true; }
    Result<bool> operator()(const store::Nothing&) const { return false; }
    /// The record is asked last: what a label denies takes no search then.
    Result<bool> operator()(const store::AllOf& condition) const {
        for (const bool asking : {false, true}) {
            for (const auto& part : condition.parts) {
                if (asks_record(part) == asking && !TRY(holds(part))) return false;
            }
        }
        return true;
    }
    Result<bool> operator()(const store::AnyOf& condition) const {
        for (const auto& part : condition.parts) {
            if (TRY(holds(part))) return true;
        }
        return false;
    }
    Result<bool> operator()(const store::NoneOf& condition) const {
        for (const auto& part : condition.parts) {
            if (TRY(holds(part))) return false;
        }
        return true;
    }
    Result<bool> operator()(const store::HasId& c) const {
        return c.type == candidate.identity.type && is_in(c.ids, candidate.identity.id);
    }
    Result<bool> operator()(const store::HasToken& c) const {
        return some_of(candidate.rows.tokens, c.param,
                       [&](const auto& row) { return is_in(c.values, row.value); });
    }
    Result<bool> operator()(const store::HasTokenIn& c) const {
        return some_of(candidate.rows.tokens, c.param, [&](const auto& row) {
            return row.value >= c.first && row.value <= c.last;
        });
    }
    Result<bool> operator()(const store::HasString& c) const {
        return some_of(candidate.rows.strings, c.param, [&](const auto& row) {
            switch (c.match) {
                case store::StringMatch::exact:
                    return row.exact == c.text;
                case store::StringMatch::starts:
                    return row.folded.starts_with(c.text);
                case store::StringMatch::contains:
                    return row.folded.find(c.text) != std::string::npos;
                case store::StringMatch::ends:
                    return row.folded.ends_with(c.text);
            }
            return false;
        });
    }
    Result<bool> operator()(const store::HasDate& c) const {
        return some_of(candidate.rows.dates, c.param,
                       [&](const auto& row) { return inside(c.box, row.lo, row.hi); });
    }
    Result<bool> operator()(const store::HasNumber& c) const {
        return some_of(candidate.rows.numbers, c.param,
                       [&](const auto& row) { return inside(c.box, row.lo, row.hi); });
    }
    Result<bool> operator()(const store::HasQuantity& c) const {
        return some_of(candidate.rows.quantities, c.param, [&](const auto& row) {
            return (c.units.empty() || is_in(c.units, row.unit)) && inside(c.box, row.lo, row.hi);
        });
    }
    Result<bool> operator()(const store::HasUri& c) const {
        return some_of(candidate.rows.uris, c.param, [&](const auto& row) {
            return row.uri == c.uri || (c.below && row.uri.starts_with(c.uri + "/"));
        });
    }
    Result<bool> operator()(const store::HasReference& c) const {
        return some_of(candidate.rows.references, c.param,
                       [&](const auto& row) { return is_in(c.targets, row.target); });
    }
    Result<bool> operator()(const store::HasComposite& c) const {
        return some_of(candidate.rows.composites, c.param, [&](const auto& row) {
            return is_in(c.keys, row.key) && (c.seconds.empty() || is_in(c.seconds, row.second)) &&
                   inside(c.box, row.lo, row.hi) &&
                   (!c.starts || row.folded.starts_with(*c.starts));
        });
    }
    Result<bool> operator()(const store::HasText& c) const {
        return some_of(candidate.rows.texts, c.param,
                       [&](const auto& row) { return has_words(row, c); });
    }
    Result<bool> operator()(const store::HasAny& c) const {
        const auto own = [&](const auto& row) { return row.param == c.param; };
        const store::Rows& rows = candidate.rows;
        return some(rows.tokens, own) || some(rows.strings, own) || some(rows.dates, own) ||
               some(rows.numbers, own) || some(rows.quantities, own) ||
               some(rows.references, own) || some(rows.uris, own) || some(rows.composites, own) ||
               some(rows.texts, own);
    }
    Result<bool> operator()(const store::RefersTo& c) const {
        store::HasId targets{c.target_type, {}};
        for (const auto& row : candidate.rows.references) {
            if (row.param == c.param && row.target.type == c.target_type)
                targets.ids.push_back(row.target.id);
        }
        if (targets.ids.empty()) return false;
        return finds(c.target_type, admitted_by(clone(*c.target), std::move(targets)));
    }
    Result<bool> operator()(const store::ReferredBy& c) const {
        store::AllOf both;
        both.parts.push_back(store::HasReference{c.param, {candidate.identity}});
        both.parts.push_back(clone(*c.source));
        return finds(c.source_type, std::move(both));
    }
    Result<bool> operator()(const store::OfPatient& c) const {
        return c.type == candidate.identity.type &&
               some(candidate.rows.patients, [&](const auto& row) {
                   return is_in(c.patients, row.patient) &&
                          (c.codes.empty() ? row.code == 0 : is_in(c.codes, row.code)) &&
                          row.date >= c.date_from && row.date < c.date_below;
               });
    }
    Result<bool> operator()(const store::InCompartment& c) const {
        return (c.type == 0 || c.type == candidate.identity.type) &&
               (candidate.identity == c.patient || is_in(candidate.rows.compartments, c.patient));
    }
    Result<bool> operator()(const store::ChangedWithin& c) const {
        return candidate.position >= c.from && candidate.position < c.below;
    }

    Result<bool> finds(store::Name type, store::Condition where) const {
        store::Plan plan;
        plan.type = type;
        plan.limit = 1;
        plan.where = std::move(where);
        return !TRY(snapshot.search(plan)).rids.empty();
    }
};

}  // namespace

Result<bool> holds(const store::Condition& condition, const Candidate& candidate,
                   store::Snapshot& snapshot) {
    return Evaluation{candidate, snapshot}.holds(condition);
}

}  // namespace meridian::fhir::search
