// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/rows.hpp"
#include "store/sqlite/database.hpp"

/// Cursors over single tables and streams of rids: the lowest layer of a search.
namespace meridian::store::sqlite {

/// After the last rid of a stream.
inline constexpr Rid no_rid = std::numeric_limits<Rid>::max();

/// Every statement a search may run. Each one reads one table by a prefix of one key, in the order
/// of that key.
enum class Sql : unsigned char {
    token_at,
    token_range,
    token_up,
    token_down,
    string_at,
    string_range,
    string_up,
    string_down,
    date_range,
    date_up,
    date_down,
    number_range,
    number_up,
    number_down,
    quantity_range,
    quantity_unit,
    quantity_up,
    quantity_down,
    reference_at,
    reference_up,
    reference_down,
    uri_at,
    uri_range,
    uri_up,
    uri_down,
    composite_key,
    composite_pair,
    patient_range,
    patient_up,
    patient_down,
    patients_of_code,
    compartment_of,
    type_scan,
    whole_scan,
    resource_of,
    id_of,
    forward_of,
    directory_of,
    directory_up,
    directory_down,
    text_match,
    text_here,
    log_range,
    log_type_range,
    log_last,
    audits_below,
    log_type_up,
    log_type_down,
    param_tokens,
    param_strings,
    param_dates,
    param_numbers,
    param_quantities,
    param_references,
    param_uris,
    param_composites,
    token_count,
    type_total,
    resource_last,
    last,
};
std::string_view sql_text(Sql sql);

/// How much work a search puts into one way before it tries the other; only speed depends on it.
struct SearchAllowances {
    std::uint64_t join = 640;  ///< first try to collect a condition's matches: about 0.1 ms
    std::uint64_t sorted =
        2'500;  ///< first try to collect all matches of a sorted search: about 0.5 ms
    std::uint64_t count = 50'000;  ///< first try to collect a condition's matches for a count
    /// What listing the resources within a caller's reach may cost before the search is made as
    /// anybody's (search_admitted.hpp): 2 ms, and up to 10 ms more for asking each of them.
    std::uint64_t reach = 8'192;
    /// The same for what these rights are told by: an organisation's patients, say. Also a read by
    /// id pays it.
    std::uint64_t link_reach = 256;
};

/// One search in progress: its connection, its borrowed statements, what it has cost, and its first
/// failure. A failed read ends every stream; whoever started the search asks failure() at the end.
class Run {
 public:
    Run(Database& database, const Names& names, const SearchAllowances& allowances = {})
        : database_(database), names_(names), allowances_(allowances) {}
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    const Names& names() const { return names_; }
    const SearchAllowances& allowances() const { return allowances_; }
    std::uint64_t work() const { return work_; }
    void spend(std::uint64_t units) { work_ += units; }
    bool failed() const { return failure_.has_value(); }
    const std::optional<Error>& failure() const { return failure_; }
    void note(Error error) {
        if (!failure_) failure_ = std::move(error);
    }

    /// A statement of this kind that nobody else of this search is stepping.
    std::optional<Statement> borrow(Sql sql);
    void give_back(Sql sql, Statement statement);

    /// While it is even, conditions are made ready and tested at the same price whatever is stored
    /// that the caller may not see (search_admitted.hpp).
    bool is_even() const { return is_even_; }
    void set_even(bool even) { is_even_ = even; }
    void withhold(std::uint64_t units) { withheld_ += units; }
    std::uint64_t withheld() const { return withheld_; }
    void note_open() { ++open_; }
    std::uint64_t open() const { return open_; }
    void note_by_rights() { is_by_rights_ = true; }
    bool is_by_rights() const { return is_by_rights_; }

 private:
    static constexpr auto kinds = static_cast<std::size_t>(Sql::last);
    Database& database_;
    const Names& names_;
    SearchAllowances allowances_;
    std::uint64_t work_ = 0;
    std::uint64_t withheld_ = 0;
    std::uint64_t open_ = 0;
    bool is_even_ = false;
    bool is_by_rights_ = false;
    std::optional<Error> failure_;
    std::vector<Statement> idle_[kinds];
    unsigned borrowed_[kinds] = {};
};

/// A statement in use. open() starts it anew with other values, next() steps. Text values must
/// outlive the cursor's use.
class Cursor {
 public:
    Cursor(Run& run, Sql sql) : run_(&run), sql_(sql), statement_(run.borrow(sql)) {}
    ~Cursor() {
        if (statement_) run_->give_back(sql_, std::move(*statement_));
    }
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;

