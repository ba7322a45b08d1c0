// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/http.hpp"

namespace meridian::net::detail {

/// Compresses one answer piece by piece, at a cheap level. Reused for many answers by one thread at
/// a time.
class Encoder {
 public:
    virtual ~Encoder() = default;
    /// Appends what `input` compresses to; `is_last` completes the frame and makes the encoder
    /// ready for the next answer. `flush` brings out everything put in so far, so that a slow
    /// stream is not held back.
    virtual void put(std::string_view input, bool is_last, bool flush, std::string& out) = 0;
};

/// An encoder for gzip or zstd; nullptr for identity.
std::unique_ptr<Encoder> make_encoder(Encoding encoding);
/// `body` compressed in one go with an encoder that this thread keeps.
void encode(Encoding encoding, std::string_view body, std::string& out);

/// "gzip" or "zstd".
std::string_view name_of(Encoding encoding);

/// Decodes a body sent with `Content-Encoding: coding` (gzip, x-gzip, zstd, identity).
/// Errors: `unsupported_media` for another coding; `incorrect` for damaged or cut data; `too_large`
/// beyond `bytes_max`: it stops there, so a bomb costs no more memory than that. Blocking: for the
/// computation.
Result<std::string> decode(std::string_view coding, std::string_view body, std::size_t bytes_max);

/// Whether bytes of this Content-Type are worth compressing: text, JSON, XML, scripts.
bool is_compressible(std::string_view content_type);

}  // namespace meridian::net::detail
