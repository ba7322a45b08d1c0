// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/key_ring.hpp"

#include <openssl/crypto.h>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "trust/key_file.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view ring_row = "ring";
constexpr std::string_view data_stem = "data/";
constexpr std::string_view tenant_stem = "tenant/";
constexpr char wrapped_mark = 'K', tombstone_mark = 'X';
/// Of the row of a data key: mark, suite, generation (4), tenant, mark of the key.
constexpr std::size_t head_bytes = 1 + 1 + 4 + DataKey::id_bytes + DataKey::mark_bytes;
constexpr std::string_view nobody = "nobody of ";

std::int64_t steady_milliseconds() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::string_view text_of(const SecretKey& key) {
    return {reinterpret_cast<const char*>(key.data()), key.size()};
}

Result<SecretKey> key_of(std::string_view bytes) {
    SecretKey key;
    if (bytes.size() != key.size())
        return fail(Category::fault, "a wrapped key has a wrong length");
    std::memcpy(key.data(), bytes.data(), key.size());
    return key;
}

std::string tenant_row_key(std::string_view tenant, unsigned generation) {
    return fmt::format("{}{}/{}", tenant_stem, to_hex(tenant), generation);
}

/// What the row of a data key says in the clear.
struct Head {
    Suite suite;
    unsigned generation;
    std::string tenant, mark;

    std::string text() const {
        std::string out{wrapped_mark, static_cast<char>(suite)};
        for (int shift = 0; shift < 32; shift += 8)
            out += static_cast<char>(generation >> shift & 0xFF);
        return out + tenant + mark;
    }
};

std::optional<Head> head_of(std::string_view value) {
    if (value.size() < head_bytes || value[0] != wrapped_mark) return std::nullopt;
    if (value[1] != static_cast<char>(Suite::aes) && value[1] != static_cast<char>(Suite::sm))
        return std::nullopt;
    Head head{static_cast<Suite>(value[1]), 0, {}, {}};
    for (std::size_t i = 0; i < 4; ++i)
        head.generation |= static_cast<unsigned>(static_cast<unsigned char>(value[2 + i]))
                           << (8 * i);
    head.tenant = value.substr(6, DataKey::id_bytes);
    head.mark = value.substr(6 + DataKey::id_bytes, DataKey::mark_bytes);
    return head;
}

/// A wrapped key can be read only in its own row, with what stands there in the clear.
std::string context_of(std::string_view row_key, const Head& head) {
    return fmt::format("data key\n{}\n", row_key) + head.text();
}

std::string owner_name(std::string_view owner, std::string_view organisation) {
    return owner.empty() ? fmt::format("{}{}", nobody, organisation) : std::string(owner);
}

std::uint64_t next_serial() {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

std::unexpected<Error> was_shredded() {
    return fail(Category::gone, "the person whom this concerns was erased");
}

}  // namespace

// --- opening ---

KeyRing::KeyRing(std::shared_ptr<KeyRows> rows, std::unique_ptr<KekProvider> keks,
                 const Options& options)
    : serial_(next_serial()),
      rows_(std::move(rows)),
      keks_(std::move(keks)),
      options_(options),
      cache_(options.keys_max == 0 ? limits::data_keys_cached_max : options.keys_max) {}

Result<std::unique_ptr<KeyRing>> KeyRing::open(std::shared_ptr<KeyRows> rows,
                                               std::unique_ptr<KekProvider> keks,
                                               const Options& options) {
    std::unique_ptr<KeyRing> ring(new KeyRing(std::move(rows), std::move(keks), options));
    const auto row = TRY(ring->rows_->row(ring_row));
    if (!row && !options.create)
        return fail(Category::not_found,
                    "the record has no keys: it was never encrypted, or it "
                    "was restored without them (`meridian keys import`)");
    ring->state_ = row ? TRY(ring->read_state(*row)) : TRY(ring->make_state());
    ring->fresh_until_ = steady_milliseconds() + limits::key_standing_milliseconds;
    if (options.background) ring->thread_ = std::thread([&made = *ring] { made.work(); });
    return ring;
}

