// SPDX-License-Identifier: Apache-2.0
// What a person does on the plain pages, in a real browser: look, search, open, change the language.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [address, pictures] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let passed = 0;
let failed = 0;

async function scene(name, options, play) {
  const context = await browser.newContext({ locale: 'zh-CN', ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && !message.text().includes('404') && faults.push(message.text()));
  try {
    await play(page);
    assert.deepEqual(faults, [], 'the browser console is quiet');
    await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: false });
    passed += 1;
  } catch (error) {
    failed += 1;
    console.error(`${name}: ${error.message}`);
    await page.screenshot({ path: `${pictures}/${name}-failed.png` });
  }
  await context.close();
}

await scene('start', {}, async (page) => {
  await page.goto(address);
  await page.getByText('陈秀兰').first().waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
});

await scene('search-and-open', {}, async (page) => {
  await page.goto(address);
  await page.getByRole('searchbox').fill('陈秀兰');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: '陈秀兰' }).first().click();
  await page.getByText('检验与测量').waitFor();
  assert.match(page.url(), /\/record\/Patient\/p000001/);
  await page.locator('svg.spark').first().waitFor();
});

await scene('nothing-found', {}, async (page) => {
  await page.goto(`${address}/search?q=zzzz`);
  await page.getByText('没有找到').waitFor();
});

await scene('english', { locale: 'en-GB' }, async (page) => {
  await page.goto(address);
  await page.getByText('One record, one log, one access decision').waitFor();
  await page.getByRole('link', { name: '中文' }).click();
  await page.getByText('一份病历').waitFor();
});

await scene('document', {}, async (page) => {
  await page.goto(`${address}/browse/DocumentReference`);
  await page.locator('main table a').first().click();
  await page.locator('pre').first().waitFor();
});

await scene('no-such-page', {}, async (page) => {
  const answer = await page.goto(`${address}/nowhere`);
  assert.equal(answer.status(), 404);
});

await scene('phone-dark', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }, async (page) => {
  await page.goto(`${address}/record/Patient/p000001`);
  await page.getByText('检验与测量').waitFor();
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 1, `the page is ${overflow} px wider than the screen`);
});

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
