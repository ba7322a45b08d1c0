// SPDX-License-Identifier: Apache-2.0
// Conditions on the values that stand in a resource's own index rows. Each one is tested on the
// forward rows, and collected by range scans of its table.
#include <cmath>

#include "base/limits.hpp"
#include "store/sqlite/index_writer.hpp"
#include "store/sqlite/search_node.hpp"

namespace meridian::store::sqlite {

namespace {

/// Sorts after every text in UTF-8.
constexpr std::string_view after_all_text = "\xff";

/// The smallest text that sorts after every text that starts with `prefix`.
std::string after_prefix(std::string prefix) {
    // UTF-8 never holds the byte 0xff, so the last byte can always be raised.
    if (prefix.empty()) return std::string(after_all_text);
    prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
    return prefix;
}

template <class T>
bool inside(const Box<T>& box, T lo, T hi) {
    return (!box.lo_from || lo >= *box.lo_from) && (!box.lo_below || lo < *box.lo_below) &&
           (!box.hi_above || hi > *box.hi_above) && (!box.hi_to || hi <= *box.hi_to);
}

/// The part of the key in which a row of the box can lie: lo ≥ from, lo ≤ to. As hi ≥ lo, an upper
/// bound on hi bounds lo too.
struct RealRange {
    double from;
    double to;
    explicit RealRange(const NumberBox& box)
        : from(box.lo_from.value_or(-HUGE_VAL)),
          to(std::min(box.lo_below.value_or(HUGE_VAL), box.hi_to.value_or(HUGE_VAL))) {}
};

/// Steps through `cursor`, adding the rids of rows that `wanted` accepts.
template <class Wanted>
bool take_rows(Cursor& cursor, std::vector<Rid>& out, const Allowance& allowance, Wanted wanted) {
    while (cursor.next()) {
        if (wanted(cursor)) out.push_back(cursor.integer(0));
        if (allowance.spent()) return false;
    }
    return true;
}
bool take_rows(Cursor& cursor, std::vector<Rid>& out, const Allowance& allowance) {
    return take_rows(cursor, out, allowance, [](const Cursor&) { return true; });
}

class TokenNode final : public Node {
 public:
    TokenNode(Run& run, const HasToken& condition)
        : run_(run), param_(condition.param), values_(condition.values) {
        std::sort(values_.begin(), values_.end());
        values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
    }
    bool test(Candidate& candidate) override {
        // The key of one token lies on few pages that stay in the cache; forward rows of far-apart
        // candidates do not.
        if (values_.size() == 1 && !candidate.rows_read()) {
            if (!point_) point_.emplace(run_, Sql::token_at);
            point_->open(param_, values_.front(), candidate.rid());
            return point_->next() && point_->integer(0) == candidate.rid();
        }
        return any_row(candidate, candidate.rows().tokens(), param_, [&](auto& row) {
            return std::binary_search(values_.begin(), values_.end(), row.value);
        });
    }
    std::size_t stream_width() const override {
        return values_.size() <= limits::search_streams_max ? values_.size() : 0;
    }
    std::unique_ptr<Stream> stream() override {
        std::vector<std::unique_ptr<Stream>> streams;
        for (const std::int64_t value : values_) {
            streams.push_back(std::make_unique<KeyStream>(run_, Sql::token_at, param_, value));
        }
        if (streams.size() == 1) return std::move(streams.front());
        return std::make_unique<UnionStream>(std::move(streams));
    }
    std::optional<std::uint64_t> size_within(std::uint64_t most) override {
        if (is_counted_ || counted_ > most) return counted_;
        counted_ = 0;
        Cursor cursor(run_, Sql::token_at);
        for (const std::int64_t value : values_) {
            cursor.open(param_, value, 0);
            while (cursor.next()) {
                if (++counted_ > most) return counted_;
            }
        }
        is_counted_ = true;
        return counted_;
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        Cursor cursor(run_, Sql::token_at);
        for (const std::int64_t value : values_) {
            cursor.open(param_, value, 0);
            if (!take_rows(cursor, out, allowance)) return false;
        }
        return true;
    }

