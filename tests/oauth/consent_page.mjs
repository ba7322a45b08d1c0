// SPDX-License-Identifier: Apache-2.0
// The consent page in a real browser: its policy allows its own style and the way back to the app, and nothing else.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';

import { chromium } from 'playwright-core';

import { check } from './cases.mjs';

const executablePath = '/usr/bin/chromium';

export async function consentPage(record) {
  if (!existsSync(executablePath)) return console.log('skip  chromium: it is not installed');
  const app = createServer((_request, response) => response.end('the app'));
  await new Promise((done) => app.listen(0, '127.0.0.1', done));
  const callback = `http://127.0.0.1:${app.address().port}/callback`;
  await record.client({ id: 'page-app', name: 'Page app', redirect_uris: [callback], scopes: ['openid', 'patient/*.rs'] });
  const request = new URLSearchParams({
    client_id: 'page-app', response_type: 'code', redirect_uri: callback, aud: record.fhir, state: 's',
    scope: 'openid patient/*.rs', code_challenge: 'x'.repeat(43), code_challenge_method: 'S256',
  });
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  for (const [locale, choose, accept] of [['en-US', 'Li <Wei>', 'Allow'], ['zh-CN', 'Chen Xiulan', '允许']]) {
    await check(`chromium: the consent page in ${locale}, from sign-in back to the app`, async () => {
      const context = await browser.newContext({ locale, viewport: { width: 390, height: 800 } });
      await context.addCookies([{ name: 'as', value: 'doctor', url: record.issuer }]);
      const page = await context.newPage();
      const faults = [];
      page.on('console', (message) => message.type() === 'error' && !message.text().includes('favicon') && faults.push(message.text()));
      await page.goto(`${record.issuer}/oauth/authorize?${request}`);
      const button = page.getByRole('button', { name: accept });
      assert.notEqual(await button.evaluate((node) => getComputedStyle(node).backgroundColor), 'rgba(0, 0, 0, 0)', 'the style is applied');
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 390, 'nothing is wider than the phone');
      await button.click();
      assert.match(page.url(), /oauth\/authorize/, 'without a patient the form does not leave');
      await page.getByLabel(choose).check();
      await button.click();
      await page.waitForURL((url) => url.href.startsWith(callback), { timeout: 10_000 });
      assert.ok(new URL(page.url()).searchParams.get('code'));
      assert.deepEqual(faults, []);
      await context.close();
    });
  }
  await browser.close();
  app.close();
}
