// SPDX-License-Identifier: Apache-2.0
#include "server/pages.hpp"

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/markup.hpp"
#include "base/query_string.hpp"
#include "fhir/search/parameters.hpp"
#include "rest/answer.hpp"
#include "server/describe.hpp"
#include "server/documents.hpp"
#include "server/html.hpp"
#include "trust/pages/html.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/sessions/session.hpp"

namespace meridian::server {

namespace {

/// The documents are of the program, not of anybody's record.
bool is_public(const net::Request& request) {
    return request.path() == "/docs" || request.path().starts_with("/docs/");
}

net::Response to_sign_in(const net::Request& request) {
    net::Response response;
    response.status = 303;
    response.headers.add("Location",
                         fmt::format("/sign-in?return_to={}", percent_encode(request.target)));
    response.headers.add("Cache-Control", "no-store");
    return response;
}

/// Somebody who is known, and cannot be served at this moment.
net::Response not_now(const Error& error) {
    const bool must_wait = error.category == Category::busy && !error.where.empty();
    net::Response response = net::Response::text(must_wait ? 429 : 503, error.message + "\n");
    if (must_wait) response.headers.add("Retry-After", error.where);
    return response;
}

std::string value_of(const fhir::QueryParameters& parameters, std::string_view wanted) {
    for (const auto& [name, value] : parameters) {
        if (name == wanted) return value;
    }
    return {};
}

std::string grouped(std::int64_t number) {
    std::string text = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
        text.insert(static_cast<std::size_t>(at), ",");
    return text;
}

/// One request for a page: what it needs and in which language it answers.
class View {
 public:
    View(fhir::Repository& repository, fhir::Caller caller, const net::Request& request,
         fhir::QueryParameters parameters)
        : repository_(repository),
          caller_(std::move(caller)),
          parameters_(std::move(parameters)),
          language_(trust::language_of(request) == trust::Language::english ? Language::english
                                                                            : Language::chinese),
          address_(request.target) {}

    Language language() const { return language_; }
    const std::string& address() const { return address_; }

    Result<std::string> start() {
        // What lies in the whole store is told to those only who may see all of it.
        if (caller_.access->sees_everything()) return overview();
        return fmt::format("<h1>{}</h1>", say("一份病历，一本日志，一处授权",
                                              "One record, one log, one access decision")) +
               TRY(patients_section("", say("患者", "Patients"), 20)) + documentation();
    }

    Result<std::string> overview() {
        auto snapshot = TRY(repository_.store().snapshot());
        auto counts = TRY(snapshot->counts());
        const store::Position position = snapshot->position();
        snapshot.reset();
        std::sort(counts.begin(), counts.end(),
                  [](const auto& a, const auto& b) { return a.resources > b.resources; });
        std::int64_t total = 0, patients = 0, documents = 0;
        const auto registry = repository_.parameters();
        for (const store::TypeCount& count : counts) {
            total += count.resources;
            if (registry->type_text(count.type) == "Patient") patients = count.resources;
            if (registry->type_text(count.type) == "DocumentReference") documents = count.resources;
        }
        std::string body = fmt::format(
            "<h1>{}</h1><p class=lead>{}</p>",
            say("一份病历，一本日志，一处授权", "One record, one log, one access decision"),
            say("本服务器保存的全部内容如下。输入姓名或编号即可查找并打开病历。",
                "This is what the server holds. Type a name or a number to find and open a "
                "record."));
        body += fmt::format(
            "<div class=tiles><div class=tile><b>{}</b><span>{}</span></div><div "
            "class=tile><b>{}</b><span>{}</span></div><div "
            "class=tile><b>{}</b><span>{}</span></div><div "
            "class=tile><b>{}</b><span>{}</span></div></div>",
            grouped(patients), say("患者", "patients"), grouped(total), say("资源", "resources"),
            grouped(documents), say("文书", "documents"), grouped(position + 1),
            say("日志条目", "log entries"));
        if (total == 0) {
            body += fmt::format(
                "<h2>{}</h2><div class=empty>{}<br><code>meridian generate --patients 300 --data "
                "…</code><br><code>meridian import --data … FILE</code></div>",
                say("还没有数据", "Nothing here yet"),
                say("生成一个合成区域，或导入文件：",
                    "Generate a synthetic region, or import files:"));
            return body;
        }
        if (patients > 0) body += TRY(patients_section("", say("患者", "Patients"), 10));
        body += fmt::format(
            "<h2>{}</h2><table><thead><tr><th>{}</th><th>{}</th><th></th></tr></thead>",
            say("按类型", "By type"), say("资源类型", "Resource type"), say("数量", "Count"));
        for (const store::TypeCount& count : counts) {
            if (count.resources == 0) continue;
            const std::string_view type = registry->type_text(count.type);
            body += fmt::format(
                R"(<tr><td><a href="/browse/{0}">{0}</a></td><td class=n>{1}</td><td style="width:40%"><div class=bar style="width:{2:.1f}%"></div></td></tr>)",
                type, grouped(count.resources),
                100.0 * static_cast<double>(count.resources) /
                    static_cast<double>(counts.front().resources));
        }
        body += "</table>";
        body += documentation();
        return body;
    }