 private:
    Run& run_;
    Name param_;
    std::vector<std::int64_t> values_;
    std::optional<Cursor> point_;
    std::uint64_t counted_ = 0;  ///< rows, as far as they were counted
    bool is_counted_ = false;    ///< all were
};

class TokenRangeNode final : public Node {
 public:
    TokenRangeNode(Run& run, const HasTokenIn& condition) : run_(run), condition_(condition) {}
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().tokens(), condition_.param, [&](auto& row) {
            return row.value >= condition_.first && row.value <= condition_.last;
        });
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        Cursor cursor(run_, Sql::token_range);
        cursor.open(condition_.param, condition_.first, condition_.last);
        return take_rows(cursor, out, allowance);
    }

 private:
    Run& run_;
    HasTokenIn condition_;
};

class StringNode final : public Node {
 public:
    StringNode(Run& run, const HasString& condition) : run_(run), condition_(condition) {}
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().strings(), condition_.param,
                       [&](auto& row) { return matches(row.folded, row.exact); });
    }
    /// Under each folded text the rids lie in order: a start that few texts have is walked.
    std::size_t stream_width() const override {
        if (condition_.match != StringMatch::starts) return 0;
        if (!texts_) find_texts();
        return texts_->size() <= limits::search_streams_max
                   ? std::max<std::size_t>(texts_->size(), 1)
                   : 0;
    }
    std::unique_ptr<Stream> stream() override {
        std::vector<std::unique_ptr<Stream>> streams;
        for (const std::string& text : *texts_) {
            streams.push_back(
                std::make_unique<KeyStream>(run_, Sql::string_at, condition_.param, text));
        }
        if (streams.size() == 1) return std::move(streams.front());
        return std::make_unique<UnionStream>(std::move(streams));
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        const bool starts = condition_.match == StringMatch::starts;
        const std::string from = starts ? condition_.text : std::string();
        const std::string below = after_prefix(from);
        Cursor cursor(run_, Sql::string_range);
        cursor.open(condition_.param, from, below);
        return take_rows(cursor, out, allowance, [&](const Cursor& row) {
            if (starts) return true;
            const std::string_view exact = row.text(2);
            return matches(row.text(1), exact.empty() ? row.text(1) : exact);
        });
    }

 private:
    /// The texts that begin as asked; of many, one more than are walked side by side.
    void find_texts() const {
        texts_.emplace();
        Cursor next(run_, Sql::string_up);
        std::string from = condition_.text;
        while (texts_->size() <= limits::search_streams_max) {
            next.open(condition_.param, from);
            if (!next.next() || !next.text(0).starts_with(condition_.text)) return;
            texts_->emplace_back(next.text(0));
            from = texts_->back() + '\0';
        }
    }
    bool matches(std::string_view folded, std::string_view exact) const {
        switch (condition_.match) {
            case StringMatch::starts:
                return folded.starts_with(condition_.text);
            case StringMatch::exact:
                return exact == condition_.text;
            case StringMatch::contains:
                return folded.find(condition_.text) != std::string_view::npos;
            case StringMatch::ends:
                return folded.ends_with(condition_.text);
        }
        return false;
    }

    Run& run_;
    HasString condition_;
    mutable std::optional<std::vector<std::string>> texts_;  ///< looked up when first asked for
};

class DateNode final : public Node {
 public:
    DateNode(Run& run, const HasDate& condition)
        : run_(run), param_(condition.param), box_(condition.box) {}
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().dates(), param_,
                       [&](auto& row) { return inside(box_, row.lo, row.hi); });
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
        std::int64_t from = box_.lo_from.value_or(first);
        std::int64_t to = std::numeric_limits<std::int64_t>::max();
        if (box_.lo_below) {
            if (*box_.lo_below == first) return true;
            to = *box_.lo_below - 1;
        }
        if (box_.hi_to) to = std::min(to, *box_.hi_to);
        Cursor cursor(run_, Sql::date_range);
        const auto wanted = [&](const Cursor& row) {
            const std::int64_t hi = row.integer(1);
            return (!box_.hi_above || hi > *box_.hi_above) && (!box_.hi_to || hi <= *box_.hi_to);
        };
        cursor.open(param_, 1, from, to);
        if (!take_rows(cursor, out, allowance, wanted)) return false;
        // Of short rows, only those that start at most 32 days before hi_above can end after it.
        if (box_.hi_above && *box_.hi_above > first + short_span_milliseconds) {
            from = std::max(from, *box_.hi_above - short_span_milliseconds);
        }
        cursor.open(param_, 0, from, to);
        return take_rows(cursor, out, allowance, wanted);
    }

 private:
    Run& run_;
    Name param_;
    DateBox box_;
};

