// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "store/engine/resolve.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/layout.hpp"

namespace meridian::store::postgres {

/// Collects index rows of many resource versions and writes those of each table with one statement,
/// in key order. Rows are in no table before flush.
class IndexWriter {
 public:
    explicit IndexWriter(Layout layout) : layout_(layout) {}

    /// Whose rows they are.
    struct Owner {
        Rid rid;
        Rid home;  ///< home patient
        Name type;
    };
    /// The rows of a version that becomes current. `texts` are those of rows.texts, with their
    /// words.
    void add(const Owner& owner, const ResolvedRows& rows, const std::vector<ResolvedText>& texts);
    /// The rows of a version that is current no longer. What its successor adds again is left in
    /// place. Between two flushes each rid may be removed and added once.
    void remove(const Owner& owner, const ResolvedRows& rows, const std::vector<int>& text_fields);

    /// Queues the deletes and inserts of what differs.
    void send(Connection& connection);
    void clear() { *this = IndexWriter(layout_); }

 private:
    using Token = std::tuple<Name, std::int64_t, Rid, Rid>;  // param, value, rid, patient
    using String = std::tuple<Name, std::string, Rid, std::string, Rid>;
    using Date = std::tuple<Name, int, std::int64_t, std::int64_t, Rid, Rid>;
    using Number = std::tuple<Name, double, double, Rid, Rid>;
    using Quantity = std::tuple<Name, Name, double, double, Rid, Rid>;
    using Reference = std::tuple<Name, Rid, Rid, Rid>;
    using Uri = std::tuple<Name, std::string, Rid, Rid>;
    using Composite =
        std::tuple<Name, std::int64_t, std::int64_t, double, double, Rid, std::string, Rid>;
    using Patient = std::tuple<Rid, Name, std::int64_t, std::int64_t, Rid, Rid>;
    using Compartment = std::tuple<Rid, Rid, Rid>;
    using View = std::tuple<Name, std::string, Rid, Rid>;  // view, key, rid, patient
    using Text = std::tuple<Rid, int, Name, Rid, std::string>;

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
    static void spread(const Owner& owner, const ResolvedRows& rows, Batch& batch);
    void send_views(Connection& connection);
    void send_texts(Connection& connection);

    Layout layout_;
    Batch inserts_, deletes_;
    std::vector<std::pair<View, std::string>> view_inserts_;
    std::vector<View> view_deletes_;
    std::vector<Text> text_inserts_;
    std::vector<std::tuple<Rid, int, Rid>> text_deletes_;  // rid, field, patient
};

}  // namespace meridian::store::postgres