    Result<std::string> search() {
        const std::string query = value_of(parameters_, "q");
        std::string body = fmt::format("<h1>{}</h1>", say("查找结果", "Search results"));
        if (query.empty())
            return body +
                   fmt::format("<div class=empty>{}</div>",
                               say("请在上方输入姓名或编号。", "Type a name or a number above."));
        std::string found = TRY(patients_section(query, say("患者", "Patients"), 20));
        found +=
            TRY(matches_section("Practitioner", {{"name", query}}, say("医生", "Practitioners")));
        found +=
            TRY(matches_section("Organization", {{"name", query}}, say("机构", "Organisations")));
        found +=
            TRY(matches_section("Condition", {{"code:text", query}}, say("诊断", "Conditions")));
        if (found.empty())
            found = fmt::format(
                "<div class=empty>{}</div>",
                say("没有找到。姓名从开头匹配，编号须完整。",
                    "Nothing found. Names match from their start, numbers must be complete."));
        return body + found;
    }

    Result<std::string> browse(const std::string& type) {
        fhir::QueryParameters query{{"_count", "50"}};
        const std::string cursor = value_of(parameters_, "cursor");
        const fhir::Page page = cursor.empty() ? TRY(repository_.search(caller_, type, query, {}))
                                               : TRY(repository_.next_page(caller_, cursor));
        std::string body = fmt::format("<h1>{}</h1>", escaped_markup(type));
        body += listing(page);
        if (!page.next.empty())
            body += fmt::format(R"(<p><a href="/browse/{}?cursor={}">{} →</a></p>)", type,
                                percent_encode(page.next), say("下一页", "Next page"));
        return body;
    }

    std::string document_list() {
        std::string body = fmt::format("<h1>{}</h1><table>", say("文档", "Documents"));
        for (const Document& document : documents()) {
            // The first heading is the title.
            const std::size_t heading = document.text.find("# ");
            const std::string_view title =
                document.text.substr(heading + 2, document.text.find('\n', heading) - heading - 2);
            body += fmt::format(
                R"(<tr><td><a href="/docs/{0}">{1}</a></td><td class=soft>{0}</td></tr>)",
                document.name, escaped_markup(title));
        }
        return body + "</table>";
    }

    Result<std::string> document(std::string_view name) {
        for (const Document& document : documents()) {
            if (document.name == name)
                return fmt::format("<pre>{}</pre>", escaped_markup(document.text));
        }
        return fail(Category::not_found,
                    std::string(say("没有这份文档。", "There is no such document.")));
    }

    Result<std::string> record(const std::string& type, const std::string& id) {
        const fhir::Resource resource = TRY(repository_.read(caller_, type, id));
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        std::string body;
        if (type == "Patient") {
            body += TRY(chart(document.root(), id));
        } else {
            body += fmt::format("<h1>{}</h1>", describe(document.root(), language_));
            if (const std::string text = document_text(document.root()); !text.empty())
                body += fmt::format("<pre>{}</pre>", escaped_markup(text));
        }
        body += fmt::format(
            R"(<h2>{}</h2><p class=soft>{}/{} · {} {} · {} · <a href="/fhir/{}/{}/_history">{}</a></p><pre>{}</pre>)",
            say("资源原文", "The resource"), type, id, say("版本", "version"), resource.version,
            to_text(resource.updated), type, id, say("历史版本", "history"),
            linked_json(document.root()));
        return body;
    }

 private:
    std::string_view say(std::string_view chinese, std::string_view english) const {
        return server::say(language_, chinese, english);
    }

    std::string documentation() const {
        return fmt::format(
            R"(<h2>{}</h2><div class=grid><div class=card><a href="/fhir/metadata?_pretty=true">/fhir/metadata</a><br><span class=soft>{}</span></div><div class=card><a href="/fhir/Patient?_count=5&_pretty=true">/fhir/Patient</a><br><span class=soft>{}</span></div><div class=card><a href="/docs/">/docs</a><br><span class=soft>{}</span></div></div>)",
            say("接口与文档", "Interfaces and documents"),
            say("能力说明：全部类型、检索参数与操作",
                "what it can do: types, search parameters, operations"),
            say("FHIR R4 接口示例", "the FHIR R4 interface at work"),
            say("架构、运维、符合性与性能", "architecture, operations, conformance, performance"));
    }

