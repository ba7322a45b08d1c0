// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/sealing.hpp"

#include <charconv>

#include "base/log.hpp"
#include "fhir/home.hpp"
#include "fhir/search/extract.hpp"
#include "store/bodies.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

/// "TOP BEFORE": the walk began below the position TOP, and is to go on below BEFORE.
constexpr std::string_view progress_setting = "sealing";

class Sealing {
 public:
    Sealing(fhir::Repository& repository, const fhir::Cipher& cipher, store::BodyKeeper& keeper)
        : repository_(repository),
          store_(repository.store()),
          cipher_(cipher),
          keeper_(keeper),
          parameters_(repository.parameters()) {}

    Result<SealingProgress> run(std::chrono::milliseconds time) {
        const auto end = std::chrono::steady_clock::now() + time;
        TRY(read_progress());
        do {
            if (!TRY(seal_batch())) return finish();
            TRY(store_.save_setting(progress_setting, fmt::format("{} {}", top_, before_)));
        } while (std::chrono::steady_clock::now() < end);
        return progress(false);
    }

 private:
    SealingProgress progress(bool is_done) const {
        return {.looked_at = is_done ? top_ : top_ - before_,
                .total = top_,
                .sealed = sealed_,
                .is_done = is_done};
    }

    Result<void> read_progress() {
        const std::string text = TRY(store_.setting(progress_setting)).value_or("");
        const std::size_t space = text.find(' ');
        if (space != std::string::npos) {
            std::from_chars(text.data(), text.data() + space, top_);
            std::from_chars(text.data() + space + 1, text.data() + text.size(), before_);
        }
        if (top_ > 0) return {};
        top_ = TRY(store_.snapshot())->position() + 1;
        before_ = top_;
        return {};
    }

    /// False when nothing is left below.
    Result<bool> seal_batch() {
        const auto snapshot = TRY(store_.snapshot());
        store::HistoryScope scope;
        scope.before = before_;
        scope.limit = limits::sealing_batch_versions;
        const auto versions = TRY(snapshot->history(scope));
        std::vector<store::Change> changes;
        std::vector<store::BodyExchange> exchanges;
        for (const store::Stored& version : versions) {
            if (version.deleted() || is_sealed(version.body)) continue;
            exchanges.push_back({version.rid, version.version, version.body, {}});
            store::Change& change = changes.emplace_back();
            change.identity = {version.type, version.id};
            const std::string home = TRY(home_of(version));
            change.body = TRY(cipher_.seal({home, {}}, change.identity, version.body));
        }
        // The keys first: a body under a key that is stored nowhere would be lost.
        if (!changes.empty()) TRY(cipher_.keep_keys(changes));
        for (std::size_t i = 0; i < changes.size(); ++i)
            exchanges[i].after = std::move(changes[i].body);
        if (!exchanges.empty()) TRY(keeper_.exchange_bodies(std::move(exchanges)));
        sealed_ += static_cast<std::int64_t>(changes.size());
        if (!versions.empty()) before_ = versions.back().position;
        return versions.size() == scope.limit;
    }

    Result<std::string> home_of(const store::Stored& stored) {
        const fhir::Resource resource = TRY(repository_.decode(stored));
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        const std::string base = repository_.base_url();
        const auto rows = fhir::search::extract(*parameters_, resource.type, document.root(),
                                                store_.names(), {.base_url = base});
        return fhir::home_of(resource.type, resource.id, rows.compartments);
    }

    Result<SealingProgress> finish() {
        // A server that was not protected may have written since the walk began.
        const store::Position newest = TRY(store_.snapshot())->position() + 1;
        if (newest > top_) {
            const store::Position begun = top_;
            top_ = before_ = newest;
            while (before_ > begun && TRY(seal_batch())) {
            }
        }
        TRY(store_.scrub());
        TRY(store_.save_setting(progress_setting, ""));
        log::info("every body lies sealed", {{"versions", sealed_}});
        return progress(true);
    }

    fhir::Repository& repository_;
    store::Store& store_;
    const fhir::Cipher& cipher_;
    store::BodyKeeper& keeper_;
    std::shared_ptr<const fhir::search::Parameters> parameters_;
    store::Position top_ = 0, before_ = 0;
    std::int64_t sealed_ = 0;
};

}  // namespace

Result<SealingProgress> seal_some(fhir::Repository& repository, const fhir::Cipher& cipher,
                                  std::chrono::milliseconds time) {
    auto* keeper = dynamic_cast<store::BodyKeeper*>(&repository.store());
    if (keeper == nullptr)
        return fail(Category::unsupported, "this store does not change bodies in their places");
    return Sealing(repository, cipher, *keeper).run(time);
}

}  // namespace meridian::trust
