// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/witness.hpp"

#include <algorithm>
#include <charconv>

#include "net/url.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::merkle {

namespace {

constexpr int status_done = 200;
constexpr int status_conflict = 409;

std::string base64_of(const Hash& hash) {
    return base64_encode({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

Result<net::ClientAnswer> send(const Witness& witness, const SignedCheckpoint& now,
                               std::uint64_t old_size, const NodeSource& nodes) {
    net::Client client({.connect_timeout = std::chrono::seconds(5),
                        .total_timeout = std::chrono::seconds(10),
                        .answer_bytes_max = limits::note_bytes_max});
    net::ClientRequest request;
    request.method = net::Method::post;
    request.url = witness.url + "/add-checkpoint";
    request.headers.add("Content-Type", "text/plain; charset=utf-8");
    request.body = TRY(add_checkpoint_body(now, old_size, nodes));
    return client.send(request);
}

/// The size in a 409 of type text/x.tlog.size; nothing for any other answer.
std::optional<std::uint64_t> size_in(const net::ClientAnswer& answer) {
    if (answer.status != status_conflict || !answer.body.ends_with('\n') ||
        !answer.headers.get("Content-Type").starts_with("text/x.tlog.size"))
        return std::nullopt;
    std::uint64_t size = 0;
    const char* const end = answer.body.data() + answer.body.size() - 1;
    const auto [stop, error] = std::from_chars(answer.body.data(), end, size);
    return error == std::errc() && stop == end ? std::optional(size) : std::nullopt;
}

Result<NoteSignature> signature_in(const net::ClientAnswer& answer, const Witness& witness,
                                   const SignedCheckpoint& now) {
    std::string_view rest = answer.body;
    while (!rest.empty()) {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto signature = parse_signature_line(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        // "The client MUST ignore any cosignatures from unknown keys."
        if (!signature || !witness.key.is_of(*signature)) continue;
        if (!witness.key.verifies(now.note.text, *signature))
            return fail(Category::forbidden, "its signature does not verify");
        return *signature;
    }
    return fail(Category::forbidden, "its answer has no signature of its key");
}

}  // namespace

Result<Witness> Witness::parse(std::string_view setting) {
    const auto space = setting.find(' ');
    if (space == std::string_view::npos)
        return fail(Category::incorrect, "a witness is named by its URL and its key: URL VKEY");
    std::string url(setting.substr(0, space));
    while (url.ends_with('/')) url.pop_back();
    TRY(net::Url::parse(url));
    VerifierKey key = TRY(VerifierKey::parse(setting.substr(space + 1)));
    if (key.type() != KeyType::cosignature)
        return fail(Category::unsupported,
                    fmt::format("the key {} makes no cosignatures (type 04)", key.name()));
    return Witness{std::move(url), std::move(key)};
}

Result<std::string> add_checkpoint_body(const SignedCheckpoint& now, std::uint64_t old_size,
                                        const NodeSource& nodes) {
    if (old_size > now.checkpoint.size) {
        return fail(Category::conflict,
                    fmt::format("the witness has signed a tree of {} leaves, this one has {}",
                                old_size, now.checkpoint.size));
    }
    std::string body = fmt::format("old {}\n", old_size);
    if (old_size > 0) {
        for (const Hash& hash : TRY(prove_consistency(nodes, old_size, now.checkpoint.size)))
            body += base64_of(hash) + "\n";
    }
    return body + "\n" + now.note.to_text();
}

Result<NoteSignature> ask_witness(const Witness& witness, const SignedCheckpoint& now,
                                  std::uint64_t& old_size, const NodeSource& nodes) {
    auto answer = TRY(send(witness, now, old_size, nodes));
    if (const auto size = size_in(answer); size && *size != old_size) {
        old_size = *size;
        answer = TRY(send(witness, now, old_size, nodes));
    }
    if (answer.status == status_conflict)
        return fail(Category::conflict, "the witness has seen another tree of this log");
    if (answer.status != status_done)
        return fail(answer.status >= 500 ? Category::unavailable : Category::forbidden,
                    fmt::format("the witness answered {}", answer.status));
    auto signature = TRY(signature_in(answer, witness, now));
    old_size = now.checkpoint.size;
    return signature;
}

}  // namespace meridian::trust::merkle