    template <class... Values>
    void open(const Values&... values) {
        done_ = !statement_;
        if (done_) return;
        run_->spend(look_up_work);
        statement_->reset();
        statement_->bind_all(values...);
    }
    /// False at the end and after a failure.
    bool next();
    std::int64_t integer(int column) const { return statement_->integer(column); }
    double real(int column) const { return statement_->real(column); }
    std::string_view text(int column) const { return statement_->text(column); }
    std::string_view blob(int column) const { return statement_->blob(column); }

    /// What starting a statement costs, in stepped rows.
    static constexpr std::uint64_t look_up_work = 6;

 private:
    Run* run_;
    Sql sql_;
    std::optional<Statement> statement_;
    bool done_ = true;
};

/// Rids in ascending order, each once.
class Stream {
 public:
    virtual ~Stream() = default;
    /// The smallest rid of the stream that is at least `at_least`; no_rid when there is none. Calls
    /// may come in any order; rising ones are cheap.
    Rid seek(Rid at_least) {
        if (at_least < asked_ || at_least > found_) {
            found_ = find(at_least);
            asked_ = at_least;
        }
        return found_;
    }

 protected:
    virtual Rid find(Rid at_least) = 0;
    void forget() {
        asked_ = no_rid;
        found_ = 0;
    }

 private:
    Rid asked_ = no_rid;
    Rid found_ = 0;
};

/// The rids under one key of a table clustered by (…, rid), e.g. one token of one parameter.
class KeyStream final : public Stream {
 public:
    KeyStream(Run& run, Sql sql, std::int64_t first)
        : cursor_(run, sql), first_(first), form_(Form::one) {}
    KeyStream(Run& run, Sql sql, std::int64_t first, std::int64_t second)
        : cursor_(run, sql), first_(first), second_(second), form_(Form::two) {}
    KeyStream(Run& run, Sql sql, std::int64_t first, std::string second)
        : cursor_(run, sql), first_(first), text_(std::move(second)), form_(Form::text) {}
    /// Without a key: the table itself.
    KeyStream(Run& run, Sql sql) : cursor_(run, sql), form_(Form::none) {}

    /// Changes the second part of the key.
    void aim(std::int64_t second) {
        second_ = second;
        open_ = false;
        forget();
    }

 protected:
    Rid find(Rid at_least) override;

 private:
    enum class Form : unsigned char { none, one, two, text };
    void open(Rid at_least);

    Cursor cursor_;
    std::int64_t first_ = 0;
    std::int64_t second_ = 0;
    std::string text_;
    Form form_;
    bool open_ = false;
    Rid last_ = 0;
};

/// Full-text matches in one field (0 = _text, 1 = _content).
class TextStream final : public Stream {
 public:
    TextStream(Run& run, std::string match, int field)
        : cursor_(run, Sql::text_match), match_(std::move(match)), field_(field) {}

 protected:
    Rid find(Rid at_least) override;

 private:
    Cursor cursor_;
    std::string match_;
    int field_;
    bool open_ = false;
    Rid last_ = 0;
};

/// A set that was collected before.
class SetStream final : public Stream {
 public:
    explicit SetStream(std::vector<Rid> rids) : rids_(std::move(rids)) {}

 protected:
    Rid find(Rid at_least) override;

 private:
    std::vector<Rid> rids_;  ///< ascending
    std::size_t at_ = 0;
};

/// What any of its parts gives.
class UnionStream final : public Stream {
 public:
    explicit UnionStream(std::vector<std::unique_ptr<Stream>> parts) : parts_(std::move(parts)) {}

 protected:
    Rid find(Rid at_least) override {
        Rid smallest = no_rid;
        for (auto& part : parts_) smallest = std::min(smallest, part->seek(at_least));
        return smallest;
    }

 private:
    std::vector<std::unique_ptr<Stream>> parts_;
};

/// Sorts and removes repetitions; linear when the rids lie dense.
void sort_unique(std::vector<Rid>& rids);

}  // namespace meridian::store::sqlite
