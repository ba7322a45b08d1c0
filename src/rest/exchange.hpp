// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/repository.hpp"
#include "net/http.hpp"

namespace meridian::rest {

enum class Format : unsigned char { json, xml };
enum class Return : unsigned char { unset, minimal, representation, outcome };

/// One request as the interactions see it: from HTTP, or one entry of a batch.
struct Exchange {
    net::Method method = net::Method::get;
    std::vector<std::string> path;  ///< decoded segments below the FHIR base
    fhir::QueryParameters
        parameters;  ///< of the URL and, for a form POST, of the body; without _format and _pretty
    std::string base_url;  ///< "http://host:port/fhir"
    fhir::Caller caller;
    std::string_view body{};     ///< as sent
    std::string content_type{};  ///< without parameters, lower case
    std::string if_match{}, if_none_match{}, if_none_exist{}, if_modified_since{};
    Return prefer_return = Return::unset;
    bool lenient = false;          ///< Prefer: handling=lenient
    bool respond_async = false;    ///< Prefer: respond-async
    Format format = Format::json;  ///< of the answer
    bool wants_content = false;    ///< a Binary as what it holds, not as a resource
    bool pretty = false;
    /// The resource of a batch entry, already parsed; null for HTTP.
    std::shared_ptr<JsonDocument> document{};
    Json resource{};
    bool has_resource = false;
    bool is_batch_entry = false;
    std::string peer{};
    const net::Request* request = nullptr;  ///< null for a batch entry

    /// The first value of a parameter, or null.
    const std::string* parameter(std::string_view name) const;
};

/// Reads format, preferences, conditions and parameters of an HTTP request below `base_path`
/// ("/fhir"). Errors: `unacceptable`, `unsupported_media`, `incorrect`.
Result<Exchange> make_exchange(const net::Request& request, std::string_view base_path,
                               std::string base_url);

/// True for the media types of FHIR's JSON and XML.
bool is_fhir_media_type(std::string_view name);

/// The body as a resource tree, JSON or XML by its content type. Errors: `incorrect` with the
/// place, `unsupported_media`.
Result<std::shared_ptr<JsonDocument>> parse_body(const Exchange& exchange);

}  // namespace meridian::rest