KeyRing::~KeyRing() {
    {
        const std::lock_guard lock(work_mutex_);
        stopping_ = true;
    }
    stopped_.notify_all();
    if (thread_.joinable()) thread_.join();
    OPENSSL_cleanse(state_.secret.data(), state_.secret.size());
}

Result<KeyRing::State> KeyRing::make_state() {
    State made{.suite = options_.suite,
               .generation = 1,
               .tokens = options_.hashes_tokens ? Tokens::of_ring : Tokens::of_store,
               .secret = random_key()};
    const auto here = TRY(keks_->numbers());
    made.kek = here.empty() ? 1 : here.back();
    // The key first: a record under a key that nobody has would be lost.
    if (here.empty()) TRY(keks_->make(made.kek));
    auto row = TRY(row_of(made));
    if (TRY(rows_->save({row}))) {
        made.version = 1;
        return made;
    }
    const auto others = TRY(rows_->row(ring_row));
    if (!others) return fail(Category::unavailable, "the keys of the record come and go");
    return read_state(*others);
}

Result<KeyRing::State> KeyRing::read_state(const store::PrivateRow& row) {
    const JsonDocument document = TRY(JsonDocument::parse(row.value));
    const auto number = [&](std::string_view key) {
        const std::string_view text = document.root()[key].text();
        unsigned value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    };
    State read{.suite = TRY(suite_of(document.root().string_at("suite"))),
               .kek = number("kek"),
               .generation = number("generation"),
               .is_rotating = document.root()["rotating"].boolean(),
               .tokens = static_cast<Tokens>(std::min(number("tokens"), 2u)),
               .version = row.version};
    std::string wrapped;
    if (!base64_decode(document.root().string_at("secret"), wrapped))
        return fail(Category::fault, "the row of the record's keys is damaged");
    read.secret = TRY(key_of(TRY(keks_->unwrap(read.kek, read.suite, ring_row, wrapped))));
    return read;
}

Result<store::PrivateRow> KeyRing::row_of(const State& state) {
    const std::string wrapped =
        TRY(keks_->wrap(state.kek, state.suite, ring_row, text_of(state.secret)));
    return store::PrivateRow{
        .space = std::string(store::space_of_keys),
        .key = std::string(ring_row),
        .value = fmt::format(
            R"({{"suite":"{}","kek":{},"generation":{},"rotating":{},"tokens":{},"secret":"{}"}})",
            trust::name_of(state.suite), state.kek, state.generation, state.is_rotating,
            static_cast<int>(state.tokens), base64_encode(wrapped)),
        .version = state.version};
}

KeyRing::State KeyRing::state() const {
    const std::shared_lock lock(state_mutex_);
    return state_;
}

Suite KeyRing::suite() const {
    return state().suite;
}

// --- what other servers do ---

bool KeyRing::is_fresh() const {
    return steady_milliseconds() < fresh_until_.load(std::memory_order_relaxed);
}

Result<void> KeyRing::keep_fresh() {
    return is_fresh() ? Result<void>() : look();
}

Result<void> KeyRing::look() {
    const std::lock_guard lock(look_mutex_);
    const std::int64_t began = steady_milliseconds();
    const auto row = TRY(rows_->row(ring_row));
    if (!row) return fail(Category::conflict, "the keys of the record were taken away");
    if (row->version != state().version) {
        State read = TRY(read_state(*row));
        {
            const std::unique_lock state_lock(state_mutex_);
            state_ = read;
        }
        // A rotation, or somebody was erased: what was remembered is asked for again.
        cache_.drop_stored();
    }
    fresh_until_ = began + limits::key_standing_milliseconds;
    return {};
}

void KeyRing::work() {
    constexpr unsigned looks_between_rotations = 16;
    for (unsigned looks = 0;; ++looks) {
        {
            std::unique_lock lock(work_mutex_);
            stopped_.wait_for(lock, std::chrono::milliseconds(limits::key_look_milliseconds),
                              [this] { return stopping_; });
            if (stopping_) return;
        }
        // What cannot be looked at now counts as old soon: whoever needs a key then looks and says.
        if (auto looked = look(); !looked) continue;
        if (looks % looks_between_rotations != 0) continue;
        const auto rotated = rotate_if_wanted([this](std::int64_t) {
            const std::lock_guard lock(work_mutex_);
            return !stopping_;
        });
        if (!rotated && looks % (20 * looks_between_rotations) == 0)
            log::warning("the keys are not wrapped anew yet",
                         {{"reason", rotated.error().message}});
    }
}

