// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

namespace meridian::store {

Result<void> Store::record(std::vector<AuditEntry> entries) {
    if (entries.empty()) return {};
    Commit commit;
    commit.audit = std::move(entries);
    TRY(this->commit(std::move(commit)));
    return {};
}

void Store::record_later(std::vector<AuditEntry> entries, std::function<void(Result<void>)> done) {
    if (entries.empty()) return done({});
    Commit commit;
    commit.audit = std::move(entries);
    commit_later(std::move(commit), [done = std::move(done)](Result<Receipt> receipt) {
        done(receipt ? Result<void>() : std::unexpected(receipt.error()));
    });
}

}  // namespace meridian::store
