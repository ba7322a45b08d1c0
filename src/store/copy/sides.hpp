// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/engine/resolve.hpp"
#include "store/maintain.hpp"
#include "store/store.hpp"

/// The two sides of a migration. Engines implement both; copy/migrate.cpp knows neither.
namespace meridian::store::copy {

/// A log entry on its way, with the version that it tells of.
struct Carried {
    LogEntry entry;
    std::string body{};  ///< of an audit entry: what it says
    /// No later entry of the resource was in the log when this was read: then what follows is of
    /// it, otherwise the version belongs to the history.
    bool is_newest = false;
    Rid home = 0;           ///< home patient
    std::string forward{};  ///< packed rows; empty for a deletion; of an audit entry its patients
    ResolvedRows rows{};    ///< the same, unpacked, views with their values
    std::vector<ResolvedText> texts{};  ///< of rows.texts, in their order

    bool is_current() const { return is_newest && entry.verb != Verb::remove; }
    std::size_t bytes() const { return body.size() + forward.size() + sizeof(Carried); }
};

/// The answer where the log tells of an audit entry and nothing else does.
inline std::unexpected<Error> no_such_audit(Position position) {
    return fail(Category::fault,
                fmt::format("the log tells of an audit entry at position {} that is not there; run "
                            "`meridian check`",
                            position));
}

/// Whether these are all entries from `first` on, up to their last.
inline bool is_dense(const std::vector<Carried>& batch, Position first) {
    return !batch.empty() && batch.front().entry.position == first &&
           batch.back().entry.position == first + static_cast<Position>(batch.size()) - 1;
}

/// An identity as one engine's directory holds it.
struct KnownIdentity {
    Identity identity;
    Rid rid;
};

struct KnownName {
    NameKind kind;
    Name id;
    std::string text;
};

/// What is small, and carried as a whole.
struct Belongings {
    std::vector<std::pair<std::string, std::string>> settings{};  ///< of the server, with prefix
    std::vector<std::pair<std::string, Position>> cursors{};
    std::vector<TypeCount> counts{};
    std::vector<PrivateRow> private_rows{};
};

/// What a resource's row says of its index rows.
struct IndexState {
    Rid rid;
    Version version;
    std::string forward;
};

/// The store that is moved. It is only read. Each call sees what is committed when it is made.
class Source {
 public:
    virtual ~Source() = default;
    virtual const Names& names() const = 0;
    /// Whether nobody writes any more; from then on, as long as this object lives and the answer is
    /// the same, no entry is added to the log. Errors: `conflict` when nobody writes, and yet not
    /// all that was written has a position.
    virtual Result<bool> is_at_rest() = 0;
    /// Behind the last entry.
    virtual Result<Position> end() = 0;
    /// Entries of [from, below) in order, at most `count`: at least the first, and as many as fit
    /// into limits::migrate_batch_bytes.
    virtual Result<std::vector<Carried>> read(Position from, Position below, std::size_t count) = 0;
    /// The newest versions of `rids`, as read gives them.
    virtual Result<std::vector<Carried>> read_newest(const std::vector<Rid>& rids) = 0;
    /// Rows of `resource` by rid, behind `after`.
    virtual Result<std::vector<IndexState>> index_states(Rid after) = 0;
    virtual Result<std::vector<KnownName>> all_names() = 0;
    /// The highest rid given so far.
    virtual Result<Rid> last_rid() = 0;
    /// Gives `take` all identities that may have a rid above `above`, part by part.
    virtual Result<void> identities(
        Rid above, const std::function<Result<void>(std::vector<KnownIdentity>)>& take) = 0;
    virtual Result<Belongings> belongings() = 0;
    /// Where its blobs lie.
    virtual std::string blobs_folder() const = 0;
    /// The store, for reading.
    virtual Result<std::unique_ptr<Store>> open() = 0;
};

/// How far a target has come.
struct Progress {
    Position next = 0;        ///< entries below it are there
    Rid identities_upto = 0;  ///< identities with rids up to it are there
};

/// The store that comes to be. Nobody else can open it before finish.
class Target {
 public:
    virtual ~Target() = default;
    /// Makes the store, marked as incomplete, or goes on with one that `token_key` says is of the
    /// same source. Errors: `conflict` when there is something else.
    virtual Result<Progress> begin(const SipKey& token_key) = 0;
    /// Adds those that are not there.
    virtual Result<void> add_names(const std::vector<KnownName>& names) = 0;
    /// Adds those that are not there; sorts them.
    virtual Result<void> add_identities(std::vector<KnownIdentity>& identities) = 0;
    virtual Result<void> save_identities_upto(Rid rid) = 0;
    /// Writes what read gave, all or nothing, and that the log goes up to its last entry: one
    /// statement a table.
    virtual Result<void> write(std::vector<Carried>& batch) = 0;
    /// Replaces the index rows of newest versions that are there.
    virtual Result<void> replace_rows(std::vector<Carried>& batch) = 0;
    virtual Result<std::vector<IndexState>> index_states(Rid after) = 0;
    /// Writes what is carried as a whole, in the place of what is there, and that new rids begin
    /// above `last_rid`.
    virtual Result<void> put_belongings(const Belongings& belongings, Rid last_rid) = 0;
    virtual std::string blobs_folder() const = 0;
    /// The incomplete store, for reading.
    virtual Result<std::unique_ptr<Store>> open() = 0;
    /// Makes all durable and lets others in.
    virtual Result<void> finish() = 0;
};

Result<std::unique_ptr<Source>> sqlite_source(const std::string& folder);
Result<std::unique_ptr<Target>> sqlite_target(const std::string& folder, const Names& names);
/// Words and cut identities stand in the bodies only: `reader` gives them.
Result<std::unique_ptr<Source>> postgres_source(const std::string& url, const std::string& folder,
                                                const BodyReader& reader);
Result<std::unique_ptr<Target>> postgres_target(const std::string& url, const std::string& folder,
                                                const Names& names);

}  // namespace meridian::store::copy
