// SPDX-License-Identifier: Apache-2.0
// What the audit tree reads from outside: signed notes, checkpoints, keys, paths of tiles. Nothing
// crashes; what is accepted is written again as it stood there.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trust/merkle/checkpoint.hpp"
#include "trust/merkle/tiles.hpp"
#include "trust/merkle/witness.hpp"

namespace {

using namespace meridian::trust::merkle;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const SigningKey key = SigningKey::make("a.example");
    if (const auto note = Note::parse(text)) {
        require(Note::parse(note->to_text())->signatures == note->signatures);
        // Nobody guesses a signature.
        require(verify(*note, std::vector{key.verifier()}).value_or(0) == 0);
    }
    if (const auto checkpoint = Checkpoint::parse(text))
        require(*Checkpoint::parse(checkpoint->to_text()) == *checkpoint);
    if (const auto read = VerifierKey::parse(text))
        require(*VerifierKey::parse(read->to_text()) == *read);
    if (const auto read = SigningKey::parse(text))
        require(SigningKey::parse(read->to_text())->verifier() == read->verifier());
    if (const auto place = parse_tile_path(text)) require(path_of(*place) == text);
    static_cast<void>(Witness::parse(text));
    return 0;
}
