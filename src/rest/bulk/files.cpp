// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/files.hpp"

#include <fstream>
#include <memory>

#include "base/limits.hpp"

namespace meridian::rest {

Result<Answer> file_answer(const std::string& path) {
    auto stream = std::make_shared<std::ifstream>(path, std::ios::binary);
    if (!stream->is_open()) return fail(Category::not_found, "there is no such file", "file");
    Answer answer;
    answer.content_type = "application/fhir+ndjson";
    answer.stream = [stream](std::string& chunk) -> Result<bool> {
        chunk.resize(limits::http_chunk_bytes);
        stream->read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
        chunk.resize(static_cast<std::size_t>(stream->gcount()));
        return stream->good();
    };
    return answer;
}

Result<void> check_ndjson(std::string_view format, std::string_view where) {
    const std::string_view type = format.substr(0, format.find(';'));
    // A "+" that was not escaped in an address is read as a blank.
    for (const char* name :
         {"application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson"}) {
        if (type == name) return {};
    }
    return fail(Category::incorrect,
                fmt::format("\"{}\" is not offered: expected application/fhir+ndjson",
                            format.substr(0, 60)),
                std::string(where));
}

}  // namespace meridian::rest
