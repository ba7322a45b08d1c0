// SPDX-License-Identifier: Apache-2.0
#include "trust/pages/assets.hpp"

namespace meridian::trust {

const std::string_view style_text = R"css(
:root{color-scheme:light dark;--ink:#16212b;--soft:#51636c;--line:#d8e0e3;--field:#8496a0;--paper:#f6f9f9;--card:#fff;--accent:#0f6b6b;--accent-ink:#fff;--bad:#b42318;--bad-paper:#fdf1f0;--good:#067647;--good-paper:#eef8f2}
@media(prefers-color-scheme:dark){:root{--ink:#e4eef0;--soft:#a3b6bc;--line:#2b3d43;--field:#6d8087;--paper:#0f191c;--card:#16242a;--accent:#4fb3ae;--accent-ink:#06201e;--bad:#ff9b8f;--bad-paper:#361b19;--good:#75d6a4;--good-paper:#12301f}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
:lang(zh-CN){line-height:1.65}
header,main{max-width:760px;margin:0 auto;padding:0 20px}
header{display:flex;justify-content:space-between;align-items:center;gap:12px;padding-top:18px;padding-bottom:10px}
.brand{display:flex;align-items:center;gap:10px;font-weight:700;font-size:19px;color:var(--ink);text-decoration:none}.brand svg{width:26px;height:26px;color:var(--accent)}
nav{display:flex;align-items:center;gap:18px}nav form{margin:0}
a{color:var(--accent)}
main{padding-bottom:56px}
main.narrow{max-width:440px;padding-top:4vh}
h1{font-size:26px;line-height:1.25;margin:18px 0 6px}h2{font-size:18px;margin:0 0 6px}
p{margin:0 0 14px}.soft{color:var(--soft);font-size:14px}
section,.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px;margin:16px 0 0}
label{display:block;font-weight:600;margin:14px 0 4px}
label:first-of-type{margin-top:0}
input:not([type=hidden],[type=radio]){width:100%;min-height:46px;padding:9px 12px;border:1px solid var(--field);border-radius:6px;background:var(--card);color:inherit;font:inherit}
input[aria-invalid=true]{border-color:var(--bad)}
button{min-height:46px;padding:9px 18px;border:1px solid var(--accent);border-radius:6px;background:var(--accent);color:var(--accent-ink);font:inherit;font-weight:600;cursor:pointer}
button.second{background:transparent;color:var(--accent)}
button.plain{background:none;border:0;padding:4px 0;min-height:32px;color:var(--accent);font-weight:400;text-decoration:underline}
button.danger{background:transparent;border-color:var(--bad);color:var(--bad)}
button.small{min-height:36px;padding:4px 12px;font-weight:400}
form>button,.wide{margin-top:18px}nav form>button,.card>div:first-child>.wide{margin-top:0}button.small{white-space:nowrap}.narrow form>button,.narrow .wide{width:100%}
input+p.soft{margin:8px 0 0}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.or{display:flex;align-items:center;gap:12px;color:var(--soft);font-size:14px;margin:20px 0 16px}.or::before,.or::after{content:"";flex:1;border-top:1px solid var(--line)}
.bad,.good{border:1px solid;border-radius:6px;padding:10px 14px;margin:14px 0}.bad{color:var(--bad);background:var(--bad-paper)}.good{color:var(--good);background:var(--good-paper)}
.bad:empty{display:none}[hidden]{display:none!important}
ul.rows{list-style:none;margin:10px 0 0;padding:0}ul.rows li{display:flex;justify-content:space-between;align-items:center;gap:14px;padding:10px 0;border-top:1px solid var(--line)}ul.rows form{margin:0}ul.rows form button{margin:0}
ul.rows div{min-width:0;overflow-wrap:anywhere}
.actions{display:flex;flex-wrap:wrap;gap:12px;align-items:end;margin-top:14px}.actions>div{flex:1 1 220px}.actions form{margin:0}.actions form>button{margin-top:0}
code,.codes{font:15px/1.8 ui-monospace,"DejaVu Sans Mono",monospace}
.codes{columns:2;column-gap:24px;list-style:none;padding:14px;margin:12px 0;border:1px dashed var(--field);border-radius:6px}
.tag{display:inline-block;border:1px solid var(--line);border-radius:6px;padding:0 8px;font-size:13px;color:var(--soft);white-space:nowrap}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0}.facts dt{color:var(--soft)}.facts dd{margin:0;overflow-wrap:anywhere}
main:has(.broad),body:has(.broad) header{max-width:1120px}
.tabs{flex-wrap:wrap;gap:4px 18px;border-bottom:1px solid var(--line);margin:10px 0 4px}.tabs a{padding:8px 0;text-decoration:none}.tabs a:hover{text-decoration:underline}.tabs a[aria-current]{color:var(--ink);font-weight:600;border-bottom:3px solid var(--accent);margin-bottom:-1px}
select,textarea{width:100%;min-height:46px;padding:9px 12px;border:1px solid var(--field);border-radius:6px;background:var(--card);color:inherit;font:inherit}
.fields{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(230px,100%),1fr));gap:14px;align-items:end}.fields label{margin-top:0}.fields button{margin:0}
.scroll{overflow-x:auto;margin:16px 0 0;border:1px solid var(--line);border-radius:10px;background:var(--card)}table{border-collapse:collapse;width:100%;font-size:15px}th,td{text-align:left;vertical-align:top;padding:10px 14px;border-top:1px solid var(--line)}tr:first-child th{border-top:0}th{color:var(--soft);font-size:14px;font-weight:600;white-space:nowrap}td{overflow-wrap:break-word;min-width:84px}td form{margin:0}td form button{margin:0}td time{white-space:nowrap}
.empty{color:var(--soft);text-align:center;padding:26px;margin:16px 0 0;border:1px dashed var(--field);border-radius:10px}
.warn{color:var(--bad);border-color:currentColor}.good code{overflow-wrap:anywhere}.good p:last-child{margin:0}
fieldset{border:0;margin:14px 0 0;padding:0}legend{font-weight:600;padding:0}label.choice{font-weight:400;display:flex;gap:8px;align-items:center;margin:6px 0;min-height:32px}label.choice input{width:20px;height:20px;min-height:0;accent-color:var(--accent)}
.document h2{margin-top:26px}.document li,.document td{overflow-wrap:anywhere}
@media(max-width:560px){.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}.stack tr,.stack td{display:block}.stack tr{border-top:1px solid var(--line);padding:10px 0}.stack tr:first-child{border-top:0}.stack td{border:0;padding:2px 14px}.stack td:empty{display:none}header,main{padding-left:16px;padding-right:16px}section,.card{padding:16px}.codes{columns:1}h1{font-size:23px}ul.rows li{flex-wrap:wrap}}
)css";

