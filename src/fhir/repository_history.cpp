// SPDX-License-Identifier: Apache-2.0
// Histories of a resource, a type and the record (FHIR R4 §3.1.0.12).
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/store_repository.hpp"

namespace meridian::fhir {

namespace {

/// What a List refers to, and nothing else: all versions of a resource, or the one that is named.
struct Member {
    store::Identity identity;
    std::optional<store::Version> version{};
};

/// "Type/id" or "Type/id/_history/version", also below this server's base; nothing for the rest.
std::optional<Member> member_of(std::string_view reference, std::string_view base_url,
                                const search::Parameters& parameters) {
    if (!base_url.empty() && reference.starts_with(base_url) &&
        reference.substr(base_url.size()).starts_with('/'))
        reference.remove_prefix(base_url.size() + 1);
    const std::size_t slash = reference.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    Member member;
    member.identity.type = parameters.type_name(reference.substr(0, slash));
    std::string_view id = reference.substr(slash + 1);
    constexpr std::string_view versions = "/_history/";
    if (const std::size_t at = id.find(versions); at != std::string_view::npos) {
        const std::string_view digits = id.substr(at + versions.size());
        store::Version version = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), version);
        if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
        member.version = version;
        id = id.substr(0, at);
    }
    if (member.identity.type == 0 || !is_fhir_id(id)) return std::nullopt;
    member.identity.id = id;
    return member;
}

/// The versions that one request asks for, newest first.
class Versions {
 public:
    Versions(StoreRepository& repository, const Caller& caller, store::Snapshot& snapshot,
             const HistoryRequest& request, store::HistoryScope scope)
        : repository_(repository),
          caller_(caller),
          snapshot_(snapshot),
          request_(request),
          scope_(std::move(scope)) {}

    /// At most `limit` of them.
    Result<std::vector<store::Stored>> take(std::size_t limit,
                                            const std::optional<std::vector<Member>>& members) {
        if (!members) return take_from(scope_, limit);
        std::vector<store::Stored> all;
        for (const Member& member : *members) {
            store::HistoryScope scope = scope_;
            scope.type = member.identity.type;
            scope.id = member.identity.id;
            // One version may lie behind any number of newer ones.
            auto some = TRY(take_from(
                scope, member.version ? std::numeric_limits<std::int32_t>::max() : limit));
            for (store::Stored& stored : some) {
                if (!member.version || stored.version == *member.version)
                    all.push_back(std::move(stored));
            }
        }
        std::sort(all.begin(), all.end(), [](const store::Stored& a, const store::Stored& b) {
            return a.position > b.position;
        });
        all.erase(std::unique(all.begin(), all.end(),
                              [](const store::Stored& a, const store::Stored& b) {
                                  return a.position == b.position;
                              }),
                  all.end());
        if (all.size() > limit) all.resize(limit);
        return all;
    }

 private:
    Result<std::vector<store::Stored>> take_from(store::HistoryScope scope, std::size_t limit) {
        scope.limit = limit;
        const bool is_filtered = !caller_.access->sees_everything();
        if (!request_.at && !is_filtered) return snapshot_.history(scope);
        std::vector<store::Stored> kept;
        while (true) {
            scope.limit = std::clamp(limit, std::size_t{20}, limits::export_batch_resources);
            auto batch = TRY(snapshot_.history(scope));
            const bool is_last = batch.size() < scope.limit;
            if (!batch.empty()) scope.before = batch.back().position;
            // What is hidden is left out before the page is cut: a short page would tell of it.
            for (store::Stored& stored : is_filtered ? TRY(shown_of(std::move(batch))) : batch) {
                if (request_.at && !TRY(was_current(stored))) continue;
                kept.push_back(std::move(stored));
                if (kept.size() == limit) return kept;
            }
            if (is_last) return kept;
        }
    }

    Result<std::vector<store::Stored>> shown_of(std::vector<store::Stored> batch) {
        const auto registry = repository_.parameters();
        std::erase_if(batch, [&](const store::Stored& stored) {
            return !caller_.access->allow(Right::history, registry->type_text(stored.type));
        });
        return repository_.admitted(caller_, snapshot_, std::move(batch));
    }