    std::string listing(const fhir::Page& page) const {
        if (page.entries.empty())
            return fmt::format("<div class=empty>{}</div>", say("没有内容。", "Nothing here."));
        std::string body = "<table>";
        for (const auto& entry : page.entries) {
            const auto document = JsonDocument::parse(entry.resource.json);
            if (!document || entry.mode != fhir::Page::Entry::Mode::match) continue;
            body += fmt::format(
                R"(<tr><td><a href="/record/{0}/{1}">{2}</a></td><td class=soft>{0}/{1}</td></tr>)",
                entry.resource.type, entry.resource.id, describe(document->root(), language_));
        }
        return body + "</table>";
    }

    Result<std::string> matches_section(std::string_view type, fhir::QueryParameters query,
                                        std::string_view title) {
        query.emplace_back("_count", "10");
        const fhir::Page page = TRY(repository_.search(caller_, type, query, {}));
        if (page.entries.empty()) return std::string();
        return fmt::format("<h2>{}</h2>", title) + listing(page);
    }

    Result<std::string> patients_section(const std::string& query, std::string_view title,
                                         int count) {
        fhir::QueryParameters parameters{{"_count", std::to_string(count)}};
        if (!query.empty()) {
            const bool is_number = query.find_first_of("0123456789") != std::string::npos;
            parameters.emplace_back(is_number ? "identifier" : "name", query);
        }
        const fhir::Page page = TRY(repository_.search(caller_, "Patient", parameters, {}));
        if (page.entries.empty()) return std::string();
        std::string body = fmt::format(
            "<h2>{}</h2><table><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></"
            "thead>",
            title, say("姓名", "Name"), say("性别", "Gender"), say("出生日期", "Birth date"),
            say("编号", "Id"));
        for (const auto& entry : page.entries) {
            const JsonDocument document = TRY(JsonDocument::parse(entry.resource.json));
            const Json& patient = document.root();
            body += fmt::format(
                R"(<tr><td><a href="/record/Patient/{0}">{1}</a></td><td>{2}</td><td>{3}</td><td class=soft>{0}</td></tr>)",
                entry.resource.id, describe(patient, language_), gender_text(patient, language_),
                escaped_markup(patient.string_at("birthDate")));
        }
        return body + "</table>";
    }

    Result<fhir::Page> of_patient(std::string_view type, const std::string& id,
                                  fhir::QueryParameters parameters) {
        parameters.insert(parameters.begin(), {"patient", id});
        return repository_.search(caller_, type, parameters, {});
    }

    /// Banner, problems, medication, laboratory with trends, documents, encounters: a patient on
    /// one page.
    Result<std::string> chart(const Json& patient, const std::string& id) {
        std::string body = fmt::format(
            "<div class=banner><strong>{}</strong><span>{}</span><span>{} {}</span><span "
            "class=soft>{}</span>{}</div>",
            describe(patient, language_), gender_text(patient, language_), say("出生", "born"),
            escaped_markup(patient.string_at("birthDate")), identifier_text(patient),
            patient.find("deceasedDateTime") != nullptr
                ? fmt::format("<span class=\"tag warn\">† {}</span>",
                              escaped_markup(patient.string_at("deceasedDateTime").substr(0, 10)))
                : "");
        body += TRY(laboratory(id));
        body += "<div class=grid>";
        const struct {
            const char* type;
            std::string_view title;
            fhir::QueryParameters parameters;
        } parts[] = {
            {"Condition", say("诊断", "Conditions"), {{"_count", "15"}}},
            {"MedicationRequest",
             say("用药", "Medication"),
             {{"_sort", "-authoredon"}, {"_count", "10"}}},
            {"DocumentReference", say("文书", "Documents"), {{"_sort", "-date"}, {"_count", "10"}}},
            {"Procedure", say("操作与手术", "Procedures"), {{"_sort", "-date"}, {"_count", "10"}}},
            {"Encounter", say("就诊", "Encounters"), {{"_sort", "-date"}, {"_count", "10"}}},
            {"ImagingStudy", say("影像检查", "Imaging"), {{"_count", "10"}}},
        };
        for (const auto& part : parts) {
            const fhir::Page page = TRY(of_patient(part.type, id, part.parameters));
            if (page.entries.empty()) continue;
            body += fmt::format("<section><h2>{}</h2>{}</section>", part.title, listing(page));
        }
        return body + "</div>";
    }

