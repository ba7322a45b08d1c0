// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "base/result.hpp"
#include "store/engine/index_rows.hpp"
#include "store/engine/resolve.hpp"
#include "store/rows.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::sqlite {

/// Rowid of a full-text row.
inline std::int64_t text_rowid(Rid rid, int field) {
    return rid * 2 + field;
}
/// Collects index rows of many resource versions and writes them table by table in key order:
/// neighbouring rows then go to the same page, which is what makes a load of millions fast
/// (docs/adr/0004). Rows are in no table before flush.
class IndexWriter {
 public:
    /// The rows of a version that becomes current; takes them. `texts` are those of rows.texts,
    /// with their words.
    void add(Rid rid, Name type, ResolvedRows rows, std::vector<ResolvedText> texts);
    /// The rows of a version that is current no longer. What its successor adds again is left in
    /// place. Between two flushes each rid may be removed and added once.
    void remove(Rid rid, Name type, ResolvedRows rows, const std::vector<int>& text_fields);

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    /// Deletes and inserts what differs. Errors: as Database.
    Result<void> flush(Database& database);
    void clear();

 private:
    using Token = std::tuple<Name, std::int64_t, Rid>;
    using String = std::tuple<Name, std::string, Rid, std::string>;
    using Date = std::tuple<Name, int, std::int64_t, std::int64_t, Rid>;
    using Number = std::tuple<Name, double, double, Rid>;
    using Quantity = std::tuple<Name, Name, double, double, Rid>;
    using Reference = std::tuple<Name, Rid, Rid>;
    using Uri = std::tuple<Name, std::string, Rid>;
    using Composite =
        std::tuple<Name, std::int64_t, std::int64_t, double, double, std::string, Rid>;
    using Patient = std::tuple<Rid, Name, std::int64_t, std::int64_t, Rid>;
    using PatientCode = std::tuple<Name, std::int64_t, Rid>;
    using Compartment = std::tuple<Rid, Rid>;
    using View = std::tuple<Name, std::string, Rid>;

    /// Rows to insert and rows to delete of every table whose row is its key.
    struct Batch {
        std::vector<Token> tokens;
        std::vector<String> strings;
        std::vector<Date> dates;
        std::vector<Number> numbers;
        std::vector<Quantity> quantities;
        std::vector<Reference> references;
        std::vector<Uri> uris;
        std::vector<Composite> composites;
        std::vector<Patient> patients;
        std::vector<Compartment> compartments;
    };
    static void spread(Rid rid, Name type, ResolvedRows& rows, Batch& batch);
    Result<void> flush_patients(Database& database);
    Result<void> flush_views(Database& database);
    Result<void> flush_texts(Database& database);

    Batch inserts_, deletes_;
    std::vector<std::pair<View, std::string>> view_inserts_;
    std::vector<View> view_deletes_;
    std::vector<std::pair<std::int64_t, std::string>> text_inserts_;  ///< by rowid
    std::vector<std::int64_t> text_deletes_;
    std::size_t size_ = 0;
};

}  // namespace meridian::store::sqlite
