// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/repository.hpp"

namespace meridian::fhir {

/// The request of one bundle entry, taken apart.
struct EntryRequest {
    std::string method;  ///< upper case: GET, HEAD, POST, PUT, PATCH, DELETE
    std::string url;     ///< relative to the service base, without a leading '/'
    std::string type{}, id{};
    std::string query{};  ///< after '?', raw
};

/// A transaction bundle in parts: what it writes, in the order of its entries, and what it reads
/// afterwards.
struct ParsedTransaction {
    Transaction transaction;
    std::vector<std::size_t> entry_of_operation;  ///< index into Bundle.entry, one per operation
    struct Read {
        std::size_t entry;
        EntryRequest request;
        std::string if_none_match{}, if_modified_since{};
    };
    std::vector<Read> reads;
    std::size_t entry_count = 0;
};

/// The entries of a bundle to process; none when it has no "entry".
/// Errors: `incorrect` when "entry" is no list; `too_large` beyond limits::bundle_entries_max.
Result<std::span<const Json>> bundle_entries(const Json& bundle);

/// Takes one entry's request apart. `base_url` is stripped from absolute URLs.
/// Errors: `incorrect` naming the entry for a missing or unknown method, or a URL that is none of
/// this server's.
Result<EntryRequest> parse_entry_request(const Json& entry, std::string_view base_url,
                                         std::string_view where);

/// Turns one writing entry into an operation. `document` owns `entry`.
Result<Operation> parse_entry_operation(std::shared_ptr<JsonDocument> document, const Json& entry,
                                        const EntryRequest& request, std::string where);

/// Takes a transaction bundle apart (FHIR R4 §3.1.0.11). The bundle's document stays alive as long
/// as the operations. Errors: `incorrect` or `too_large` (limits::bundle_entries_max), naming the
/// entry. Blocking: never.
Result<ParsedTransaction> parse_transaction(std::shared_ptr<JsonDocument> bundle,
                                            std::string_view base_url);

/// Parses a weak or strong entity tag of ours, W/"7", into a version. Errors: `incorrect`.
Result<store::Version> parse_version_tag(std::string_view tag);

}  // namespace meridian::fhir
