// SPDX-License-Identifier: Apache-2.0
// A browser without a screen: cookies by origin, redirects one by one, forms.
export class Browser {
  constructor(cookies = {}) {
    this.jars = new Map();
    this.everywhere = cookies;
  }

  cookies(url) {
    const jar = this.jars.get(new URL(url).host) ?? {};
    return Object.entries({ ...this.everywhere, ...jar }).map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async send(url, form) {
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      body: form ? new URLSearchParams(form) : undefined,
      headers: { cookie: this.cookies(url), accept: 'text/html', 'accept-language': 'en' },
      redirect: 'manual',
    });
    const host = new URL(url).host;
    const jar = this.jars.get(host) ?? {};
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0/i.test(line) || /expires=Thu, 01 Jan 1970/i.test(line)) delete jar[name];
      else jar[name] = value;
    }
    this.jars.set(host, jar);
    return response;
  }

  // Follows redirects, and answers pages by `onPage(page)` → fields of its form, until the way leads to an address that
  // begins with `target`, or a page is not answered. Returns { url } or { status, text, url }.
  async go(url, target, onPage = () => null) {
    let form;
    for (let step = 0; step < 25; step += 1) {
      if (target && String(url).startsWith(target)) return { url: new URL(url) };
      const response = await this.send(url, form);
      form = undefined;
      const location = response.headers.get('location');
      if (location) {
        url = new URL(location, url).href;
        continue;
      }
      const page = { status: response.status, text: await response.text(), url: String(url), headers: response.headers };
      const fields = response.status === 200 && onPage(page);
      if (!fields) return page;
      const [, action] = /<form[^>]*action="([^"]*)"/.exec(page.text);
      form = { ...hidden(page.text), ...fields };
      url = new URL(action.replaceAll('&amp;', '&'), url).href;
    }
    throw new Error('the redirects have no end');
  }
}

export function hidden(text) {
  const found = {};
  for (const [input] of text.matchAll(/<input[^>]*type="hidden"[^>]*>/g))
    found[/name="([^"]*)"/.exec(input)[1]] = /value="([^"]*)"/.exec(input)?.[1] ?? '';
  return found;
}
