// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/pages.hpp"

#include "base/hash.hpp"
#include "base/markup.hpp"
#include "net/url.hpp"

namespace meridian::trust::oauth::detail {

namespace {

struct Words {
    std::string_view english;
    std::string_view chinese;
    std::string_view in(Language language) const {
        return language == Language::chinese ? chinese : english;
    }
};

struct Named {
    std::string_view name;
    Words words;
};

constexpr std::array<Named, 24> types{{
    {"*", {"all health data", "全部健康数据"}},
    {"AllergyIntolerance", {"allergies", "过敏史"}},
    {"Appointment", {"appointments", "预约"}},
    {"CarePlan", {"care plans", "诊疗计划"}},
    {"CareTeam", {"care team", "医护团队"}},
    {"Claim", {"insurance claims", "医保与保险理赔"}},
    {"Communication", {"messages", "消息"}},
    {"Condition", {"diagnoses and problems", "诊断与健康问题"}},
    {"Consent", {"consents", "知情同意"}},
    {"Coverage", {"insurance coverage", "保险信息"}},
    {"Device", {"devices", "设备"}},
    {"DiagnosticReport", {"test reports", "检查检验报告"}},
    {"DocumentReference", {"documents", "病历文档"}},
    {"Encounter", {"visits", "就诊记录"}},
    {"FamilyMemberHistory", {"family history", "家族史"}},
    {"Goal", {"goals", "健康目标"}},
    {"ImagingStudy", {"images", "影像检查"}},
    {"Immunization", {"vaccinations", "疫苗接种"}},
    {"MedicationRequest", {"prescriptions", "处方"}},
    {"MedicationStatement", {"medicines taken", "用药情况"}},
    {"Observation", {"test results and measurements", "检验结果与测量值"}},
    {"Patient", {"personal details", "个人基本信息"}},
    {"Practitioner", {"doctors and nurses", "医护人员"}},
    {"Procedure", {"operations and procedures", "手术与操作"}},
}};

constexpr std::array<Named, 7> plain_scopes{{
    {"openid", {"Know that it is you", "确认您的身份"}},
    {"fhirUser", {"Know which person in the record you are", "知道您在病历系统中的人员身份"}},
    {"launch", {"Open with the record you are in", "使用您当前打开的病历"}},
    {"launch/patient", {"Know which patient you choose", "知道您选择的患者"}},
    {"launch/encounter", {"Know which visit you are in", "知道当前的就诊"}},
    {"online_access", {"Keep its access while you are signed in", "在您登录期间保持访问"}},
    {"offline_access", {"Keep its access when you have left", "在您离开后仍保持访问"}},
}};

constexpr std::string_view style =
    ":root{color-scheme:light dark;--ink:#16212e;--soft:#566373;--paper:#fff;--back:#eef2f6;"
    "--line:#d5dde6;--act:#0b5cad;--on-act:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8edf3;--soft:#a3b0bf;--paper:#1b242e;"
    "--back:#11181f;--line:#35414e;--act:#6db3f8;--on-act:#0b1520}}"
    "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:flex;align-items:center;"
    "justify-content:center;padding:1rem;background:var(--back);color:var(--ink);"
    "font:1rem/1.5 system-ui,-apple-system,'Segoe UI','Noto Sans CJK SC','PingFang SC',sans-serif}"
    "main{width:100%;max-width:30rem;background:var(--paper);border:1px solid var(--line);"
    "border-radius:.75rem;padding:1.5rem}h1{font-size:1.3rem;line-height:1.3;margin:0 0 .5rem}"
    "p{margin:.5rem 0}.soft{color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}"
    "ul{margin:1rem 0;padding:0 0 0 1.2rem}li{margin:.35rem 0}li.change{font-weight:600}"
    "fieldset{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0;padding:.5rem 1rem}"
    "legend{font-weight:600;padding:0 .3rem}label{display:flex;gap:.6rem;align-items:center;"
    "min-height:2.75rem}input[type=search]{flex:1;min-width:0;font:inherit;padding:.5rem;"
    "border:1px solid var(--line);border-radius:.4rem;background:transparent;color:inherit}"
    ".row{display:flex;gap:.6rem;flex-wrap:wrap}button{font:inherit;min-height:2.75rem;"
    "padding:.5rem 1.2rem;border-radius:.5rem;border:1px solid var(--line);background:transparent;"
    "color:inherit;cursor:pointer}.row.end button{flex:1}button.act{background:var(--act);"
    "color:var(--on-act);border-color:var(--act);font-weight:600}"
    "button:focus-visible,input:focus-visible{outline:3px solid var(--act);outline-offset:2px}";

/// CSP allows this very style sheet and no other (CSP Level 3 §2.3.1, hash-source).
const std::string& style_hash() {
    static const std::string hash = [] {
        const Sha256 digest = sha256(style);
        return base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
    }();
    return hash;
}

/// A page that nothing may be loaded into and that nobody may frame. The browser applies
/// form-action to where the answer redirects to as well, so the app's origin is named.
net::Response page(int status, std::string_view title, std::string_view body, Language language,
                   std::string_view form_target) {
    std::string html = fmt::format(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<title>{}</title><style>{}</style></head><body><main>{}</main></body></html>",
        language == Language::chinese ? "zh-CN" : "en", escaped_markup(title), style, body);
    net::Response response =
        net::Response::text(status, std::move(html), "text/html; charset=utf-8");
    response.headers.add(
        "Content-Security-Policy",
        fmt::format("default-src 'none'; style-src 'sha256-{}'; form-action 'self'{}{}; "
                    "frame-ancestors 'none'; base-uri 'none'",
                    style_hash(), form_target.empty() ? "" : " ", form_target));
    response.headers.add("X-Frame-Options", "DENY");
    response.headers.add("X-Content-Type-Options", "nosniff");
    // The page's own form says where it comes from, for those who check the Origin of a POST.
    response.headers.add("Referrer-Policy", "same-origin");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("Vary", "Accept-Language");
    return response;
}

/// Where `uri` leads, as a person may read it: scheme and host, or a private scheme.
std::string origin_of(std::string_view uri) {
    auto url = net::Url::parse(uri);
    if (!url) return std::string(uri.substr(0, uri.find(':') + 1));
    url->path.clear();
    url->query.clear();
    return url->to_text();
}

/// The source expression of CSP that allows a redirect to `uri`. Its grammar has no place for an
/// IPv6 address (CSP Level 3 §2.3.1, host-char): then it is the scheme.
std::string policy_source(std::string_view uri) {
    const std::string origin = origin_of(uri);
    return origin.find('[') == std::string::npos ? origin : "http:";
}

/// "read", "search", "add", "change", "delete" for the letters.
std::string deeds(const Scope& scope, Language language) {
    constexpr std::array<Words, 5> words{{{"add", "新增"},
                                          {"read", "读取"},
                                          {"change", "修改"},
                                          {"delete", "删除"},
                                          {"search", "检索"}}};
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if ((scope.operations & 1u << i) == 0) continue;
        if (!text.empty()) text += language == Language::chinese ? "、" : ", ";
        text += words[i].in(language);
    }
    if (language == Language::english) text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

std::string patients_field(const ConsentPage& page, Language language) {
    const auto say = [&](Words words) { return words.in(language); };
    std::string html = fmt::format("<fieldset><legend>{}</legend>",
                                   say({"Whose record?", "使用哪位患者的病历？"}));
    html += fmt::format(
        "<div class=\"row\"><input type=\"search\" name=\"search\" value=\"{}\" "
        "aria-label=\"{}\"><button name=\"decision\" value=\"search\" "
        "formnovalidate>{}</button></div>",
        escaped_markup(page.search), say({"Search", "查找"}), say({"Search", "查找"}));
    for (const PatientChoice& patient : page.patients)
        html += fmt::format(
            "<label><input type=\"radio\" name=\"patient\" value=\"{}\" required>{}</label>",
            escaped_markup(patient.reference), escaped_markup(patient.label));
    if (page.patients.empty())
        html += fmt::format("<p class=\"soft\">{}</p>", say({"Nobody found.", "没有找到。"}));
    return html + "</fieldset>";
}

bool is_change(const Scope& scope) {
    return (scope.operations & (Scope::create | Scope::update | Scope::remove)) != 0;
}

}  // namespace

Language language_of(const net::Request& request) {
    double english = 0;
    double chinese = 0;
    const std::string header = request.headers.joined("Accept-Language");
    std::string_view rest = header;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        std::string_view range = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        while (range.starts_with(' ')) range.remove_prefix(1);
        double quality = 1;
        if (const std::size_t at = range.find("q="); at != std::string_view::npos)
            std::from_chars(range.data() + at + 2, range.data() + range.size(), quality);
        if (range.starts_with("zh")) chinese = std::max(chinese, quality);
        if (range.starts_with("en")) english = std::max(english, quality);
    }
    return chinese > english ? Language::chinese : Language::english;
}

