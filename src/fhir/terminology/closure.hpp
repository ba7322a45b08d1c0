// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/terminology/value_set.hpp"
#include "store/store.hpp"

namespace meridian::fhir::terminology {

/// A concept that a client puts into a closure table.
struct ClosureConcept {
    std::string system;
    std::string version{};  ///< of the code system; empty = the newest here
    std::string code;
};

/// One row of a closure table: `ancestor` subsumes `code`, both of `system`.
struct ClosureEntry {
    std::string system;
    std::string code;
    std::string ancestor;
    auto operator<=>(const ClosureEntry&) const = default;
};

/// What a call adds to the client's table.
struct ClosureAnswer {
    std::int64_t version = 0;  ///< of the table after the call
    std::vector<ClosureEntry> entries{};
};

/// Closure tables that clients keep with the server's help
/// (https://hl7.org/fhir/R4/terminology-service.html#closure): the server remembers which concepts
/// each has put in, and tells what of them subsumes what. A table is a row of versions, each kept
/// durably as one setting of the store: its concepts and its new rows. Thread-safe.
class Closures {
 public:
    /// The store must outlive this.
    Closures(store::Store& store, std::shared_ptr<const Library> library)
        : store_(store), library_(std::move(library)) {}

    /// Makes the table, or empties the one of that name. Errors: `incorrect` for an empty name or
    /// a long one; `busy` beyond limits::closures_max tables; the
    /// store's. Blocking: disk.
    Result<ClosureAnswer> start(std::string_view name);
    /// Adds concepts: all of them, or none. Concepts that are in it already add nothing. Errors:
    /// `unprocessable` for an unknown table, system or code; `too_large` beyond
    /// limits::closure_concepts_max concepts, or when one call would answer with more than ten
    /// times as many rows. Blocking: disk.
    Result<ClosureAnswer> add(std::string_view name, std::span<const ClosureConcept> concepts);
    /// The rows that came after `version`. Errors: `unprocessable` for an unknown table, or for a
    /// version that it never had or that was emptied since. Blocking: disk.
    Result<ClosureAnswer> since(std::string_view name, std::string_view version);

 private:
    /// Versions (first, last] are in force; what is not after `first` was emptied.
    struct Table {
        std::int64_t first = 0;
        std::int64_t last = 0;
        std::map<std::string, std::set<std::string, std::less<>>, std::less<>> concepts{};
        std::size_t size = 0;
    };
    struct Chunk;
    Result<Table*> find(std::string_view name);
    Result<Chunk> read_chunk(std::string_view name, std::int64_t version);
    Result<void> save_head(std::string_view name, const Table& table);

    store::Store& store_;
    std::shared_ptr<const Library> library_;
    std::mutex mutex_;
    std::map<std::string, Table, std::less<>> tables_;  ///< those asked for since the start
};

}  // namespace meridian::fhir::terminology
