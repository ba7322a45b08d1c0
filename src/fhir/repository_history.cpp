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
    Versions(store::Snapshot& snapshot, const HistoryRequest& request, store::HistoryScope scope)
        : snapshot_(snapshot), request_(request), scope_(std::move(scope)) {}

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
        if (!request_.at) return snapshot_.history(scope);
        std::vector<store::Stored> kept;
        while (true) {
            scope.limit = limits::export_batch_resources;
            auto batch = TRY(snapshot_.history(scope));
            for (store::Stored& stored : batch) {
                if (!TRY(was_current(stored))) continue;
                kept.push_back(std::move(stored));
                if (kept.size() == limit) return kept;
            }
            if (batch.size() < scope.limit) return kept;
            scope.before = batch.back().position;
        }
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

    store::Snapshot& snapshot_;
    const HistoryRequest& request_;
    store::HistoryScope scope_;
};

/// What a link must know to go on: a history only grows at its new end, so the position below
/// which it goes on is enough.
std::string cursor_text(const HistoryRequest& request, store::Position below, std::size_t count) {
    QueryParameters parts{{"h", request.type},
                          {"i", request.id},
                          {"b", std::to_string(below)},
                          {"c", std::to_string(count)}};
    if (!request.list.empty()) parts.emplace_back("l", request.list);
    if (request.since) parts.emplace_back("s", std::to_string(request.since->milliseconds));
    if (request.at) {
        parts.emplace_back("f", std::to_string(request.at->first.milliseconds));
        parts.emplace_back("a", std::to_string(request.at->second.milliseconds));
    }
    return query_string(parts);
}

std::string sealed(std::string_view text, std::string_view key) {
    const Sha256 seal = hmac_sha256(key, text);
    return "h." + base64url_encode(text) + "." +
           base64url_encode({reinterpret_cast<const char*>(seal.data()), 16});
}

/// The request inside a history cursor, when its seal is right.
std::optional<HistoryRequest> open_cursor(std::string_view cursor, std::string_view key) {
    const std::size_t dot = cursor.rfind('.');
    std::string text;
    std::string seal;
    if (dot < 2 || !base64url_decode(cursor.substr(2, dot - 2), text) ||
        !base64url_decode(cursor.substr(dot + 1), seal))
        return std::nullopt;
    const Sha256 expected = hmac_sha256(key, text);
    if (seal != std::string_view(reinterpret_cast<const char*>(expected.data()), 16))
        return std::nullopt;
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
    return read_from(caller, std::move(about), [&](store::Snapshot& snapshot, AuditRecord& record) {
        return history_on(snapshot, record, caller, request);
    });
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
    auto versions = TRY(Versions(snapshot, request, scope).take(count + 1, members));
    Page page;
    page.is_history = true;
    page.self_path = request.type + (request.id.empty() ? "" : "/" + request.id) +
                     (request.type.empty() ? "_history" : "/_history");
    const bool more = versions.size() > count;
    if (more) versions.resize(count);
    if (request.cursor.empty()) {
        // Which versions were current at a time, or are in a list, is counted only as far as read.
        if (!request.at && !members) {
            store::HistoryScope all = scope;
            all.limit = 0;
            page.total = TRY(snapshot.history_count(all));
        } else if (!more) {
            page.total = static_cast<std::int64_t>(versions.size());
        }
    }
    for (const store::Stored& stored : versions) {
        if (!caller.access->sees_everything() && !check_visible(snapshot, caller, stored)) continue;
        page.entries.push_back({TRY(decode(stored)), Page::Entry::Mode::match});
    }
    if (more)
        page.next = sealed(cursor_text(request, versions.back().position, count), history_key_);
    tell_patients(caller, page, record);
    return page;
}

Result<Page> StoreRepository::history_after(const Caller& caller, std::string_view cursor) {
    const auto request = open_cursor(cursor, history_key_);
    if (!request) return no_such_page();
    return history(caller, *request);
}

}  // namespace meridian::fhir