std::string in_words(const Scope& scope, Language language) {
    if (scope.level == Scope::Level::word) {
        for (const Named& named : plain_scopes)
            if (named.name == scope.word) return std::string(named.words.in(language));
        return scope.word;
    }
    std::string what = scope.type;
    for (const Named& named : types)
        if (named.name == scope.type) what = named.words.in(language);
    const bool is_chinese = language == Language::chinese;
    std::string text = deeds(scope, language) + (is_chinese ? "：" : ": ") + what;
    if (scope.level == Scope::Level::user)
        text += is_chinese ? "（您有权查看的所有患者）" : " (of all patients you may see)";
    for (const auto& [name, value] : scope.query)
        text += fmt::format("{}{} = {}", is_chinese ? "，仅限 " : ", only ", name, value);
    return text;
}

net::Response consent_page(const ConsentPage& content, Language language) {
    const auto say = [&](Words words) { return words.in(language); };
    const bool is_chinese = language == Language::chinese && !content.client.name_zh.empty();
    const std::string name =
        escaped_markup(is_chinese ? content.client.name_zh : content.client.name);
    std::string title =
        fmt::format(fmt::runtime(say({"{} asks for access", "“{}”请求访问"})), name);
    std::string body = fmt::format("<h1>{}</h1><p class=\"soft\">{} {}</p>", title,
                                   say({"You are signed in as", "您当前登录的账户："}),
                                   escaped_markup(content.account));
    body += fmt::format(
        "<form method=\"post\" action=\"/oauth/authorize\">"
        "<input type=\"hidden\" name=\"form\" value=\"{}\">",
        content.form_token);
    body += fmt::format("<p>{}</p><ul>",
                        say({"If you allow it, this app can:", "如果您允许，此应用可以："}));
    for (const Scope& scope : content.scopes)
        body += fmt::format("<li{}>{}</li>", is_change(scope) ? " class=\"change\"" : "",
                            escaped_markup(in_words(scope, language)));
    body += "</ul>";
    if (content.chooses_patient) body += patients_field(content, language);
    body += fmt::format("<p class=\"soft\">{} {}</p>", say({"You will be sent to", "随后将转到"}),
                        escaped_markup(origin_of(content.redirect_uri)));
    body += fmt::format(
        "<div class=\"row end\"><button name=\"decision\" value=\"refuse\" "
        "formnovalidate>{}</button>"
        "<button class=\"act\" name=\"decision\" value=\"allow\">{}</button></div></form>",
        say({"Refuse", "拒绝"}), say({"Allow", "允许"}));
    return page(200, say({"Access", "访问授权"}), body, language,
                policy_source(content.redirect_uri));
}

net::Response problem_page(int status, Problem problem, Language language) {
    constexpr std::array<Words, 4> texts{{
        {"This app is not known here, or it asked in a way that cannot be answered safely. "
         "Please go back and tell the makers of the app.",
         "系统不认识此应用，或其请求无法安全应答。请返回并告知该应用的开发者。"},
        {"This page has been used already or is too old. Please go back to the app and begin "
         "again.",
         "此页面已使用过或已过期。请回到应用重新开始。"},
        {"You could not be signed in. Please begin again.", "未能登录。请重新开始。"},
        {"This is not possible at the moment. Please try again soon.",
         "暂时无法处理，请稍后再试。"},
    }};
    const Words title{"This did not work", "操作未完成"};
    const std::string body = fmt::format("<h1>{}</h1><p>{}</p>", title.in(language),
                                         texts[static_cast<std::size_t>(problem)].in(language));
    return page(status, title.in(language), body, language, "");
}

}  // namespace meridian::trust::oauth::detail
