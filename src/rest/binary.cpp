// SPDX-License-Identifier: Apache-2.0
// Binary as what it holds: https://hl7.org/fhir/R4/binary.html#rest
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

namespace {

constexpr std::string_view context_header = "X-Security-Context";

/// A file name made of the id, which the server has checked, and never of what a client wrote: no
/// encoding is needed (RFC 6266 §4.3). Browsers add the ending that the media type has.
std::string disposition_of(const Json& binary) {
    const std::string_view id = binary.string_at("id");
    return fmt::format(R"(attachment; filename="Binary-{}")", is_fhir_id(id) ? id : "content");
}

}  // namespace

Result<Answer> binary_content(std::string_view json) {
    const JsonDocument document = TRY(JsonDocument::parse(json));
    const Json& binary = document.root();
    Answer answer;
    answer.content_type = binary.string_at("contentType", "application/octet-stream");
    std::string data(binary.string_at("data"));
    std::erase_if(data, [](unsigned char c) { return std::isspace(c) != 0; });
    if (!base64_decode(data, answer.json))
        return fail(Category::unprocessable, "the data of this Binary is not base64",
                    "Binary.data");
    // What somebody stored must not act as a page of this server.
    answer.headers.emplace_back("X-Content-Type-Options", "nosniff");
    answer.headers.emplace_back("Content-Security-Policy",
                                "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; "
                                "frame-ancestors 'none'");
    answer.headers.emplace_back("Content-Disposition", disposition_of(binary));
    if (const std::string_view context = binary["securityContext"].string_at("reference");
        !context.empty())
        answer.headers.emplace_back(context_header, context);
    return answer;
}

Result<std::shared_ptr<JsonDocument>> binary_of(const Exchange& exchange, std::string_view id) {
    if (exchange.body.empty())
        return fail(Category::incorrect, "the request has no body: expected the Binary's content");
    auto document = std::make_shared<JsonDocument>();
    Json& binary = document->root();
    binary = document->object();
    document->set(binary, "resourceType", document->string("Binary"));
    if (!id.empty()) document->set(binary, "id", document->string(id));
    document->set(binary, "contentType",
                  document->string(exchange.request->headers.get("Content-Type")));
    if (const auto context = exchange.request->headers.find(context_header)) {
        Json reference = document->object();
        document->set(reference, "reference", document->string(*context));
        document->set(binary, "securityContext", reference);
    }
    document->set(binary, "data", document->string(base64_encode(exchange.body)));
    return document;
}

}  // namespace meridian::rest