    /// The latest values per test, each with its course.
    Result<std::string> laboratory(const std::string& id) {
        const fhir::Page page =
            TRY(of_patient("Observation", id, {{"_sort", "-date"}, {"_count", "400"}}));
        std::vector<LabSeries> series;
        for (const auto& entry : page.entries) {
            const JsonDocument document = TRY(JsonDocument::parse(entry.resource.json));
            add_observation(document.root(), entry.resource.id, series);
        }
        if (series.empty()) return std::string();
        std::string body = fmt::format(
            "<h2>{}</h2><table><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></"
            "thead>",
            say("检验与测量", "Laboratory and measurements"), say("项目", "Test"),
            say("最近结果", "Latest"), say("日期", "Date"), say("变化", "Course"));
        std::size_t shown = 0;
        for (const LabSeries& one : series) {
            if (++shown > 24) break;
            body += fmt::format(
                R"(<tr><td><a href="/record/Observation/{}">{}</a></td><td>{} <span class=soft>{}</span></td><td>{}</td><td>{}</td></tr>)",
                one.latest_id, escaped_markup(one.name), escaped_markup(one.latest),
                escaped_markup(one.unit), escaped_markup(one.date), sparkline(one));
        }
        return body + "</table>";
    }

    fhir::Repository& repository_;
    fhir::Caller caller_;
    fhir::QueryParameters parameters_;
    Language language_;
    std::string address_;
};

/// What a page says of an error: of the inside (statements, paths) nothing, that is the operator's.
std::string told(Language language, const Error& error) {
    if (error.category != Category::fault) return error.message;
    log::error("a page failed", {{"reason", error.message}, {"place", error.where}});
    return std::string(say(language, "服务器未能完成这个请求，原因已记入日志。",
                           "The server failed at this request; its log has the reason."));
}

net::Response html(int status, std::string body) {
    net::Response response =
        net::Response::text(status, std::move(body), "text/html; charset=utf-8");
    // The pages carry no script and load nothing from elsewhere: forbid both.
    response.headers.add("Content-Security-Policy",
                         "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
                         "base-uri 'none'; frame-ancestors 'none'");
    // Not "no-referrer": browsers then send "Origin: null" with the form that signs out.
    response.headers.add("Referrer-Policy", "same-origin");
    response.headers.add("X-Content-Type-Options", "nosniff");
    response.headers.add("Cache-Control", "no-store");
    return response;
}

/// The token for the form that signs out; empty without a session.
std::string session_token(const net::Request& request) {
    const auto session = trust::cookie(request, trust::session_cookie);
    return session && !session->empty() ? trust::Sessions::csrf_token(request) : std::string();
}

}  // namespace

net::Response Pages::handle(const net::Request& request) {
    if (request.method != net::Method::get && request.method != net::Method::head)
        return net::Response::text(405, "pages are read with GET\n");
    auto caller =
        is_public(request) ? Result<fhir::Caller>(fhir::Caller::nobody()) : gate_->admit(request);
    if (!caller && caller.error().category == Category::unauthenticated) return to_sign_in(request);
    if (!caller) return not_now(caller.error());
    auto parameters = request.parameters();
    View view(repository_, *std::move(caller), request,
              parameters ? *parameters : fhir::QueryParameters{});
    const auto segments = request.segments();
    const std::string query = parameters ? value_of(*parameters, "q") : std::string();
    auto body = [&]() -> Result<std::string> {
        if (!segments) return std::unexpected(segments.error());
        const auto& path = *segments;
        if (path.empty() || (path.size() == 1 && path[0].empty())) return view.start();
        if (path.size() == 1 && path[0] == "search") return view.search();
        if (path.size() == 2 && path[0] == "browse" &&
            fhir::definitions().resource(path[1]) != nullptr)
            return view.browse(path[1]);
        if (path.size() == 3 && path[0] == "record" &&
            fhir::definitions().resource(path[1]) != nullptr)
            return view.record(path[1], path[2]);
        if (path[0] == "docs" && (path.size() == 1 || (path.size() == 2 && path[1].empty())))
            return view.document_list();
        if (path[0] == "docs" && path.size() == 2) return view.document(path[1]);
        return fail(Category::not_found,
                    std::string(say(view.language(), "没有这个页面。", "There is no such page.")));
    }();
    const int status = body ? 200 : rest::status_of(body.error().category);
    std::string content = body ? *std::move(body)
                               : fmt::format("<h1>{}</h1><div class=empty>{}</div>", status,
                                             escaped_markup(told(view.language(), body.error())));
    net::Response response = html(status, page(view.language(), "Meridian", content, query,
                                               view.address(), session_token(request)));
    if (parameters && !value_of(*parameters, "lang").empty()) {
        response.headers.add("Set-Cookie", trust::language_cookie(trust::language_of(request)));
    }
    return response;
}

}  // namespace meridian::server