// Binary members travel as base64url; texts for people stand in the page.
const std::string_view script_text = R"js(// SPDX-License-Identifier: Apache-2.0
'use strict';
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer || []))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

async function post(path, content) {
  const answer = await fetch(path, {
    method: 'POST',
    credentials: 'same-origin',
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': document.querySelector('meta[name=csrf]').content },
    body: JSON.stringify(content),
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.message || '');
  return body;
}

async function create(options, label) {
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  for (const other of options.excludeCredentials) other.id = bytes(other.id);
  const made = await navigator.credentials.create({ publicKey: options });
  return { label, clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject) };
}

async function get(options) {
  options.challenge = bytes(options.challenge);
  for (const one of options.allowCredentials || []) one.id = bytes(one.id);
  const used = await navigator.credentials.get({ publicKey: options });
  const { clientDataJSON, authenticatorData, signature, userHandle } = used.response;
  return { id: text(used.rawId), clientDataJSON: text(clientDataJSON), authenticatorData: text(authenticatorData), signature: text(signature), userHandle: text(userHandle) };
}

for (const button of document.querySelectorAll('button[data-passkey]')) {
  if (!window.PublicKeyCredential) continue;
  for (const part of document.querySelectorAll('[data-needs-passkeys]')) part.hidden = false;
  const message = document.getElementById(button.dataset.message);
  button.addEventListener('click', async () => {
    button.disabled = true;
    message.textContent = '';
    try {
      const options = await post(button.dataset.options, { returnTo: button.dataset.returnTo });
      const label = document.getElementById('passkey-label');
      const answer = button.dataset.passkey === 'create' ? await create(options, label ? label.value : '') : await get(options);
      const { location: next } = await post(button.dataset.finish, { ...answer, returnTo: button.dataset.returnTo });
      window.location.assign(next);
    } catch (error) {
      const known = error.name === 'InvalidStateError' ? button.dataset.known : '';
      message.textContent = known || (error instanceof DOMException ? '' : error.message) || button.dataset.failed;
      button.disabled = false;
    }
  });
}
)js";

}  // namespace meridian::trust
