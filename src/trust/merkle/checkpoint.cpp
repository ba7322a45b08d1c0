// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/checkpoint.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/file.hpp"
#include "base/log.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::merkle {

namespace {

/// The next line of `text`, which loses it; nothing when it has no line break.
std::optional<std::string_view> take_line(std::string_view& text) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

std::optional<std::uint64_t> size_in(std::string_view text) {
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    const bool has_zeros = text.size() > 1 && text.front() == '0';
    if (error != std::errc() || end != text.data() + text.size() || has_zeros) return std::nullopt;
    return size;
}

}  // namespace

std::string Checkpoint::to_text() const {
    return fmt::format("{}\n{}\n{}\n", origin, size,
                       base64_encode({reinterpret_cast<const char*>(root.data()), root.size()}));
}

Result<Checkpoint> Checkpoint::parse(std::string_view text) {
    Checkpoint checkpoint;
    const auto origin = take_line(text);
    const auto size = take_line(text);
    const auto root = take_line(text);
    const auto number = size ? size_in(*size) : std::nullopt;
    std::string hash;
    // An extension line would be signed and mean nothing: this log makes none, and takes none.
    if (!root || !number || origin->empty() || !text.empty() || !base64_decode(*root, hash) ||
        hash.size() != checkpoint.root.size())
        return fail(Category::incorrect, "the text is no checkpoint");
    checkpoint.origin = *origin;
    checkpoint.size = *number;
    std::memcpy(checkpoint.root.data(), hash.data(), hash.size());
    return checkpoint;
}

Result<SignedCheckpoint> SignedCheckpoint::parse(std::string_view bytes) {
    SignedCheckpoint found{{}, TRY(Note::parse(bytes))};
    found.checkpoint = TRY(Checkpoint::parse(found.note.text));
    return found;
}

// --- the list ---

Result<void> CheckpointFile::read(const std::string& path,
                                  const std::function<Result<void>(std::string_view)>& take) {
    const disk::Descriptor file = TRY(disk::open(path, O_RDONLY));
    std::string pending;
    constexpr std::size_t step_bytes = 1u << 20;
    while (true) {
        const std::size_t used = pending.size();
        pending.resize(used + step_bytes);
        const ssize_t got = ::read(file.number(), pending.data() + used, step_bytes);
        if (got < 0 && errno != EINTR) return disk::failed("read", path);
        pending.resize(used + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        std::string_view rest = pending;
        while (true) {
            // A note has one empty line within it; the next one ends it.
            const auto within = rest.find("\n\n");
            const auto end =
                within == std::string_view::npos ? within : rest.find("\n\n", within + 2);
            if (end == std::string_view::npos) break;
            TRY(take(rest.substr(0, end + 1)));
            rest.remove_prefix(end + 2);
        }
        if (got == 0) return {};
        if (rest.size() > limits::note_bytes_max)
            return fail(Category::too_large, "something else than checkpoints stands there", path);
        pending.erase(0, pending.size() - rest.size());
    }
}

Result<CheckpointFile> CheckpointFile::open(const std::string& path) {
    CheckpointFile list;
    list.path_ = path;
    list.file_ = TRY(disk::open(path, O_RDWR | O_CREAT | O_APPEND));
    std::string last;
    TRY(read(path, [&](std::string_view note) -> Result<void> {
        last = note;
        list.size_ += static_cast<std::int64_t>(note.size()) + 1;
        return {};
    }));
    if (!last.empty()) {
        auto newest = SignedCheckpoint::parse(last);
        if (!newest)
            return fail(Category::fault,
                        fmt::format("the last checkpoint is damaged: {}", newest.error().message),
                        path);
        list.newest_ = std::move(*newest);
    }
    if (disk::size_of(path) > list.size_) {
        log::warning("the end of a checkpoint that was being written is cut off",
                     {{"file", path}, {"bytes", disk::size_of(path) - list.size_}});
        if (::ftruncate(list.file_.number(), list.size_) != 0) return disk::failed("cut", path);
    }
    return list;
}

Result<void> CheckpointFile::append(SignedCheckpoint signed_checkpoint) {
    const std::string record = signed_checkpoint.note.to_text() + "\n";
    const auto written = [&]() -> Result<void> {
        TRY(disk::write_all(file_.number(), record, path_));
        if (::fsync(file_.number()) != 0) return disk::failed("flush", path_);
        return {};
    }();
    if (!written) {
        // Half a note must not stay before the next one. Where that fails too, opening cuts it.
        if (::ftruncate(file_.number(), size_) != 0) return disk::failed("cut", path_);
        return written;
    }
    size_ += static_cast<std::int64_t>(record.size());
    newest_ = std::move(signed_checkpoint);
    return {};
}

// --- keys ---

namespace {

std::string private_path(const std::string& folder) {
    return folder + "/checkpoint.key";
}
std::string public_path(const std::string& folder) {
    return folder + "/checkpoint.pub";
}

std::string remembered_path(const std::string& folder) {
    return folder + "/checkpoint.last";
}

/// Whoever has the key can sign a forged tree.
Result<void> check_protection(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return disk::failed("look at", path);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(Category::forbidden,
                    fmt::format("others can read or write the signing key (mode {:04o}): run "
                                "`chmod 600 {}`, and `meridian audit rotate-key` if somebody may "
                                "have read it",
                                status.st_mode & 07777u, path),
                    path);
    }
    return {};
}

std::string unique_origin() {
    return "meridian/" + to_hex(random_bytes(8));
}

}  // namespace