// --- names ---

std::string KeyRing::keyed_hash(std::string_view purpose, std::string_view text) const {
    SecretKey secret;
    {
        const std::shared_lock lock(state_mutex_);
        secret = state_.secret;
    }
    const SecretKey key = derive_key(secret, purpose);
    const Sha256 hash = hmac_sha256(text_of(key), text);
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

KeyRing::Tokens KeyRing::tokens() const {
    return state().tokens;
}

std::optional<SipKey> KeyRing::token_key() const {
    if (tokens() == Tokens::of_store) return std::nullopt;
    const std::string hash = keyed_hash("index tokens", {});
    SipKey key{};
    std::memcpy(key.data(), hash.data(), key.size());
    return key;
}

Result<void> KeyRing::set_tokens(Tokens tokens) {
    for (unsigned attempt = 0; attempt < limits::key_attempts_max; ++attempt) {
        TRY(look());
        State next = state();
        next.tokens = tokens;
        if (TRY(rows_->save({TRY(row_of(next))}))) return look();
    }
    return fail(Category::unavailable, "others kept changing the keys; try again");
}

std::string KeyRing::id_of(std::string_view owner) const {
    // A worker writes many resources of one patient in a row.
    struct Last {
        std::uint64_t ring = 0;
        std::string owner, id;
    };
    thread_local Last last;
    if (last.ring != serial_ || last.owner != owner) {
        last.id = keyed_hash("owner", owner).substr(0, DataKey::id_bytes);
        last.owner = owner;
        last.ring = serial_;
    }
    return last.id;
}

std::string KeyRing::row_key_of(std::string_view id) {
    return std::string(data_stem) + to_hex(id);
}

std::string KeyRing::id_in(std::string_view row_key) {
    std::string id;
    row_key.remove_prefix(std::min(data_stem.size(), row_key.size()));
    for (std::size_t i = 0; i + 1 < row_key.size(); i += 2) {
        unsigned char byte = 0;
        std::from_chars(row_key.data() + i, row_key.data() + i + 2, byte, 16);
        id += static_cast<char>(byte);
    }
    return id;
}

// --- organisations' keys ---

Result<KeyRing::TenantKey> KeyRing::tenant_key(const std::string& tenant, unsigned generation,
                                               bool make) {
    {
        const std::shared_lock lock(state_mutex_);
        if (const auto found = tenants_.find({tenant, generation}); found != tenants_.end())
            return found->second;
    }
    const State now_state = state();
    const std::string row_key = tenant_row_key(tenant, generation);
    for (unsigned attempt = 0; attempt < limits::key_attempts_max; ++attempt) {
        const auto row = TRY(rows_->row(row_key));
        if (!row) {
            if (!make)
                return fail(Category::conflict,
                            "the key of an organisation is not here; the record was restored "
                            "without its keys (`meridian keys import`)");
            const std::string wrapped =
                TRY(keks_->wrap(now_state.kek, now_state.suite, row_key, text_of(random_key())));
            TRY(rows_->save({{.space = std::string(store::space_of_keys),
                              .key = row_key,
                              .value = fmt::format("{}\n", now_state.kek) + wrapped}}));
            continue;  // read what is there now: another server may have been faster
        }
        const std::size_t line = row->value.find('\n');
        unsigned kek = 0;
        std::from_chars(row->value.data(), row->value.data() + std::min(line, row->value.size()),
                        kek);
        if (line == std::string::npos || kek == 0)
            return fail(Category::fault, "the row of an organisation's key is damaged");
        const SecretKey key = TRY(key_of(TRY(keks_->unwrap(
            kek, now_state.suite, row_key, std::string_view(row->value).substr(line + 1)))));
        auto made = std::make_shared<const MessageKey>(now_state.suite, key);
        const std::unique_lock lock(state_mutex_);
        return tenants_[{tenant, generation}] = std::move(made);
    }
    return fail(Category::unavailable, "the key of an organisation comes and goes");
}

// --- data keys ---

Result<DataKeyPointer> KeyRing::read_key(const store::PrivateRow& row) {
    auto read = std::make_shared<DataKey>();
    read->id = id_in(row.key);
    read->is_stored = true;
    if (is_tombstone(row)) return read;
    const auto head = head_of(row.value);
    if (!head) return fail(Category::fault, "the row of a data key is damaged");
    const TenantKey tenant = TRY(tenant_key(head->tenant, head->generation, false));
    const std::string opened = TRY(
        tenant->open(context_of(row.key, *head), std::string_view(row.value).substr(head_bytes)));
    if (opened.size() < sizeof(SecretKey))
        return fail(Category::fault, "the row of a data key is damaged");
    read->mark = head->mark;
    read->suite = head->suite;
    read->owner = opened.substr(sizeof(SecretKey));
    read->key = std::make_unique<const MessageKey>(
        head->suite, TRY(key_of(std::string_view(opened).substr(0, sizeof(SecretKey)))));
    return read;
}

Result<DataKeyPointer> KeyRing::look_up(std::string_view id) {
    TRY(keep_fresh());
    if (auto found = cache_.find(id)) return found;
    const auto row = TRY(rows_->row(row_key_of(id)));
    if (!row) return DataKeyPointer();
    return cache_.add(TRY(read_key(*row)));
}

Result<DataKeyPointer> KeyRing::key_with(std::string_view id) {
    DataKeyPointer found = TRY(look_up(id));
    if (!found)
        return fail(Category::conflict,
                    "the key of this is not here; the record was restored without its keys "
                    "(`meridian keys import`)");
    if (found->is_shredded()) return was_shredded();
    return found;
}

DataKeyPointer KeyRing::key_at_hand(std::string_view id) const {
    if (!is_fresh()) return nullptr;
    DataKeyPointer found = cache_.find(id);
    return found && !found->is_shredded() ? found : nullptr;
}

Result<DataKeyPointer> KeyRing::make_key(std::string_view owner, std::string_view organisation) {
    const State now_state = state();
    auto made = std::make_shared<DataKey>();
    made->owner = owner;
    made->id = id_of(owner);
    made->suite = now_state.suite;
    made->mark = random_bytes(DataKey::mark_bytes);
    const std::string tenant =
        keyed_hash("organisation", organisation).substr(0, DataKey::id_bytes);
    const Head head{now_state.suite, now_state.generation, tenant, made->mark};
    SecretKey key = random_key();
    const std::string secret = std::string(text_of(key)) + made->owner;
    made->row_value = head.text();
    TRY(tenant_key(tenant, now_state.generation, true))
        ->seal(context_of(row_key_of(made->id), head), secret, made->row_value);
    made->key = std::make_unique<const MessageKey>(now_state.suite, key);
    OPENSSL_cleanse(key.data(), key.size());
    return cache_.add(made);
}

Result<DataKeyPointer> KeyRing::key_for(std::string_view owner, std::string_view organisation) {
    const std::string name = owner_name(owner, organisation);
    DataKeyPointer found = TRY(look_up(id_of(name)));
    if (!found) found = TRY(make_key(name, organisation));
    if (found->is_shredded()) return was_shredded();
    if (found->owner == name) return found;
    return fail(Category::fault, "two patients have the same keyed hash; give this one another id");
}

Result<store::PrivateRow> KeyRing::row_to_store(const DataKey& key) {
    store::PrivateRow row{.space = std::string(store::space_of_keys),
                          .key = row_key_of(key.id),
                          .value = key.row_value};
    const State now_state = state();
    // A rotation began since it was made. Others may store it in its first form meanwhile: then
    // this one is found to be the same key.
    if (head_of(row.value)->generation != now_state.generation)
        row.value = TRY(rewrapped(row, now_state));
    return row;
}

Result<bool> KeyRing::settle(const DataKeyPointer& key) {
    const auto row = TRY(rows_->row(row_key_of(key->id)));
    if (!row) return false;
    if (row->value == key->row_value) {
        key->is_stored = true;
        return true;
    }
    auto read = TRY(read_key(*row));
    // Wrapped anew by a rotation, it is the same key.
    if (read->mark == key->mark) {
        key->is_stored = true;
        return true;
    }
    cache_.replace(read);
    return false;
}

// --- shredding ---

bool KeyRing::is_tombstone(const store::PrivateRow& row) {
    return !row.value.empty() && row.value.front() == tombstone_mark;
}

store::PrivateRow KeyRing::tombstone_of(std::string_view id, std::int64_t version) {
    return {.space = std::string(store::space_of_keys),
            .key = row_key_of(id),
            .value = std::string(1, tombstone_mark) + to_text(now()),
            .version = version};
}

Result<void> KeyRing::shred(const std::vector<std::string>& ids) {
    for (unsigned attempt = 0; attempt < limits::key_attempts_max; ++attempt) {
        std::vector<store::PrivateRow> tombstones;
        for (const std::string& id : ids) {
            const auto row = TRY(rows_->row(row_key_of(id)));
            if (row && is_tombstone(*row)) continue;
            tombstones.push_back(tombstone_of(id, row ? row->version : 0));
        }
        if (tombstones.empty()) {
            TRY(look());
            cache_.drop_stored();
            return {};
        }
        // Written again as it is: by its version other servers see that something has changed.
        auto ring = TRY(rows_->row(ring_row));
        if (!ring) return fail(Category::conflict, "the keys of the record were taken away");
        tombstones.push_back(*ring);
        if (!TRY(rows_->save(std::move(tombstones)))) continue;
        for (const std::string& id : ids) cache_.drop(id);
    }
    return fail(Category::unavailable, "others kept changing the keys; try again");
}

// --- rotation ---

Result<KeyRing::Status> KeyRing::status() {
    TRY(look());
    const State now_state = state();
    Status status{.suite = now_state.suite,
                  .provider = std::string(keks_->name()),
                  .kek = now_state.kek,
                  .generation = now_state.generation,
                  .is_rotating = now_state.is_rotating,
                  .keks = TRY(keks_->numbers())};
    std::string after;
    while (true) {
        const auto rows = TRY(rows_->rows(data_stem, after, limits::key_rows_at_once));
        if (rows.empty()) return status;
        after = rows.back().key;
        for (const store::PrivateRow& row : rows) {
            if (is_tombstone(row)) {
                ++status.shredded;
                continue;
            }
            ++status.keys;
            const auto head = head_of(row.value);
            if (head && head->generation != now_state.generation) ++status.old;
        }
    }
}

Result<void> KeyRing::rotate(const std::function<bool(std::int64_t)>& go_on) {
    const std::lock_guard lock(rotation_mutex_);
    TRY(look());
    if (!state().is_rotating) TRY(begin_rotation());
    std::int64_t done = 0;
    // A server that has not seen the new keys yet may store one under the old ones.
    const auto seen_by_all = std::chrono::steady_clock::now() +
                             std::chrono::milliseconds(limits::key_standing_milliseconds +
                                                       limits::key_look_milliseconds);
    while (true) {
        const bool is_settled = std::chrono::steady_clock::now() >= seen_by_all;
        if (TRY(wrap_old(go_on, done)) == 0 && is_settled) break;
        if (!is_settled)
            std::this_thread::sleep_for(std::chrono::milliseconds(limits::key_look_milliseconds));
    }
    return finish_rotation();
}

Result<void> KeyRing::rotate_if_wanted(const std::function<bool(std::int64_t)>& go_on) {
    const State now_state = state();
    const auto here = TRY(keks_->numbers());
    const bool is_newer_here = !here.empty() && here.back() > now_state.kek;
    return now_state.is_rotating || is_newer_here ? rotate(go_on) : Result<void>();
}

Result<void> KeyRing::begin_rotation() {
    for (unsigned attempt = 0; attempt < limits::key_attempts_max; ++attempt) {
        TRY(look());
        State next = state();
        if (next.is_rotating) return {};
        const auto here = TRY(keks_->numbers());
        const bool is_newer_here = !here.empty() && here.back() > next.kek;
        const unsigned number = is_newer_here ? here.back() : next.kek + 1;
        if (!is_newer_here) TRY(keks_->make(number));
        next.kek = number;
        ++next.generation;
        next.is_rotating = true;
        if (!TRY(rows_->save({TRY(row_of(next))}))) continue;
        log::info("a new key-encryption key is in use; data keys are wrapped anew",
                  {{"number", std::to_string(number)}});
        return look();
    }
    return fail(Category::unavailable, "others kept changing the keys; try again");
}

Result<std::string> KeyRing::rewrapped(const store::PrivateRow& row, const State& now_state) {
    Head head = *head_of(row.value);
    const std::string secret =
        TRY(TRY(tenant_key(head.tenant, head.generation, false))
                ->open(context_of(row.key, head), std::string_view(row.value).substr(head_bytes)));
    head.generation = now_state.generation;
    std::string wrapped = head.text();
    TRY(tenant_key(head.tenant, head.generation, true))
        ->seal(context_of(row.key, head), secret, wrapped);
    return wrapped;
}

Result<std::int64_t> KeyRing::wrap_old(const std::function<bool(std::int64_t)>& go_on,
                                       std::int64_t& done) {
    const State now_state = state();
    std::int64_t found = 0;
    for (std::string after;;) {
        const auto rows = TRY(rows_->rows(data_stem, after, limits::key_rows_at_once));
        if (rows.empty()) return found;
        after = rows.back().key;
        std::vector<store::PrivateRow> changed;
        for (const store::PrivateRow& row : rows) {
            const auto head = head_of(row.value);
            if (!head || head->generation == now_state.generation) continue;
            changed.push_back(row);
            changed.back().value = TRY(rewrapped(row, now_state));
        }
        const auto count = static_cast<std::int64_t>(changed.size());
        found += count;
        // Where somebody was erased in between, the next pass finds what is left.
        if (count > 0 && TRY(rows_->save(std::move(changed)))) done += count;
        if (!go_on(done))
            return fail(Category::unavailable,
                        "the rotation was stopped; it goes on when a server runs, or when it is "
                        "started again");
    }
}

Result<store::PrivateRow> KeyRing::rewrapped_tenant(const store::PrivateRow& row,
                                                    const State& now_state) {
    const std::size_t line = row.value.find('\n');
    unsigned kek = 0;
    std::from_chars(row.value.data(), row.value.data() + std::min(line, row.value.size()), kek);
    if (line == std::string::npos)
        return fail(Category::fault, "the row of an organisation's key is damaged");
    const std::string key = TRY(
        keks_->unwrap(kek, now_state.suite, row.key, std::string_view(row.value).substr(line + 1)));
    store::PrivateRow changed = row;
    changed.value = fmt::format("{}\n", now_state.kek) +
                    TRY(keks_->wrap(now_state.kek, now_state.suite, row.key, key));
    return changed;
}

Result<void> KeyRing::finish_rotation() {
    const State now_state = state();
    std::vector<store::PrivateRow> old;
    for (std::string after;;) {
        const auto rows = TRY(rows_->rows(tenant_stem, after, limits::key_rows_at_once));
        if (rows.empty()) break;
        after = rows.back().key;
        const std::string ending = fmt::format("/{}", now_state.generation);
        const std::string before = fmt::format("/{}", now_state.generation - 1);
        for (const store::PrivateRow& row : rows) {
            if (row.key.ends_with(ending)) continue;
            // A commit that waited long may still bring a key under the ones before: they stay for
            // one more rotation, under the new key-encryption key.
            const bool stays = row.key.ends_with(before);
            old.push_back(stays ? TRY(rewrapped_tenant(row, now_state)) : row);
            old.back().removed = !stays;
        }
    }
    State next = now_state;
    next.is_rotating = false;
    old.push_back(TRY(row_of(next)));
    TRY(rows_->save(std::move(old)));  // when not: another server has finished it, or will
    TRY(look());
    if (!state().is_rotating)
        log::info("all data keys lie under the new key-encryption key",
                  {{"number", std::to_string(now_state.kek)}});
    return {};
}

}  // namespace meridian::trust