class NumberNode final : public Node {
 public:
    NumberNode(Run& run, const HasNumber& condition)
        : run_(run), param_(condition.param), box_(condition.box) {}
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().numbers(), param_,
                       [&](auto& row) { return inside(box_, row.lo, row.hi); });
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        const RealRange range(box_);
        Cursor cursor(run_, Sql::number_range);
        cursor.open(param_, range.from, range.to);
        return take_rows(cursor, out, allowance,
                         [&](const Cursor& row) { return inside(box_, row.real(1), row.real(2)); });
    }

 private:
    Run& run_;
    Name param_;
    NumberBox box_;
};

class QuantityNode final : public Node {
 public:
    QuantityNode(Run& run, const HasQuantity& condition)
        : run_(run), param_(condition.param), units_(condition.units), box_(condition.box) {}
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().quantities(), param_, [&](auto& row) {
            return (units_.empty() ||
                    std::find(units_.begin(), units_.end(), row.unit) != units_.end()) &&
                   inside(box_, row.lo, row.hi);
        });
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        if (!units_.empty()) {
            return std::all_of(units_.begin(), units_.end(),
                               [&](Name unit) { return collect_unit(unit, out, allowance); });
        }
        // Any unit: skip from unit to unit, as the range of values lies below each of them.
        Cursor next_unit(run_, Sql::quantity_unit);
        for (std::int64_t from = 0;;) {
            next_unit.open(param_, from);
            if (!next_unit.next()) return true;
            const std::int64_t unit = next_unit.integer(0);
            if (!collect_unit(static_cast<Name>(unit), out, allowance)) return false;
            from = unit + 1;
        }
    }

 private:
    bool collect_unit(Name unit, std::vector<Rid>& out, const Allowance& allowance) {
        const RealRange range(box_);
        Cursor cursor(run_, Sql::quantity_range);
        cursor.open(param_, unit, range.from, range.to);
        return take_rows(cursor, out, allowance,
                         [&](const Cursor& row) { return inside(box_, row.real(1), row.real(2)); });
    }

    Run& run_;
    Name param_;
    std::vector<Name> units_;
    NumberBox box_;
};

class UriNode final : public Node {
 public:
    UriNode(Run& run, const HasUri& condition)
        : run_(run), condition_(condition), folder_(condition.uri + "/") {}
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().uris(), condition_.param, [&](auto& row) {
            return row.uri == condition_.uri || (condition_.below && row.uri.starts_with(folder_));
        });
    }
    std::size_t stream_width() const override { return condition_.below ? 0 : 1; }
    std::unique_ptr<Stream> stream() override {
        return std::make_unique<KeyStream>(run_, Sql::uri_at, condition_.param, condition_.uri);
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        Cursor same(run_, Sql::uri_at);
        same.open(condition_.param, condition_.uri, 0);
        if (!take_rows(same, out, allowance)) return false;
        if (!condition_.below) return true;
        const std::string below = after_prefix(folder_);
        Cursor range(run_, Sql::uri_range);
        range.open(condition_.param, folder_, below);
        return take_rows(range, out, allowance);
    }

 private:
    Run& run_;
    HasUri condition_;
    std::string folder_;
};

