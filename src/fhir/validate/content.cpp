// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/content.hpp"

#include <algorithm>
#include <pugixml.hpp>
#include <string>

#include "base/hash.hpp"
#include "base/utf8.hpp"
#include "fhir/format/xml_text.hpp"

namespace meridian::fhir {

namespace {

using namespace std::string_view_literals;

struct Signature {
    std::string_view type;
    std::size_t at;
    std::string_view bytes;
    const char* fault;
};

/// A type may stand several times: one of its rows must fit.
constexpr Signature signatures[] = {
    {"image/png", 0, "\x89PNG\r\n\x1A\n"sv, "expected the first bytes of a PNG"},
    {"image/jpeg", 0, "\xFF\xD8\xFF"sv, "expected the first bytes of a JPEG"},
    {"image/gif", 0, "GIF87a"sv, "expected the first bytes of a GIF"},
    {"image/gif", 0, "GIF89a"sv, "expected the first bytes of a GIF"},
    {"image/bmp", 0, "BM"sv, "expected the first bytes of a BMP"},
    {"image/tiff", 0, "II*\0"sv, "expected the first bytes of a TIFF"},
    {"image/tiff", 0, "MM\0*"sv, "expected the first bytes of a TIFF"},
    {"image/webp", 8, "WEBP"sv, "expected the first bytes of a WebP"},
    {"application/pdf", 0, "%PDF-"sv, "expected the first bytes of a PDF"},
    {"application/zip", 0, "PK\x03\x04"sv, "expected the first bytes of a ZIP"},
    {"application/zip", 0, "PK\x05\x06"sv, "expected the first bytes of a ZIP"},
    {"application/gzip", 0, "\x1F\x8B"sv, "expected the first bytes of a gzip file"},
    {"application/dicom", 128, "DICM"sv, "expected DICM behind the preamble of a DICOM file"},
    {"audio/wav", 8, "WAVE"sv, "expected the first bytes of a WAVE file"},
    {"audio/mpeg", 0, "ID3"sv, "expected the first bytes of an MP3"},
    {"audio/mpeg", 0, "\xFF\xFB"sv, "expected the first bytes of an MP3"},
    {"audio/mpeg", 0, "\xFF\xF3"sv, "expected the first bytes of an MP3"},
    {"audio/mpeg", 0, "\xFF\xF2"sv, "expected the first bytes of an MP3"},
    {"audio/mp4", 4, "ftyp"sv, "expected the first bytes of an MP4"},
    {"video/mp4", 4, "ftyp"sv, "expected the first bytes of an MP4"},
    {"video/webm", 0, "\x1A\x45\xDF\xA3"sv, "expected the first bytes of a WebM"},
};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

const char* signature_fault(std::string_view type, std::string_view bytes) {
    // Documents of offices are ZIP files by another name.
    if (type.starts_with("application/vnd.openxmlformats-officedocument.") ||
        type.starts_with("application/vnd.oasis.opendocument."))
        type = "application/zip";
    const char* fault = nullptr;
    for (const Signature& one : signatures) {
        if (one.type != type) continue;
        if (bytes.size() >= one.at && bytes.substr(one.at).starts_with(one.bytes)) return nullptr;
        fault = one.fault;
    }
    return fault;
}

bool is_text(std::string_view type) {
    return type.starts_with("text/") || type.ends_with("+json") || type.ends_with("+xml") ||
           type == "application/json" || type == "application/xml" ||
           type == "application/x-ndjson" || type == "application/fhir+ndjson";
}

const char* text_fault(std::string_view parameters, std::string_view bytes) {
    // UTF-16 has zeros in it, and says so.
    const bool names_charset = parameters.find("charset=") != std::string_view::npos;
    const bool is_utf8 = !names_charset || parameters.find("utf-8") != std::string_view::npos ||
                         parameters.find("us-ascii") != std::string_view::npos;
    if (!is_utf8) return nullptr;
    if (bytes.find('\0') != std::string_view::npos || !is_valid_utf8(bytes))
        return "expected text in UTF-8, or a charset that says what it is";
    return nullptr;
}

/// What draws. Elements that run, embed, move attributes of others or load are not among them.
constexpr std::string_view drawing_elements[] = {
    "svg",      "g",       "defs",           "symbol",         "title",   "desc",
    "metadata", "path",    "rect",           "circle",         "ellipse", "line",
    "polyline", "polygon", "text",           "tspan",          "marker",  "clipPath",
    "mask",     "pattern", "linearGradient", "radialGradient", "stop",    "use",
    "switch",   "view",
};

/// The value of a link, or of a style: may it load or run something?
bool stays_inside(std::string_view name, std::string_view value) {
    const std::size_t colon = name.rfind(':');
    const std::string local = lower(name.substr(colon == std::string_view::npos ? 0 : colon + 1));
    if (local.starts_with("on") || local == "base") return false;
    if (local == "href" || local == "src") return value.starts_with('#');
    const std::string text = lower(value);
    if (local == "style" &&
        (text.find('\\') != std::string::npos || text.find("@import") != std::string::npos))
        return false;
    for (std::size_t at = text.find("url("); at != std::string::npos;
         at = text.find("url(", at + 1)) {
        const std::size_t inner = text.find_first_not_of(" \t\r\n'\"", at + 4);
        if (inner == std::string::npos || text[inner] != '#') return false;
    }
    return true;
}

bool draws_only(const pugi::xml_node& node) {
    const std::string_view name = node.name();
    if (std::find(std::begin(drawing_elements), std::end(drawing_elements), name) ==
        std::end(drawing_elements))
        return false;
    for (const pugi::xml_attribute attribute : node.attributes()) {
        if (!stays_inside(attribute.name(), attribute.value())) return false;
    }
    return true;
}

class Drawing final : public pugi::xml_tree_walker {
 public:
    bool for_each(pugi::xml_node& node) override {
        return node.type() != pugi::node_element || draws_only(node);
    }
};

const char* drawing_fault(std::string_view bytes) {
    constexpr const char* expected =
        "expected an SVG that draws only: without scripts, events, style sheets, embedded pages or "
        "pictures, and without anything from elsewhere";
    // Without DOCTYPE and entities, so that the parser and browsers read the same.
    if (!detail::check_xml_text(bytes)) return expected;
    pugi::xml_document document;
    if (!document.load_buffer(bytes.data(), bytes.size(), pugi::parse_default | pugi::parse_pi,
                              pugi::encoding_utf8))
        return expected;
    for (const pugi::xml_node node : document.children()) {
        if (node.type() == pugi::node_pi) return expected;  // a style sheet
    }
    Drawing walker;
    if (std::string_view(document.document_element().name()) != "svg" || !document.traverse(walker))
        return expected;
    return nullptr;
}

}  // namespace

const char* content_fault(std::string_view media_type, std::string_view bytes) {
    const std::string whole = lower(media_type);
    const std::size_t semicolon = whole.find(';');
    std::string_view type = std::string_view(whole).substr(0, semicolon);
    while (type.ends_with(' ')) type.remove_suffix(1);
    if (type == "image/svg+xml") return drawing_fault(bytes);
    if (is_text(type))
        return text_fault(semicolon == std::string::npos
                              ? std::string_view()
                              : std::string_view(whole).substr(semicolon),
                          bytes);
    return signature_fault(type, bytes);
}

Result<void> inspect_files(const Json& resource,
                           const std::function<Result<void>(std::string_view bytes)>& inspect) {
    if (resource.is_array()) {
        for (const Json& item : resource.items()) TRY(inspect_files(item, inspect));
        return {};
    }
    if (!resource.is_object()) return {};
    if (resource.find("contentType") != nullptr) {
        std::string data(resource.string_at("data")), bytes;
        std::erase_if(data, [](unsigned char c) { return std::isspace(c) != 0; });
        if (!data.empty() && base64_decode(data, bytes)) {
            if (auto seen = inspect(bytes); !seen)
                return fail(
                    seen.error().category, seen.error().message,
                    fmt::format("{}.data", resource.string_at("resourceType", "Attachment")));
        }
    }
    for (const JsonMember& member : resource.members()) TRY(inspect_files(member.value, inspect));
    return {};
}

}  // namespace meridian::fhir
