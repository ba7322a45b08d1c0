// SPDX-License-Identifier: Apache-2.0
// Emergency accesses and the audit, for audit administrators.
#include <set>

#include "base/hash.hpp"
#include "trust/limits.hpp"
#include "trust/pages/administration_route.hpp"

namespace meridian::trust {

namespace {

using Visit = SignIn::Visit;
using policy::PendingReview;
using policy::Verdict;

std::string review_card(const Visit& visit, const PendingReview& review, Instant at) {
    const bool is_late = review.review_by < at;
    const bool is_open = at < review.ends;
    const bool is_own = review.person == visit.session->subject.person;
    std::string form;
    if (is_own) {
        form =
            fmt::format(R"(<p class="soft">{}</p>)",
                        visit.say("不能复核自己的紧急访问。", "Nobody reviews their own access."));
    } else {
        form = fmt::format(
            R"(<form method="post" action="/administration/reviews">{0}<input type="hidden" name="task" value="{1}"><fieldset><legend>{2}</legend><label class="choice"><input type="radio" name="verdict" value="justified" required> {3}</label><label class="choice"><input type="radio" name="verdict" value="not-justified"> {4}</label></fieldset><label for="finding-{1}">{5}</label><textarea id="finding-{1}" name="finding" rows="2" required maxlength="600"></textarea><button>{6}</button></form>)",
            visit.hidden_csrf(), escaped_markup(review.task), visit.say("结论", "Verdict"),
            visit.say("有正当理由", "It was justified"),
            visit.say("无正当理由", "It was not justified"),
            visit.say("复核说明", "What you found"), visit.say("完成复核", "Close the review"));
    }
    return fmt::format(
        R"(<section class="review"><dl class="facts"><dt>{}</dt><dd>{} {}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{} – {} {}</dd></dl>{}</section>)",
        visit.say("复核期限", "Review until"), when(review.review_by),
        is_late ? fmt::format(R"(<span class="tag warn">{}</span>)", visit.say("已逾期", "Overdue"))
                : "",
        visit.say("访问者", "Who"), escaped_markup(review.person), visit.say("患者", "Patient"),
        escaped_markup(review.patient), visit.say("所述理由", "Reason given"),
        escaped_markup(review.reason), visit.say("访问时段", "Access"), when(review.opened),
        when(review.ends),
        is_open ? fmt::format(R"(<span class="tag">{}</span>)", visit.say("进行中", "Still open"))
                : "",
        form);
}

}  // namespace

net::Response Administration::reviews_page(Visit& visit, int status, std::string_view problem) {
    const auto pending = decisions_.pending_reviews(visit.session->subject);
    if (!pending) return failure_page(visit, pending.error());
    std::string body = fmt::format(
        R"(<p class="soft">{}</p>)",
        visit.say("每次紧急访问都须在期限前由他人复核。期限最近的排在最前。",
                  "Somebody else has to review each emergency access before its deadline. The next "
                  "deadline stands first."));
    if (!problem.empty()) body += alert("problem", problem);
    if (Visit::value(visit.query, "done") == "1")
        body += good_news(visit.say("复核已完成。", "The review is closed."));
    if (pending->reviews.empty())
        body += fmt::format(
            R"(<p class="empty">{}</p>)",
            visit.say("没有等待复核的紧急访问。", "No emergency access waits for a review."));
    const Instant at = options_.clock();
    for (const PendingReview& review : pending->reviews) body += review_card(visit, review, at);
    if (pending->has_more)
        body += fmt::format(R"(<p class="soft">{}</p>)",
                            visit.say("还有更多，完成以上复核后显示。",
                                      "There are more. They follow when these are closed."));
    return page(visit, status, Desk::reviews, visit.say("紧急访问复核", "Emergency reviews"), body);
}

net::Response Administration::show_reviews(Visit& visit) {
    return reviews_page(visit, 200, "");
}

net::Response Administration::take_review(Visit& visit) {
    const auto verdict = policy::verdict_named(visit.field("verdict"));
    const std::string_view task = visit.field("task");
    const auto reviewed = [&]() -> Result<void> {
        if (!verdict) return fail(Category::incorrect, "a verdict is needed", "verdict");
        return decisions_.review(visit.session->subject, task, visit.field("finding"), *verdict);
    }();
    const std::string what = fmt::format("break-glass.review {}",
                                         verdict ? policy::name_of(*verdict) : "without verdict");
    if (const auto noted = note(visit, what, fmt::format("Task/{}", task), reviewed.has_value());
        !noted)
        return failure_page(visit, noted.error());
    if (reviewed) return redirect("/administration/reviews?done=1");
    switch (reviewed.error().category) {
        case Category::incorrect:
            return reviews_page(visit, 400,
                                visit.say("请选择结论并写明复核说明。",
                                          "Choose a verdict and say what you found."));
        case Category::not_found:
            return reviews_page(visit, 404,
                                visit.say("这项复核已由他人完成。",
                                          "Somebody else has closed this review already."));
        case Category::forbidden:
            return reviews_page(visit, 403,
                                visit.say("不能复核自己的紧急访问。",
                                          "Nobody reviews their own emergency access."));
        default:
            return failure_page(visit, reviewed.error());
    }
}

// --- the audit ---

namespace {

std::string_view action_text(const Visit& visit, std::string_view action) {
    if (action == "C") return visit.say("新建", "Create");
    if (action == "R") return visit.say("读取", "Read");
    if (action == "U") return visit.say("修改", "Update");
    if (action == "D") return visit.say("删除", "Delete");
    return visit.say("执行", "Execute");
}

/// The agent who asked, of an AuditEvent.
const Json* requestor_of(const Json& event) {
    for (const Json& agent : event["agent"].items()) {
        if (agent["requestor"].boolean()) return &agent;
    }
    return nullptr;
}

std::string joined_entities(const Json& event, bool of_patients) {
    std::set<std::string> references;  // a patient who was read is named twice
    for (const Json& entity : event["entity"].items()) {
        const std::string_view reference = entity["what"].string_at("reference");
        if (!reference.empty() && reference.starts_with("Patient/") == of_patients)
            references.insert(escaped_markup(reference));
    }
    const std::size_t more =
        references.size() - std::min(references.size(), limits::audit_references_shown_max);
    for (std::size_t i = 0; i < more; ++i) references.erase(std::prev(references.end()));
    std::string out = fmt::format("{}", fmt::join(references, ", "));
    if (more != 0) out += fmt::format(" … +{}", more);
    return out;
}

/// What was asked for, of sign-ins and of changes to accounts, policy and keys. Of a search it is
/// not shown: people search by name, and the audit's administrators see no patient data.
std::string query_text(const Json& event) {
    const std::string_view type = event["type"].string_at("code");
    if (type != "110113" && type != "110114") return {};
    for (const Json& entity : event["entity"].items()) {
        std::string query;
        if (base64_decode(entity.string_at("query"), query) && !query.empty())
            return escaped_markup(query);
    }
    return {};
}

std::string event_row(const Visit& visit, const Json& event) {
    const Json* agent = requestor_of(event);
    std::string who;
    if (agent != nullptr) {
        const std::string_view reference = (*agent)["who"].string_at("reference");
        const std::string_view account = agent->string_at("altId");
        who = escaped_markup(reference.empty() ? account : reference);
        if (!reference.empty() && !account.empty())
            who += fmt::format(R"(<br><span class="soft">{}</span>)", escaped_markup(account));
    }
    const auto subtypes = event["subtype"].items();
    const Json& kind = subtypes.empty() ? event["type"] : subtypes.front();
    const std::string_view kind_text =
        kind.string_at("display").empty() ? kind.string_at("code") : kind.string_at("display");
    const auto recorded = parse_date(event.string_at("recorded"));
    const bool is_success = event.string_at("outcome") == "0";
    return table_row(
        {recorded ? when(recorded->lower()) : "", who,
         fmt::format(R"({}<br><span class="soft">{}</span>)",
                     action_text(visit, event.string_at("action")), escaped_markup(kind_text)),
         joined_entities(event, true), joined_entities(event, false) + query_text(event),
         is_success
             ? std::string(visit.say("成功", "Done"))
             : fmt::format(R"(<span class="tag warn">{}</span>)", visit.say("被拒绝", "Refused"))});
}

/// What the form asks for, as a search of AuditEvent.
fhir::QueryParameters audit_question(const Visit& visit) {
    fhir::QueryParameters question;
    const auto add = [&](const char* parameter, std::string_view prefix, std::string_view field) {
        const std::string_view value = Visit::value(visit.query, field);
        if (!value.empty()) question.emplace_back(parameter, fmt::format("{}{}", prefix, value));
    };
    add("agent", "", "actor");
    add("patient", "", "patient");
    add("date", "ge", "from");
    add("date", "le", "to");
    question.emplace_back("_count", std::to_string(limits::administration_rows_max));
    return question;
}

std::string audit_form(const Visit& visit) {
    const auto value = [&](std::string_view name) { return Visit::value(visit.query, name); };
    const std::string fields =
        field_row("actor", visit.say("访问者", "Who"), value("actor"),
                  R"(placeholder="Practitioner/…" maxlength="200" spellcheck="false")") +
        field_row("patient", visit.say("患者编号", "Patient id"), value("patient"),
                  R"(placeholder="Patient/…" maxlength="200" spellcheck="false")") +
        field_row("from", visit.say("从", "From"), value("from"), R"(type="date")") +
        field_row("to", visit.say("至", "To"), value("to"), R"(type="date")");
    return fmt::format(
        R"(<form method="get" action="/administration/audit" role="search"><div class="fields">{}<div><button class="second">{}</button></div></div></form>)",
        fields, visit.say("查找", "Search"));
}

}  // namespace

net::Response Administration::show_audit(Visit& visit) {
    const std::string_view cursor = Visit::value(visit.query, "cursor");
    const auto found = [&]() -> Result<fhir::Page> {
        fhir::Caller caller = TRY(decisions_.caller(visit.session->subject));
        caller.request_id = visit.request.id;
        caller.address = visit.request.peer;
        if (!cursor.empty()) return repository_.next_page(caller, cursor);
        return repository_.search(caller, "AuditEvent", audit_question(visit), {});
    }();
    const std::string_view title = visit.say("审计", "Audit");
    std::string body = audit_form(visit);
    if (!found) {
        // A cursor of long ago is as wrong as one that was made up.
        if (status_of(found.error()) >= 500 && found.error().category != Category::gone)
            return failure_page(visit, found.error());
        return page(
            visit, 400, Desk::audit, title,
            body + alert("problem", visit.say("请检查查找条件。", "Check what you search for.")));
    }
    std::string rows;
    for (const auto& entry : found->entries) {
        const auto event = JsonDocument::parse(entry.resource.json);
        if (!event) return failure_page(visit, event.error());
        rows += event_row(visit, event->root());
    }
    body += table(
        title,
        {visit.say("时间", "When"), visit.say("访问者", "Who"), visit.say("操作", "Action"),
         visit.say("患者", "Patients"), visit.say("对象", "What"), visit.say("结果", "Outcome")},
        rows, visit.say("没有符合条件的记录。", "No entry fits."));
    if (!found->next.empty())
        body += fmt::format(
            R"(<p class="wide"><a href="/administration/audit?actor={}&amp;patient={}&amp;from={}&amp;to={}&amp;cursor={}" rel="next">{}</a></p>)",
            percent_encode(Visit::value(visit.query, "actor")),
            percent_encode(Visit::value(visit.query, "patient")),
            percent_encode(Visit::value(visit.query, "from")),
            percent_encode(Visit::value(visit.query, "to")), percent_encode(found->next),
            visit.say("更早的记录", "Earlier entries"));
    return page(visit, 200, Desk::audit, title, body);
}

}  // namespace meridian::trust
