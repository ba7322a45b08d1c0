// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "fhir/caller.hpp"
#include "trust/keys/key_ring.hpp"

/// Data keys on their way: backups of a record hold none of them. What is exported lies wrapped
/// under the key-encryption key, which is to be kept elsewhere.
namespace meridian::trust {

/// Writes all data keys, wrapped, and all tombstones into a new file for its owner only. How many
/// keys. A file from before an erasure is to be destroyed: who has it and the key-encryption key
/// has the person's key. Errors: `conflict` when the file exists; the store's. Blocking: reads all.
Result<std::int64_t> export_keys(KeyRing& ring, const std::string& path);

/// What stands in such a file.
struct KeyFile {
    std::map<std::string, store::PrivateRow, std::less<>> rows;
    std::string text;  ///< what `sum` is over
    std::string sum;   ///< a keyed hash, which the ring in the file can check
};
/// The rows of a file, those with an id of `erased` as tombstones. Errors: `incorrect` for what is
/// no such file; as read_file.
Result<KeyFile> read_key_backup(const std::string& path, const std::vector<std::string>& erased);
/// A ring over the file alone, for reading. Errors: as KeyRing::open; `forbidden` when the file was
/// altered.
Result<std::unique_ptr<KeyRing>> ring_of(const KeyFile& file, std::unique_ptr<KekProvider> keks);

struct ImportedKeys {
    std::int64_t keys = 0;        ///< that were not there
    std::int64_t tombstones = 0;  ///< of people erased, there or here
};
/// Brings the keys of a file into a store that has none, or has the same. A tombstone is stronger
/// than a key, wherever it comes from: the file, the store or `erased`. `file` is one that ring_of
/// found unaltered. Errors: `conflict` for a store with keys of its own. Blocking: commits.
Result<ImportedKeys> import_keys(const KeyFile& file, std::unique_ptr<KekProvider> keks,
                                 const std::shared_ptr<KeyRows>& into,
                                 const std::vector<std::string>& erased);

/// How the bodies of a store are read by commands: with its keys when it has some, and the
/// key-encryption key of the folder; without keys plain bodies only. Keeps the store. Errors: as
/// KeyRing::open.
Result<std::shared_ptr<const fhir::Cipher>> cipher_of(std::shared_ptr<store::Store> store,
                                                      const std::string& folder);

}  // namespace meridian::trust
