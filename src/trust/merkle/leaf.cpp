// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/leaf.hpp"

#include "trust/limits.hpp"

namespace meridian::trust::merkle {

namespace {

constexpr std::string_view encoding_version = "meridian leaf/1\n";
static_assert(encoding_version.size() == 16);

void put(std::string& out, std::int64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8)
        out += static_cast<char>(static_cast<std::uint64_t>(number) >> shift);
}

void put(std::string& out, std::string_view text) {
    put(out, static_cast<std::int64_t>(text.size()));
    out += text;
}

template <std::size_t Size>
void put_raw(std::string& out, const std::array<unsigned char, Size>& bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), Size);
}

}  // namespace

std::string leaf_bytes(const store::LogEntry& entry, const EntryNames& names) {
    std::string out;
    constexpr std::size_t bytes_of_numbers_and_hashes = 160;
    out.reserve(bytes_of_numbers_and_hashes + names.type.size() + entry.id.size() +
                names.actor.size() + names.organisation.size());
    out += encoding_version;
    put(out, entry.position);
    put(out, entry.at.milliseconds);
    put(out, static_cast<std::int64_t>(entry.kind));
    put(out, names.type);
    put(out, entry.id);
    put(out, entry.version);
    put(out, static_cast<std::int64_t>(entry.verb));
    put(out, names.actor);
    put(out, names.organisation);
    put_raw(out, entry.salt);
    put_raw(out, entry.body_hash);
    return out;
}

const std::string& LeafMaker::text(Texts& known, store::NameKind kind, store::Name name) {
    if (const auto found = known.find(name); found != known.end()) return found->second;
    if (known.size() >= limits::tree_names_max) known.clear();
    return known.emplace(name, names_.text(kind, name)).first->second;
}

Hash LeafMaker::leaf(const store::LogEntry& entry) {
    const std::string_view type = text(types_, store::NameKind::type, entry.type);
    const std::string actor = text(actors_, store::NameKind::actor, entry.actor);
    const std::string_view organisation = text(actors_, store::NameKind::actor, entry.organisation);
    return leaf_hash(leaf_bytes(entry, {type, actor, organisation}));
}

}  // namespace meridian::trust::merkle
