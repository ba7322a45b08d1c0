// SPDX-License-Identifier: Apache-2.0
#include "trust/pages/record_access.hpp"

#include <charconv>
#include <map>
#include <set>

#include "trust/audit/trail.hpp"
#include "trust/pages/visit.hpp"
#include "trust/policy/context.hpp"

namespace meridian::trust {

namespace {

using Visit = SignIn::Visit;
using audit::Access;
using fhir::Interaction;

constexpr std::string_view path = "/account/access";

std::string_view deed_text(const Visit& visit, Interaction interaction) {
    switch (interaction) {
        case Interaction::read:
        case Interaction::vread:
            return visit.say("查看", "Saw");
        case Interaction::search:
            return visit.say("查找", "Searched");
        case Interaction::history:
            return visit.say("查看历史", "Saw the history");
        case Interaction::create:
            return visit.say("新增", "Added");
        case Interaction::update:
        case Interaction::patch:
            return visit.say("修改", "Changed");
        case Interaction::remove:
            return visit.say("删除", "Deleted");
        case Interaction::bulk_export:
            return visit.say("导出", "Exported");
        case Interaction::bulk_import:
            return visit.say("导入", "Imported");
        default:
            return visit.say("处理", "Worked with");
    }
}

/// v3-ActReason, the codes that the shipped policy knows.
std::string_view purpose_text(const Visit& visit, std::string_view code) {
    const struct {
        std::string_view code, chinese, english;
    } known[] = {{"TREAT", "诊疗", "treatment"},
                 {"ETREAT", "急救", "emergency treatment"},
                 {"BTG", "紧急访问", "emergency access"},
                 {"CAREMGT", "照护管理", "care management"},
                 {"COC", "连续照护", "continuing care"},
                 {"PATRQT", "本人要求", "your own request"},
                 {"FAMRQT", "家人要求", "your family's request"},
                 {"HPAYMT", "费用结算", "payment"},
                 {"HRESCH", "科研", "research"},
                 {"HQUALIMP", "质量改进", "quality"},
                 {"HCOMPL", "合规监管", "supervision"},
                 {"HOPERAT", "机构运营", "operations"},
                 {"HSYSADMIN", "系统维护", "system maintenance"},
                 {"PUBHLTH", "公共卫生", "public health"}};
    for (const auto& each : known) {
        if (each.code == code) return visit.say(each.chinese, each.english);
    }
    return code;
}

std::string human_name(const Json& person) {
    const auto names = person["name"].items();
    if (names.empty()) return {};
    std::string shown(names.front().string_at("text"));
    if (!shown.empty()) return shown;
    shown = names.front().string_at("family");
    for (const Json& given : names.front()["given"].items())
        shown.append(shown.empty() ? "" : " ").append(given.text());
    return shown;
}

/// Who it was: where the server acted for somebody, as it does in an emergency, that person.
const std::string& person_of(const audit::Entry& entry) {
    const bool is_for_staff =
        entry.actor.starts_with("Device/") && entry.on_behalf_of.starts_with("Practitioner/");
    return is_for_staff ? entry.on_behalf_of : entry.actor;
}

/// The names of the practitioners among the actors, by one search that the caller may make anyway.
Result<std::map<std::string, std::string>> names_of(fhir::Repository& repository,
                                                    const fhir::Caller& caller,
                                                    const std::vector<Access>& accesses) {
    constexpr std::string_view type = "Practitioner/";
    std::set<std::string> ids;
    for (const Access& access : accesses) {
        const std::string& person = person_of(access.entry);
        if (person.starts_with(type)) ids.insert(person.substr(type.size()));
    }
    std::map<std::string, std::string> names;
    if (ids.empty()) return names;
    const fhir::Page page = TRY(repository.search(
        caller, "Practitioner",
        {{"_id", fmt::format("{}", fmt::join(ids, ","))}, {"_count", std::to_string(ids.size())}},
        {}));
    for (const auto& entry : page.entries) {
        const JsonDocument person = TRY(JsonDocument::parse(entry.resource.json));
        names[fmt::format("{}{}", type, entry.resource.id)] = human_name(person.root());
    }
    return names;
}

std::string who_text(const Visit& visit, const audit::Entry& entry,
                     const std::map<std::string, std::string>& names) {
    const std::string& person = person_of(entry);
    if (person == visit.session->subject.person)
        return fmt::format(R"(<span class="tag">{}</span>)", visit.say("您本人", "You"));
    const auto name = names.find(person);
    std::string shown = name != names.end() && !name->second.empty() ? name->second : person;
    if (shown.empty()) shown = visit.say("本服务器", "This server");
    std::string out = escaped_markup(shown);
    const auto role = role_named(entry.role);
    std::string below = role ? role_text(visit.language, *role) : "";
    if (!entry.organisation.empty())
        below +=
            fmt::format("{}{}", below.empty() ? "" : " · ", escaped_markup(entry.organisation));
    if (!below.empty()) out += fmt::format(R"(<br><span class="soft">{}</span>)", below);
    return out;
}

std::string access_row(const Visit& visit, const Access& access,
                       const std::map<std::string, std::string>& names) {
    const audit::Entry& entry = access.entry;
    std::string deed(deed_text(visit, entry.interaction));
    if (!entry.type.empty())
        deed += fmt::format(R"(<br><span class="soft">{}</span>)", escaped_markup(entry.type));
    std::string why(escaped_markup(purpose_text(visit, entry.purpose)));
    // Not by the clause: it says that some record was open in an emergency, not which.
    if (entry.purpose == "BTG")
        why += fmt::format(R"( <span class="tag warn">{}</span>)", visit.say("紧急", "Emergency"));
    if (entry.outcome == fhir::AuditOutcome::refused)
        why += fmt::format(R"( <span class="tag">{}</span>)", visit.say("被拒绝", "Refused"));
    return table_row({when(access.place.at), who_text(visit, entry, names), deed, why});
}

}  // namespace

std::optional<net::Response> RecordAccess::handle(const net::Request& request) {
    if (request.path() != path) return std::nullopt;
    if (request.method != net::Method::get && request.method != net::Method::head) {
        net::Response response = net::Response::text(405, "this page has another method\n");
        response.headers.add("Allow", "GET, HEAD");
        return response;
    }
    Visit visit(request);
    return answer(visit);
}

net::Response RecordAccess::answer(Visit& visit) {
    auto stopped = stopped_at(visit, sessions_, Door::signed_in, visit.request.target);
    if (!stopped) return failure_page(visit, stopped.error());
    if (*stopped) return **std::move(stopped);
    if (visit.session->must_enrol) return redirect("/account");
    const std::string_view title = visit.say("谁看过病历", "Who saw the record");
    const auto body = body_of(visit);
    const bool is_missing = !body && body.error().category == Category::not_found;
    if (!body && !is_missing) return failure_page(visit, body.error());
    return visit.page(
        is_missing ? 404 : 200, title, false,
        fmt::format(
            R"(<div class="broad"><nav class="tabs" aria-label="{}"><a href="{}" aria-current="page">{}</a><a href="/account">{}</a></nav><h1>{}</h1>{}</div>)",
            visit.say("账户", "Account"), path, title, visit.say("我的账户", "My account"), title,
            is_missing ? fmt::format(R"(<p class="empty">{}</p>)",
                                     visit.say("没有可显示的病历。", "There is no record to show."))
                       : *body));
}

Result<std::string> RecordAccess::body_of(Visit& visit) {
    const Subject& subject = visit.session->subject;
    fhir::Caller caller = TRY(decisions_.caller(subject));
    caller.request_id = visit.request.id;
    caller.address = visit.request.peer;
    const auto nothing = [] { return fail(Category::not_found, "there is no record to show"); };
    constexpr std::string_view type = "Patient/";
    if (subject.role == Role::patient) {
        if (!subject.person.starts_with(type)) return nothing();
        return patient_part(visit, caller, std::string_view(subject.person).substr(type.size()));
    }
    if (subject.role != Role::guardian) return nothing();
    const std::string_view wanted = Visit::value(visit.query, "patient");
    if (!wanted.empty()) return patient_part(visit, caller, wanted);
    // A guardian sees those patients only for whom they stand.
    const fhir::Page wards = TRY(repository_.search(
        caller, "Patient", {{"_count", std::to_string(limits::administration_rows_max)}}, {}));
    if (wards.entries.empty()) return nothing();
    if (wards.entries.size() == 1) return patient_part(visit, caller, wards.entries[0].resource.id);
    std::string rows;
    for (const auto& ward : wards.entries) {
        const JsonDocument patient = TRY(JsonDocument::parse(ward.resource.json));
        const std::string name = human_name(patient.root());
        rows += fmt::format(R"(<li><a href="{}?patient={}">{}</a></li>)", path,
                            percent_encode(ward.resource.id),
                            escaped_markup(name.empty() ? ward.resource.id : name));
    }
    return fmt::format(R"(<p>{}</p><ul class="rows">{}</ul>)",
                       visit.say("您所监护的人：", "Those you stand for:"), rows);
}

Result<std::string> RecordAccess::notices(const Visit& visit, const fhir::Caller& caller,
                                          std::string_view patient) {
    const fhir::Page found = TRY(repository_.search(
        caller, "Communication",
        {{"category", fmt::format("{}|{}", policy::break_glass_system, policy::break_glass_code)},
         {"subject", fmt::format("Patient/{}", patient)},
         {"_sort", "-sent"},
         {"_count", std::to_string(limits::administration_rows_max)}},
        {}));
    std::string rows;
    for (const auto& entry : found.entries) {
        const JsonDocument notice = TRY(JsonDocument::parse(entry.resource.json));
        const auto texts = notice.root()["payload"].items();
        if (texts.empty()) continue;
        const bool is_first = visit.language == Language::chinese || texts.size() == 1;
        const auto sent = parse_date(notice.root().string_at("sent"));
        rows += fmt::format(R"(<li><div>{}<br><span class="soft">{} · {}</span></div></li>)",
                            escaped_markup(texts[is_first ? 0 : 1].string_at("contentString")),
                            sent ? when(sent->lower()) : "",
                            escaped_markup(notice.root()["sender"].string_at("reference")));
    }
    if (rows.empty()) return std::string();
    return fmt::format(
        R"(<section aria-labelledby="notices"><h2 id="notices">{}</h2><ul class="rows">{}</ul></section>)",
        visit.say("紧急访问通知", "Opened in an emergency"), rows);
}

Result<std::string> RecordAccess::patient_part(const Visit& visit, const fhir::Caller& caller,
                                               std::string_view patient) {
    // The one door says whether they may; the trail itself asks nobody.
    TRY(repository_.read(caller, "Patient", patient));
    store::Position before = std::numeric_limits<store::Position>::max();
    if (const std::string_view text = Visit::value(visit.query, "before"); !text.empty())
        std::from_chars(text.data(), text.data() + text.size(), before);
    const auto accesses = TRY(
        audit::accesses_of(repository_.store(), patient, before, limits::administration_rows_max));
    const auto names = TRY(names_of(repository_, caller, accesses));
    std::string rows;
    for (const Access& access : accesses) rows += access_row(visit, access, names);
    std::string body = fmt::format(
        R"(<p class="soft">{}</p>)",
        visit.say("每次查看和修改都留有不可更改的记录，最新的在最前。",
                  "Every look and every change leaves a trace that nobody can alter. The newest "
                  "stands first."));
    if (before == std::numeric_limits<store::Position>::max())
        body += TRY(notices(visit, caller, patient));
    body += table(visit.say("访问记录", "Accesses"),
                  {visit.say("时间", "When"), visit.say("谁", "Who"), visit.say("做了什么", "What"),
                   visit.say("目的", "Why")},
                  rows, visit.say("没有更早的记录。", "There is nothing earlier."));
    if (accesses.size() == limits::administration_rows_max)
        body += fmt::format(
            R"(<p class="wide"><a href="{}?patient={}&amp;before={}" rel="next">{}</a></p>)", path,
            percent_encode(patient), accesses.back().place.position,
            visit.say("更早的记录", "Earlier"));
    return body;
}

}  // namespace meridian::trust
