// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/device.hpp"

#include <algorithm>
#include <charconv>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "trust/limits.hpp"
#include "trust/seal.hpp"
#include "trust/sessions/cookie.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view key_space = "device-key";
constexpr std::size_t number_bytes = 9;

/// What stands in the cookie instead of the name: short, and the same for all names in length.
std::string account_mark(std::string_view account) {
    const Sha256 hash = sha256(account);
    return base64url_encode({reinterpret_cast<const char*>(hash.data()), 12});
}

/// The vault keeps the key as text.
SecretKey key_of(const std::string& bytes) {
    SecretKey key{};
    std::copy_n(bytes.begin(), std::min(bytes.size(), key.size()), key.begin());
    return key;
}

std::string sealed(std::string_view text, const std::string& key) {
    return base64url_encode(seal(key_of(key), device_cookie, text));
}

std::optional<std::string> opened(std::string_view text, const std::string& key) {
    std::string bytes;
    if (text.size() > limits::device_cookie_bytes_max || !base64url_decode(text, bytes))
        return std::nullopt;
    auto out = unseal(key_of(key), device_cookie, bytes);
    return out ? std::optional(*std::move(out)) : std::nullopt;
}

}  // namespace

/// One account that a browser is known to.
struct Devices::Entry {
    std::string account;  ///< account_mark()
    std::string number;
    Instant since{};
};

Result<std::string> Devices::key() {
    const std::lock_guard lock(mutex_);
    for (int round = 0; key_.empty() && round < 2; ++round) {
        if (const auto entry = TRY(vault_.get(key_space, "key"))) {
            if (entry->value.size() != sizeof(SecretKey))
                return fail(Category::fault, "the key of device cookies cannot be read");
            key_ = entry->value;
            break;
        }
        std::string bytes = random_bytes(sizeof(SecretKey));
        std::vector<Vault::Entry> entries;
        entries.push_back({.space = std::string(key_space), .key = "key", .value = bytes});
        if (TRY(vault_.put(std::move(entries)))) key_ = std::move(bytes);
    }
    if (key_.empty())
        return fail(Category::unavailable, "the key of device cookies cannot be made");
    return key_;
}

Result<std::vector<Devices::Entry>> Devices::entries(const net::Request& request) {
    std::vector<Entry> found;
    const auto value = cookie(request, device_cookie);
    if (!value) return found;
    const auto text = opened(*value, TRY(key()));
    if (!text) return found;
    const auto document = JsonDocument::parse(*text);
    if (!document) return found;
    const std::int64_t oldest =
        clock_().milliseconds - std::int64_t{limits::device_cookie_days} * 86'400'000;
    for (const Json& item : document->root().items()) {
        Entry entry{std::string(item.string_at("a")), std::string(item.string_at("n"))};
        const std::string_view since = item["t"].text();
        std::from_chars(since.data(), since.data() + since.size(), entry.since.milliseconds);
        if (entry.since.milliseconds > oldest && !entry.number.empty()) found.push_back(entry);
    }
    return found;
}

Result<std::string> Devices::known(const net::Request& request, std::string_view account,
                                   Instant known_from) {
    const std::string mark = account_mark(account);
    for (const Entry& entry : TRY(entries(request))) {
        if (entry.account == mark && entry.since >= known_from) return entry.number;
    }
    return std::string();
}

Result<std::string> Devices::remember(const net::Request& request, std::string_view account) {
    std::vector<Entry> all = TRY(entries(request));
    const std::string mark = account_mark(account);
    std::erase_if(all, [&](const Entry& entry) { return entry.account == mark; });
    all.insert(all.begin(), Entry{mark, base64url_encode(random_bytes(number_bytes)), clock_()});
    if (all.size() > limits::device_cookie_accounts_max)
        all.resize(limits::device_cookie_accounts_max);
    JsonDocument document;
    Json list = document.array();
    for (const Entry& entry : all) {
        Json item = document.object();
        document.set(item, "a", document.string(entry.account));
        document.set(item, "n", document.string(entry.number));
        document.set(item, "t", document.number(entry.since.milliseconds));
        document.append(list, item);
    }
    return set_cookie(device_cookie, sealed(to_text(list), TRY(key())),
                      std::chrono::days(limits::device_cookie_days));
}

}  // namespace meridian::trust