    /// Whether a version that was there before the end of the period was current at its beginning
    /// or later.
    Result<bool> was_current(const store::Stored& stored) {
        const Instant begin = request_.at->first;
        if (stored.updated > begin) return true;
        if (stored.deleted()) return false;  // nothing was there any more
        if (stored.current) return true;
        const auto next = TRY(snapshot_.find_version({stored.type, stored.id}, stored.version + 1));
        return next && next->updated > begin;
    }

    StoreRepository& repository_;
    const Caller& caller_;
    store::Snapshot& snapshot_;
    const HistoryRequest& request_;
    store::HistoryScope scope_;
};

/// What a link must know to go on: a history only grows at its new end, so the position below
/// which it goes on is enough.
std::string cursor_text(const HistoryRequest& request, store::Position below, std::size_t count) {
    QueryParameters parts{{"h", request.type},
                          {"i", request.id},
                          {"b", fmt::format("{:019}", below)},
                          {"c", std::to_string(count)}};
    if (!request.list.empty()) parts.emplace_back("l", request.list);
    if (request.since) parts.emplace_back("s", std::to_string(request.since->milliseconds));
    if (request.at) {
        parts.emplace_back("f", std::to_string(request.at->first.milliseconds));
        parts.emplace_back("a", std::to_string(request.at->second.milliseconds));
    }
    return query_string(parts);
}

/// `text` and a key stream of the same length put together; doing it twice gives the text back.
/// HMAC-SHA-256 in counter mode: without the key the stream is random.
std::string with_stream(std::string text, std::string_view nonce, std::string_view key) {
    for (std::size_t block = 0; block * sizeof(Sha256) < text.size(); ++block) {
        const Sha256 stream = hmac_sha256(key, fmt::format("stream:{}:{}", block, nonce));
        for (std::size_t i = 0; i < stream.size(); ++i) {
            const std::size_t at = block * stream.size() + i;
            if (at < text.size())
                text[at] = static_cast<char>(static_cast<unsigned char>(text[at]) ^ stream[i]);
        }
    }
    return text;
}

constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t seal_bytes = 16;

std::string seal_of(std::string_view body, const Caller& caller, std::string_view key) {
    const Sha256 seal =
        hmac_sha256(key, fmt::format("seal:{}:{}{}", body.size(), body, caller.cursor_key()));
    return {reinterpret_cast<const char*>(seal.data()), seal_bytes};
}

/// A cursor holds a position of the log, which tells how much others write: only this server can
/// read it, and only whoever got it can use it.
std::string sealed(std::string text, const Caller& caller, std::string_view key) {
    const std::string nonce = random_bytes(nonce_bytes);
    const std::string body = nonce + with_stream(std::move(text), nonce, key);
    return "h." + base64url_encode(body) + "." + base64url_encode(seal_of(body, caller, key));
}

/// The request inside a history cursor, when its seal is right.
std::optional<HistoryRequest> open_cursor(std::string_view cursor, const Caller& caller,
                                          std::string_view key) {
    const std::size_t dot = cursor.rfind('.');
    std::string body;
    std::string seal;
    if (dot < 2 || !base64url_decode(cursor.substr(2, dot - 2), body) ||
        !base64url_decode(cursor.substr(dot + 1), seal) || body.size() < nonce_bytes ||
        seal != seal_of(body, caller, key))
        return std::nullopt;
    const std::string text =
        with_stream(body.substr(nonce_bytes), body.substr(0, nonce_bytes), key);
    const auto parts = parse_query_string(text);
    if (!parts) return std::nullopt;
    HistoryRequest request;
    Instant from;
    for (const auto& [name, value] : *parts) {
        if (name == "h") request.type = value;
        if (name == "i") request.id = value;
        if (name == "l") request.list = value;
        if (name == "b") request.cursor = value;
        if (name == "c") request.count = static_cast<std::size_t>(std::stoul(value));
        if (name == "s") request.since = Instant{std::stoll(value)};
        if (name == "f") from = Instant{std::stoll(value)};
        if (name == "a") request.at = {from, Instant{std::stoll(value)}};
    }
    return request;
}

std::unexpected<Error> no_such_page() {
    return fail(Category::gone, "this page link is not valid any more: start the history again");
}

