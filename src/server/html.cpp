// SPDX-License-Identifier: Apache-2.0
#include "server/html.hpp"

#include "base/markup.hpp"
#include "base/query_string.hpp"

namespace meridian::server {

namespace {

constexpr std::string_view style = R"css(
:root{color-scheme:light dark;--ink:#16262b;--soft:#566b72;--line:#d9e2e4;--paper:#f6f9f9;--card:#fff;--accent:#0b7a75;--accent-ink:#fff;--mark:#e8f4f2;--warn:#a3480f}
@media(prefers-color-scheme:dark){:root{--ink:#e4eef0;--soft:#9db2b8;--line:#2b3d43;--paper:#0f191c;--card:#16242a;--accent:#3fb8ae;--accent-ink:#06201e;--mark:#17343a;--warn:#f0a36b}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}a:focus-visible,button:focus-visible,input:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
header,main,footer{max-width:1080px;margin:0 auto;padding:0 20px}
header{display:flex;gap:20px;align-items:center;flex-wrap:wrap;padding-top:18px;padding-bottom:14px}
.brand{font-weight:700;font-size:20px;color:var(--ink);display:flex;align-items:center;gap:10px}.brand svg{width:28px;height:28px}
form.search{flex:1;display:flex;min-width:240px}form.search input{flex:1;min-width:0;padding:9px 14px;border:1px solid var(--line);border-radius:8px 0 0 8px;background:var(--card);color:inherit;font:inherit}
form.search button{padding:9px 18px;border:0;border-radius:0 8px 8px 0;background:var(--accent);color:var(--accent-ink);font:inherit;cursor:pointer}
button.plain{background:none;border:0;padding:4px 0;min-height:32px;color:var(--accent);font:inherit;cursor:pointer}header form{margin:0}
h1{font-size:28px;line-height:1.25;margin:26px 0 6px}h2{font-size:18px;margin:32px 0 10px}p.lead{margin:0 0 22px;color:var(--soft);max-width:70ch}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.tile b{display:block;font-size:26px;font-variant-numeric:tabular-nums}.tile span,.soft{color:var(--soft);font-size:14px}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:hidden}th,td{text-align:left;padding:8px 14px;border-top:1px solid var(--line);vertical-align:top}
thead th{border-top:0;font-size:13px;color:var(--soft);font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}tr:hover td{background:var(--mark)}
.bar{height:8px;border-radius:4px;background:var(--accent);min-width:2px}.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(300px,100%),1fr));gap:12px}.grid>*{min-width:0}td{overflow-wrap:break-word}td:has(svg){white-space:nowrap}@media(max-width:640px){main table{display:block;overflow-x:auto}th,td{padding:8px 10px}svg.spark{width:84px}}
.banner{display:flex;gap:18px;flex-wrap:wrap;align-items:baseline;background:var(--card);border:1px solid var(--line);border-left:6px solid var(--accent);border-radius:12px;padding:14px 18px;margin-top:20px}
.banner strong{font-size:22px}.tag{display:inline-block;background:var(--mark);border-radius:6px;padding:1px 8px;font-size:13px}.warn{color:var(--warn)}
pre{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px;overflow:auto;font:13px/1.5 ui-monospace,"Noto Sans Mono CJK SC",monospace;white-space:pre-wrap;word-break:break-word}
.empty{color:var(--soft);padding:26px;text-align:center;background:var(--card);border:1px dashed var(--line);border-radius:12px}
footer{color:var(--soft);font-size:13px;padding-top:34px;padding-bottom:34px}svg.spark{width:120px;height:28px;display:block}
)css";

constexpr std::string_view emblem =
    R"svg(<svg viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="13" fill="none" stroke="var(--accent)" stroke-width="2.4"/><ellipse cx="16" cy="16" rx="5.5" ry="13" fill="none" stroke="var(--accent)" stroke-width="2"/><path d="M3 16h6l2.5-6 4 12 3-9 2 3h8.5" fill="none" stroke="var(--ink)" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/></svg>)svg";

/// The same page in the other language.
std::string with_language(std::string_view address, std::string_view language) {
    const std::size_t question = address.find('?');
    std::string out(address.substr(0, question));
    out += "?";
    if (question != std::string_view::npos) {
        if (const auto parameters = parse_query_string(address.substr(question + 1))) {
            for (const auto& [name, value] : *parameters) {
                if (name != "lang")
                    out += fmt::format("{}={}&", percent_encode(name), percent_encode(value));
            }
        }
    }
    return out + "lang=" + std::string(language);
}

std::string sign_out_form(Language language, std::string_view csrf) {
    if (csrf.empty()) return {};
    return fmt::format(
        R"(<form method="post" action="/sign-out"><input type="hidden" name="csrf" value="{}"><button class="plain">{}</button></form>)",
        escaped_markup(csrf), say(language, "退出", "Sign out"));
}

}  // namespace

std::string page(Language language, std::string_view title, std::string_view body,
                 std::string_view query, std::string_view address, std::string_view csrf) {
    const bool chinese = language == Language::chinese;
    std::string out;
    out.reserve(body.size() + 8192);
    out += fmt::format(
        R"(<!doctype html><html lang="{}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{}</title><style>{}</style></head><body>)",
        chinese ? "zh-CN" : "en", escaped_markup(title), style);
    out += fmt::format(
        R"(<header><a class="brand" href="/">{}<span>{}</span></a><form class="search" action="/search" role="search"><input type="search" name="q" aria-label="{}" placeholder="{}" value="{}"><button>{}</button></form><a href="/account">{}</a>{}<a href="{}" hreflang="{}">{}</a></header><main>)",
        emblem, say(language, "子午 Meridian", "Meridian"), say(language, "查找", "Search"),
        say(language, "姓名、证件号、病历号、诊断…", "Name, identifier, diagnosis…"),
        escaped_markup(query), say(language, "查找", "Search"), say(language, "账户", "Account"),
        sign_out_form(language, csrf),
        escaped_markup(with_language(address, chinese ? "en" : "zh")), chinese ? "en" : "zh",
        chinese ? "English" : "中文");
    out += body;
    out += fmt::format(
        R"(</main><footer>{} · <a href="/fhir/metadata?_pretty=true">{}</a> · <a href="/metrics">{}</a></footer></body></html>)",
        say(language, "合成数据仅供演示；此处内容不构成诊断。",
            "Synthetic data is for demonstration; nothing here is a diagnosis."),
        say(language, "接口能力说明", "Capability statement"),
        say(language, "运行指标", "Metrics"));
    return out;
}

}  // namespace meridian::server
