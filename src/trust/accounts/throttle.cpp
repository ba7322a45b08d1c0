// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/throttle.hpp"

#include <arpa/inet.h>

#include <charconv>

#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view counters_space = "throttle";
constexpr std::string_view key_space = "throttle-key";
constexpr std::string_view unlocked_space = "throttle-unlocked";

}  // namespace

/// How a kind of counter slows down.
struct Throttle::Rule {
    std::string_view kind;
    std::int64_t free;  ///< attempts without any delay
    std::chrono::seconds first_delay;
    std::chrono::seconds longest_delay;
    std::chrono::seconds forgotten_after;  ///< without another attempt
};

/// One counter: what the vault knows, and the rule it follows.
struct Throttle::Counter {
    const Rule* rule;
    std::string place;
    std::int64_t attempts = 0;
    Instant last{};
    std::int64_t version = 0;

    /// From when on another attempt is heard.
    Instant ready() const {
        if (attempts < rule->free) return Instant{};
        const std::int64_t doublings = std::min<std::int64_t>(attempts - rule->free, 30);
        const std::int64_t seconds = std::min<std::int64_t>(rule->first_delay.count() << doublings,
                                                            rule->longest_delay.count());
        return Instant{last.milliseconds + seconds * 1000};
    }
    Instant forgotten() const {
        const auto after = std::max(rule->forgotten_after, rule->longest_delay);
        return Instant{last.milliseconds + after.count() * 1000};
    }
    void read(const Vault::Entry& entry, Instant at) {
        version = entry.version;
        const std::size_t space = entry.value.find(' ');
        if (space == std::string::npos) return;
        const char* const begin = entry.value.data();
        std::from_chars(begin, begin + space, attempts);
        std::from_chars(begin + space + 1, begin + entry.value.size(), last.milliseconds);
        if (forgotten() <= at) attempts = 0;
    }
    Vault::Entry entry() const {
        return {.space = std::string(counters_space),
                .key = place,
                .value = fmt::format("{} {}", attempts, last.milliseconds),
                .version = version,
                .expires = forgotten()};
    }
};

std::vector<Throttle::Counter> Throttle::counters_of(const Attempt& attempt,
                                                     std::string_view unlocked, const SipKey& key) {
    using std::chrono::hours;
    using std::chrono::minutes;
    using std::chrono::seconds;
    // The longest delay of an account is what a stranger's honest mistake costs its owner at worst.
    static constexpr Rule password_here{"password-here", 5, seconds(5), minutes(15), hours(24)};
    static constexpr Rule password_device{"password-device", 8, seconds(5), minutes(10), hours(24)};
    static constexpr Rule password_account{"password-account", 10, seconds(2), minutes(15),
                                           hours(24)};
    static constexpr Rule code_here{"code-here", 5, seconds(10), minutes(15), hours(24)};
    static constexpr Rule code_device{"code-device", 5, seconds(10), minutes(15), hours(24)};
    static constexpr Rule code_account{"code-account", 10, seconds(10), minutes(15), hours(24)};
    // Many people sit behind the one address of a hospital.
    static constexpr Rule network{"network", 60, seconds(5), seconds(90), hours(1)};
    static constexpr Rule challenge{"challenge", 120, seconds(1), seconds(30), hours(1)};

    std::vector<Counter> counters;
    const auto add = [&](const Rule& rule, std::string_view subject) {
        const std::uint64_t place =
            siphash(fmt::format("{}|{}", rule.kind, subject), key) % limits::throttle_places;
        counters.push_back({.rule = &rule, .place = fmt::format("{}/{}", rule.kind, place)});
    };
    if (attempt.proof == Proof::challenge) {
        add(challenge, attempt.network);
        return counters;
    }
    const bool is_code = attempt.proof == Proof::code;
    // An account that was unlocked has other places than before.
    const std::string account = unlocked.empty() ? std::string(attempt.account)
                                                 : fmt::format("{}#{}", attempt.account, unlocked);
    if (!attempt.device.empty()) {
        add(is_code ? code_device : password_device, fmt::format("{}|{}", account, attempt.device));
        return counters;
    }
    add(is_code ? code_here : password_here, fmt::format("{}|{}", account, attempt.network));
    add(is_code ? code_account : password_account, account);
    add(network, attempt.network);
    return counters;
}