/// The members of a List that the history of `request` covers.
Result<std::vector<Member>> members_in(std::string_view list_json, const HistoryRequest& request,
                                       std::string_view base_url,
                                       const search::Parameters& parameters) {
    const JsonDocument list = TRY(JsonDocument::parse(list_json));
    const store::Name type = request.type.empty() ? 0 : parameters.type_name(request.type);
    std::vector<Member> members;
    for (const Json& entry : list.root()["entry"].items()) {
        auto member = member_of(entry["item"].string_at("reference"), base_url, parameters);
        if (!member || (type != 0 && member->identity.type != type) ||
            (!request.id.empty() && member->identity.id != request.id))
            continue;
        if (members.size() == limits::conditional_matches_max)
            return fail(Category::too_large,
                        fmt::format("a history follows at most {} entries of a List",
                                    limits::conditional_matches_max),
                        "_list");
        members.push_back(*std::move(member));
    }
    return members;
}

}  // namespace

Result<Page> StoreRepository::history(const Caller& caller, const HistoryRequest& request) {
    AuditRecord about{.interaction = Interaction::history, .type = request.type, .id = request.id};
    const auto work = [&](store::Snapshot& snapshot, AuditRecord& record) -> Result<Page> {
        if (!request.type.empty()) TRY(caller.access->allow(Right::history, request.type));
        return history_on(snapshot, record, caller, request);
    };
    return read_from(caller, std::move(about), work);
}

Result<Page> StoreRepository::history_on(store::Snapshot& snapshot, AuditRecord& record,
                                         const Caller& caller, const HistoryRequest& request) {
    const auto registry = parameters();
    store::HistoryScope scope;
    scope.since = request.since;
    if (request.at) scope.at_or_before = request.at->second;
    if (!request.type.empty()) scope.type = registry->type_name(request.type);
    scope.id = request.id;
    if (!request.id.empty() && !TRY(find(snapshot, caller, request.type, request.id, &record)))
        return fail(Category::not_found,
                    fmt::format("there is no {}/{}", request.type, request.id.substr(0, 64)));
    if (!request.cursor.empty()) {
        const auto [end, error] = std::from_chars(
            request.cursor.data(), request.cursor.data() + request.cursor.size(), scope.before);
        if (error != std::errc()) return no_such_page();
    }
    std::optional<std::vector<Member>> members;
    if (!request.list.empty()) {
        const auto list = TRY(find(snapshot, caller, "List", request.list));
        if (!list || list->deleted())
            return fail(Category::not_found,
                        fmt::format("there is no List/{}", request.list.substr(0, 64)), "_list");
        members = TRY(members_in(TRY(decode(*list)).json, request, base_url(), *registry));
    }

    const std::size_t count = request.count == 0 ? limits::page_size_default : request.count;
    auto versions = TRY(Versions(*this, caller, snapshot, request, scope).take(count + 1, members));
    Page page;
    page.is_history = true;
    page.self_path = request.type + (request.id.empty() ? "" : "/" + request.id) +
                     (request.type.empty() ? "_history" : "/_history");
    const bool more = versions.size() > count;
    if (more) versions.resize(count);
    if (request.cursor.empty()) {
        // Which versions were current at a time, are in a list, or exist for the caller is counted
        // only as far as read.
        if (!request.at && !members && caller.access->sees_everything()) {
            store::HistoryScope all = scope;
            all.limit = 0;
            page.total = TRY(snapshot.history_count(all));
        } else if (!more) {
            page.total = static_cast<std::int64_t>(versions.size());
        }
    }
    for (const store::Stored& stored : versions) {
        if (auto resource = TRY(show_kept(caller, stored)))
            page.entries.push_back({*std::move(resource), Page::Entry::Mode::match});
    }
    if (more)
        page.next =
            sealed(cursor_text(request, versions.back().position, count), caller, history_key_);
    tell_patients(caller, page, record);
    return page;
}

Result<Page> StoreRepository::history_after(const Caller& caller, std::string_view cursor) {
    const auto request = open_cursor(cursor, caller, history_key_);
    if (!request) return no_such_page();
    return history(caller, *request);
}

}  // namespace meridian::fhir
