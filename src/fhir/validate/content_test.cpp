// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/content.hpp"

#include <gtest/gtest.h>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "fhir/validate/validator.hpp"

namespace meridian::fhir {
namespace {

using namespace std::string_view_literals;

TEST(Content, BeginsAsItsMediaTypeSays) {
    const std::string dicom = std::string(128, '\0') + "DICM";
    for (const auto& [type, bytes] :
         {std::pair("image/png"sv, "\x89PNG\r\n\x1A\n...."sv),
          {"image/jpeg", "\xFF\xD8\xFF\xE0"},
          {"IMAGE/JPEG; quality=1", "\xFF\xD8\xFF\xE0"},
          {"image/gif", "GIF89a"},
          {"image/tiff", "MM\0*"sv},
          {"image/webp", "RIFF\1\2\3\4WEBP"},
          {"application/pdf", "%PDF-1.7"},
          {"application/zip", "PK\3\4"},
          {"application/gzip", "\x1F\x8B\x08"},
          {"application/dicom", dicom},
          {"video/mp4",
           "\0\0\0\x18"
           "ftypmp42"sv},
          {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK\3\4"},
          {"text/plain", "病历"},
          {"text/csv", ""},
          {"application/json", "{}"},
          {"text/plain; charset=gbk", "\xB2\xA1"},
          {"application/octet-stream", "\0\1\2"sv},
          {"x/unknown", "MZ"}})
        EXPECT_EQ(content_fault(type, bytes), nullptr) << type;
    for (const auto& [type, bytes] : {std::pair("image/png"sv, "<script>alert(1)</script>"sv),
                                      {"image/png", "\x89PN"},
                                      {"image/jpeg", "GIF89a"},
                                      {"application/pdf", "MZ\x90"},
                                      {"application/pdf", " %PDF-1.7"},
                                      {"application/zip", "%PDF-1.7"},
                                      {"application/dicom", "DICM"},
                                      {"image/webp", "RIFF"},
                                      {"application/vnd.oasis.opendocument.text", "<x/>"},
                                      {"text/plain",
                                       "\x7F"
                                       "ELF\0\1"sv},
                                      {"text/plain; charset=utf-8", "\xB2\xA1"},
                                      {"application/fhir+json", "\xFF\xFE{\0}\0"sv}})
        EXPECT_NE(content_fault(type, bytes), nullptr) << type;
}

TEST(Content, OfDrawingsDrawsOnly) {
    const auto fault = [](std::string_view inside) {
        return content_fault("image/svg+xml",
                             fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" )"
                                         R"x(xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>)x",
                                         inside));
    };
    for (const char* good :
         {"", R"x(<g fill="url(#a)"><path d="M0 0h1" style="fill:red"/></g>)x",
          R"x(<defs><linearGradient id="a"><stop offset="1"/></linearGradient></defs>)x",
          R"x(<use xlink:href="#a"/><text x="1">1 &lt; 2</text>)x"})
        EXPECT_EQ(fault(good), nullptr) << good;
    for (const char* bad :
         {"<script>x</script>", "<SCRIPT>x</SCRIPT>", R"x(<g onload="x"/>)x",
          R"x(<g ONCLICK="x"/>)x", "<foreignObject><p>x</p></foreignObject>",
          R"x(<a href="javascript:x">x</a>)x", R"x(<use href="data:image/svg+xml;base64,x"/>)x",
          R"x(<use xlink:href="//evil/x#a"/>)x", R"x(<image href="http://evil/x.png"/>)x",
          R"x(<g fill="url(http://evil/x#a)"/>)x", R"x(<g fill="url( 'http://evil/x' )"/>)x",
          R"x(<g style="fill:u\72l(x)"/>)x", "<style>@import 'x'</style>",
          R"x(<animate attributeName="href" to="x"/>)x",
          R"x(<set attributeName="onload" to="x"/>)x", R"x(<iframe src="x"/>)x", "<g>",
          R"x(<g xmlns:x="http://www.w3.org/1999/xhtml"><x:script>y</x:script></g>)x"})
        EXPECT_NE(fault(bad), nullptr) << bad;
    for (const char* bad : {R"x(<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>)x", "<html/>", "",
                            R"x(<?xml-stylesheet href="x"?><svg/>)x", "\xFF\xFE<\0s\0v\0g\0"})
        EXPECT_NE(content_fault("image/svg+xml", bad), nullptr) << bad;
}

TEST(Content, IsCheckedWhereverAResourceHoldsIt) {
    const auto issues_of = [](const std::string& json) {
        const auto document = JsonDocument::parse(json);
        std::vector<Issue> issues;
        validate_structure(document->root(), issues);
        return issues;
    };
    const std::string program = base64_encode("MZ this is a program");
    for (const auto& [before, place] :
         {std::pair(R"({"resourceType":"Binary","contentType":"application/pdf","data":")",
                    "Binary.data"),
          {R"({"resourceType":"Patient","photo":[{"contentType":"image/png","data":")",
           "Patient.photo[0].data"},
          {R"({"resourceType":"List","status":"current","mode":"working","contained":[)"
           R"({"resourceType":"Binary","id":"b","contentType":"image/gif","data":")",
           "List.contained[0].data"}}) {
        std::string json = before + program + "\"";
        const std::string_view open = before;
        std::string closing;
        for (const char c : open) {
            if (c == '{') closing.insert(0, "}");
            if (c == '[') closing.insert(0, "]");
        }
        const auto issues = issues_of(json + closing);
        ASSERT_EQ(issues.size(), 1u) << json + closing;
        EXPECT_EQ(issues[0].path, place);
    }
    EXPECT_TRUE(
        issues_of(
            fmt::format(R"({{"resourceType":"Binary","contentType":"text/plain","data":"{}"}})",
                        program))
            .empty());
}

}  // namespace
}  // namespace meridian::fhir