class CompositeNode final : public Node {
 public:
    CompositeNode(Run& run, const HasComposite& condition) : run_(run), condition_(condition) {
        std::sort(condition_.keys.begin(), condition_.keys.end());
        std::sort(condition_.seconds.begin(), condition_.seconds.end());
    }
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().composites(), condition_.param, [&](auto& row) {
            return contains(condition_.keys, row.key) &&
                   matches(row.second, row.lo, row.hi, row.folded);
        });
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        const RealRange range(condition_.box);
        const auto wanted = [&](const Cursor& row) {
            return matches(row.integer(1), row.real(2), row.real(3), row.text(4));
        };
        Cursor pair(run_, Sql::composite_pair);
        Cursor single(run_, Sql::composite_key);
        for (const std::int64_t key : condition_.keys) {
            for (const std::int64_t second : condition_.seconds) {
                pair.open(condition_.param, key, second, range.from, range.to);
                if (!take_rows(pair, out, allowance, wanted)) return false;
            }
            if (!condition_.seconds.empty()) continue;
            single.open(condition_.param, key);
            if (!take_rows(single, out, allowance, wanted)) return false;
        }
        return true;
    }

 private:
    static bool contains(const std::vector<std::int64_t>& sorted, std::int64_t value) {
        return std::binary_search(sorted.begin(), sorted.end(), value);
    }
    bool matches(std::int64_t second, double lo, double hi, std::string_view folded) const {
        return (condition_.seconds.empty() || contains(condition_.seconds, second)) &&
               inside(condition_.box, lo, hi) &&
               (!condition_.starts || folded.starts_with(*condition_.starts));
    }

    Run& run_;
    HasComposite condition_;
};

class AnyRowNode final : public Node {
 public:
    AnyRowNode(Run& run, Name param) : run_(run), param_(param) {
        const std::string text = run.names().text(NameKind::parameter, param);
        // Full text does not know parameters, so it cannot list who has any.
        is_text_ = text.ends_with("_text") || text.ends_with("_content");
    }
    bool test(Candidate& candidate) override { return has_row(candidate, param_); }
    bool can_open() const override { return !is_text_; }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        static constexpr Sql tables[] = {
            Sql::param_tokens,     Sql::param_strings,    Sql::param_dates, Sql::param_numbers,
            Sql::param_quantities, Sql::param_references, Sql::param_uris,  Sql::param_composites};
        return !is_text_ && std::all_of(std::begin(tables), std::end(tables), [&](Sql table) {
            Cursor cursor(run_, table);
            cursor.open(param_);
            return take_rows(cursor, out, allowance);
        });
    }

 private:
    Run& run_;
    Name param_;
    bool is_text_;
};

}  // namespace

HasToken held(Run& run, const HasToken& condition) {
    if (condition.values.size() < 2 || condition.values.size() > limits::search_probes_max ||
        run.is_even())
        return condition;
    HasToken held{condition.param, {}};
    Cursor cursor(run, Sql::token_at);
    for (const std::int64_t value : condition.values) {
        cursor.open(condition.param, value, 0);
        if (cursor.next()) held.values.push_back(value);
    }
    return held;
}

std::unique_ptr<Node> prepare_value(Run& run, const HasToken& condition) {
    const HasToken asked = held(run, condition);
    if (asked.values.empty() && !run.is_even()) return never();
    return std::make_unique<TokenNode>(run, asked);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasTokenIn& condition) {
    return std::make_unique<TokenRangeNode>(run, condition);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasString& condition) {
    return std::make_unique<StringNode>(run, condition);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasDate& condition) {
    return std::make_unique<DateNode>(run, condition);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasNumber& condition) {
    return std::make_unique<NumberNode>(run, condition);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasQuantity& condition) {
    return std::make_unique<QuantityNode>(run, condition);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasUri& condition) {
    return std::make_unique<UriNode>(run, condition);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasComposite& condition) {
    if (condition.keys.empty()) return never();
    return std::make_unique<CompositeNode>(run, condition);
}
std::unique_ptr<Node> prepare_value(Run& run, const HasAny& condition) {
    return std::make_unique<AnyRowNode>(run, condition.param);
}

}  // namespace meridian::store::sqlite
