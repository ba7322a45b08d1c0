// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/token_hashes.hpp"

#include <algorithm>
#include <charconv>

#include "fhir/body_reader.hpp"
#include "fhir/repository.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

/// "TYPE RID": the types before are done, and of this one the resources up to there.
constexpr std::string_view progress_setting = "token-hashes";

struct Progress {
    std::string type{};
    store::Rid after = 0;
};

Result<Progress> read_progress(store::Store& store) {
    const std::string text = TRY(store.setting(progress_setting)).value_or("");
    const std::size_t space = text.find(' ');
    if (space == std::string::npos) return Progress();
    Progress progress{text.substr(0, space)};
    std::from_chars(text.data() + space + 1, text.data() + text.size(), progress.after);
    return progress;
}

/// By their texts: every store numbers them as they came.
Result<std::vector<std::string>> types_of(store::Store& store) {
    std::vector<std::string> types;
    for (const store::TypeCount& each : TRY(TRY(store.snapshot())->counts()))
        types.push_back(store.names().text(store::NameKind::type, each.type));
    std::ranges::sort(types);
    return types;
}

}  // namespace

Result<std::int64_t> move_token_hashes(store::Store& store, std::shared_ptr<KeyRing> ring,
                                       const std::function<bool(std::int64_t)>& go_on) {
    std::int64_t done = 0;
    if (ring->tokens() == KeyRing::Tokens::of_ring) return done;
    if (ring->tokens() == KeyRing::Tokens::of_store) {
        TRY(store.save_setting(progress_setting, ""));
        TRY(ring->set_tokens(KeyRing::Tokens::moving));
    }
    const auto cipher = body_cipher(ring);
    const auto reader =
        fhir::body_reader(cipher, TRY(store.setting(fhir::base_url_setting)).value_or(""), 0,
                          TRY(fhir::own_search_parameters(store, *cipher)));
    const Progress begun = TRY(read_progress(store));
    for (const std::string& type : TRY(types_of(store))) {
        if (type < begun.type) continue;
        const store::Name name = store.names().find(store::NameKind::type, type);
        for (store::Rid after = type == begun.type ? begun.after : 0;;) {
            auto snapshot = TRY(store.scan());
            const auto batch = TRY(
                snapshot->walk(name, snapshot->position(), after, limits::erasure_batch_resources));
            snapshot.reset();
            if (batch.empty()) break;
            for (const store::Stored& stored : batch) {
                auto rows = TRY(reader.rows(stored, store.names()));
                TRY(store.reindex(stored.rid, stored.version, {}, std::move(rows)));
            }
            after = batch.back().rid;
            done += static_cast<std::int64_t>(batch.size());
            // Waits for what was queued before it.
            TRY(store.save_setting(progress_setting, fmt::format("{} {}", type, after)));
            if (!go_on(done))
                return fail(Category::unavailable,
                            "it was stopped; it goes on where it was when it is started again");
        }
    }
    TRY(ring->set_tokens(KeyRing::Tokens::of_ring));
    TRY(store.save_setting(progress_setting, ""));
    return done;
}

}  // namespace meridian::trust