Result<SipKey> Throttle::key() {
    const std::lock_guard lock(mutex_);
    // Two rounds: when another server makes the key at the same time, its key is read.
    for (int round = 0; !key_ && round < 2; ++round) {
        SipKey made{};
        if (const auto entry = TRY(vault_.get(key_space, "key"))) {
            if (entry->value.size() != made.size())
                return fail(Category::fault, "the key of the throttle cannot be read");
            std::copy(entry->value.begin(), entry->value.end(), made.begin());
            key_ = made;
            break;
        }
        const std::string bytes = random_bytes(made.size());
        std::vector<Vault::Entry> entries;
        entries.push_back({.space = std::string(key_space), .key = "key", .value = bytes});
        if (TRY(vault_.put(std::move(entries)))) {
            std::copy(bytes.begin(), bytes.end(), made.begin());
            key_ = made;
        }
    }
    if (!key_) return fail(Category::unavailable, "the key of the throttle cannot be made");
    return *key_;
}

Result<std::string> Throttle::unlocked(std::string_view account) {
    if (account.empty()) return std::string();
    const auto entry = TRY(vault_.get(unlocked_space, account));
    return entry ? entry->value : std::string();
}

Result<void> Throttle::unlock(std::string_view account) {
    auto entry = TRY(vault_.get(unlocked_space, account));
    if (!entry) entry = {.space = std::string(unlocked_space), .key = std::string(account)};
    entry->value = std::to_string(entry->version + 1);
    std::vector<Vault::Entry> entries;
    entries.push_back(*std::move(entry));
    if (TRY(vault_.put(std::move(entries)))) return {};
    return fail(Category::conflict, "the account is being unlocked by others; try again");
}

Result<bool> Throttle::count(std::vector<Counter>& counters, Instant at) {
    std::vector<Vault::Entry> entries;
    for (Counter& counter : counters) {
        ++counter.attempts;
        counter.last = at;
        entries.push_back(counter.entry());
    }
    return vault_.put(std::move(entries));
}

Result<void> Throttle::begin(const Attempt& attempt) {
    const SipKey place_key = TRY(key());
    const std::string times = TRY(unlocked(attempt.account));
    for (unsigned round = 0; round < limits::account_write_attempts_max; ++round) {
        const Instant at = clock_();
        std::vector<Counter> counters = counters_of(attempt, times, place_key);
        Instant ready{};
        for (Counter& counter : counters) {
            if (const auto entry = TRY(vault_.get(counters_space, counter.place)))
                counter.read(*entry, at);
            ready = std::max(ready, counter.ready());
        }
        if (ready > at) {
            const std::int64_t seconds = (ready.milliseconds - at.milliseconds + 999) / 1000;
            return fail(Category::busy, "too many attempts; wait before you try again",
                        std::to_string(seconds));
        }
        if (TRY(count(counters, at))) return {};
    }
    return fail(Category::busy, "too many attempts at once; wait before you try again", "1");
}

Result<void> Throttle::succeeded(const Attempt& attempt) {
    const SipKey place_key = TRY(key());
    const std::string times = TRY(unlocked(attempt.account));
    for (unsigned round = 0; round < limits::account_write_attempts_max; ++round) {
        const Instant at = clock_();
        std::vector<Vault::Entry> entries;
        std::vector<Counter> counters = counters_of(attempt, times, place_key);
        for (Counter& counter : counters) {
            const auto entry = TRY(vault_.get(counters_space, counter.place));
            if (!entry) continue;
            counter.read(*entry, at);
            // The first one is the attempt's own and starts anew; the rest has seen others too.
            counter.attempts =
                &counter == &counters.front() ? 0 : std::max<std::int64_t>(counter.attempts - 1, 0);
            entries.push_back(counter.entry());
        }
        if (entries.empty() || TRY(vault_.put(std::move(entries)))) return {};
    }
    return {};  // others count there just now; the attempt stays counted, which harms nobody
}

std::string network_of(std::string_view peer) {
    std::string address(peer);
    if (address.starts_with('[')) {
        address = address.substr(1, address.find(']') - 1);
    } else if (std::count(address.begin(), address.end(), ':') == 1) {
        address.erase(address.find(':'));
    }
    in6_addr six{};
    if (inet_pton(AF_INET6, address.c_str(), &six) != 1) return address;
    if (IN6_IS_ADDR_V4MAPPED(&six)) return address.substr(address.rfind(':') + 1);
    std::fill(six.s6_addr + 8, six.s6_addr + 16, static_cast<std::uint8_t>(0));
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(AF_INET6, &six, text, sizeof text);
    return fmt::format("{}/64", text);
}

}  // namespace meridian::trust