Result<std::vector<VerifierKey>> LogKeys::read_public(const std::string& data_folder) {
    const std::string path = public_path(data_folder + "/keys");
    const std::string content = TRY(read_file(path, limits::note_bytes_max * 16));
    std::vector<VerifierKey> keys;
    std::string_view rest = content;
    while (const auto line = take_line(rest)) {
        if (keys.size() == limits::checkpoint_keys_max)
            return fail(Category::too_large, "too many keys", path);
        auto key = VerifierKey::parse(*line);
        if (!key) return fail(key.error().category, key.error().message, path);
        keys.push_back(std::move(*key));
    }
    if (keys.empty()) return fail(Category::not_found, "no public key stands there", path);
    return keys;
}

Result<void> LogKeys::write(const std::string& folder, const SigningKey& signing,
                            const std::vector<VerifierKey>& all) {
    std::string list;
    for (const VerifierKey& key : all) list += key.to_text() + "\n";
    // The public key first: a key that signs must be known to who verifies, also after a crash.
    TRY(disk::replace(public_path(folder), list));
    TRY(disk::sync(public_path(folder)));
    std::string secret = signing.to_text() + "\n";
    const auto written = disk::replace(private_path(folder), secret, 0600);
    sodium_memzero(secret.data(), secret.size());
    TRY(Result<void>(written));
    TRY(disk::sync(private_path(folder)));
    return disk::sync(folder);
}

Result<LogKeys> LogKeys::open(const std::string& data_folder, const std::string& origin) {
    const std::string folder = data_folder + "/keys";
    if (!origin.empty() && !is_key_name(origin))
        return fail(Category::incorrect,
                    fmt::format("\"{}\" cannot name a log: no spaces and no plus, at most {} bytes",
                                origin, limits::note_name_bytes_max));
    if (disk::size_of(private_path(folder)) < 0) {
        TRY(disk::make_folders(folder, 0700));
        SigningKey made = SigningKey::make(origin.empty() ? unique_origin() : origin);
        // Old public keys without their private one: a log that is continued with a new key.
        std::vector<VerifierKey> all;
        if (disk::size_of(public_path(folder)) >= 0) all = TRY(read_public(data_folder));
        if (!all.empty() && all.back().name() != made.verifier().name())
            made = SigningKey::make(all.back().name());
        all.push_back(made.verifier());
        TRY(write(folder, made, all));
    }
    TRY(check_protection(private_path(folder)));
    std::string text = TRY(read_file(private_path(folder), limits::note_bytes_max));
    auto signing = SigningKey::parse(std::string_view(text).substr(0, text.find('\n')));
    sodium_memzero(text.data(), text.size());
    if (!signing)
        return fail(signing.error().category, signing.error().message, private_path(folder));
    if (!origin.empty() && signing->verifier().name() != origin) {
        return fail(Category::conflict,
                    fmt::format("the signing key is that of the log \"{}\", not of \"{}\": a log "
                                "keeps its name",
                                signing->verifier().name(), origin),
                    private_path(folder));
    }
    auto all = TRY(read_public(data_folder));
    if (std::find(all.begin(), all.end(), signing->verifier()) == all.end()) {
        return fail(Category::conflict, "the signing key is not among the log's public keys",
                    public_path(folder));
    }
    return LogKeys(folder, std::move(*signing), std::move(all));
}

Result<void> LogKeys::rotate() {
    SigningKey made = SigningKey::make(origin());
    std::vector<VerifierKey> all = all_;
    all.push_back(made.verifier());
    TRY(write(folder_, made, all));
    signing_ = std::move(made);
    all_ = std::move(all);
    return {};
}

Result<void> LogKeys::remember(const SignedCheckpoint& newest) const {
    const std::string path = remembered_path(folder_);
    TRY(disk::replace(path, newest.note.to_text(), 0600));
    TRY(disk::sync(path));
    return disk::sync(folder_);
}

Result<std::optional<SignedCheckpoint>> LogKeys::remembered(const std::string& data_folder) {
    const std::string path = remembered_path(data_folder + "/keys");
    if (disk::size_of(path) < 0) return std::optional<SignedCheckpoint>();
    auto found = SignedCheckpoint::parse(TRY(read_file(path, limits::note_bytes_max)));
    if (!found) return fail(found.error().category, found.error().message, path);
    return std::optional(std::move(*found));
}

}  // namespace meridian::trust::merkle
