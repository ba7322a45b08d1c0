// SPDX-License-Identifier: Apache-2.0
// The three administrators, a doctor in an emergency and a patient, on a real server with a real browser: accounts and their one-time
// links, apps, policy, emergency reviews, the audit, the status, who saw a record. Arguments: the program meridian, a folder for pictures.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { chromium } from 'playwright-core';

const [program, pictures] = process.argv.slice(2);
const folder = mkdtempSync(`${tmpdir()}/meridian-e2e-`);
const data = `${folder}/data`;
execFileSync(program, ['generate', '--patients', '12', '--seed', '1', '--data', data], { stdio: 'ignore' });
// A proof gets old within the patience of a test.
mkdirSync(`${data}/policy`, { recursive: true });
writeFileSync(`${data}/policy/house.toml`, 'policy = "e2e"\nversion = 1\n[fresh_proof]\nbreak_glass_minutes = 1\n');
const server = spawn(program, ['serve', '--demo', '--data', data, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
process.on('exit', () => {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
});
let output = '';
let log = '';
server.stdout.on('data', (part) => (output += part));
server.stderr.on('data', (part) => (log += part));
for (let i = 0; i < 1200 && !output.includes('demo.system-client'); i += 1) await new Promise((next) => setTimeout(next, 100));
const port = output.match(/:(\d+) \(FHIR/)?.[1];
if (!port) throw new Error(`the server did not start: ${log}`);
const home = `http://localhost:${port}`;

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let passed = 0;
let failed = 0;
const states = {}; // of those who are signed in

async function scene(name, options, play) {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && !/the server responded with a status of 4/.test(message.text()) && faults.push(message.text()));
  try {
    await play(page, context);
    assert.deepEqual(faults, [], 'the browser console is quiet');
    await picture(page, name);
    passed += 1;
  } catch (error) {
    failed += 1;
    console.error(`${name}: ${error.stack}`);
    await picture(page, `${name}-failed`).catch(() => {});
  }
  await context.close();
}

const picture = (page, name) => page.screenshot({ path: `${pictures}/administration-${name}.png`, fullPage: true });
const as = (who, options = {}) => ({ storageState: states[who], ...options });

function code(secret) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret.replace(/ /g, '')].map((c) => alphabet.indexOf(c).toString(2).padStart(5, '0')).join('');
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const mac = createHmac('sha1', Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

async function signIn(page, name, password, path = '/sign-in') {
  await page.goto(home + path);
  await page.locator('#name').fill(name);
  await page.locator('#password').fill(password);
  await page.locator('main form button').click();
  await page.waitForURL((url) => url.pathname !== '/sign-in', { timeout: 60000 });
}

async function fits(page) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 1, `the page is ${overflow} px wider than the screen`);
}

/// As a page's script would ask: the session's cookie and the form's token.
async function fhir(page, path, body) {
  await page.goto(`${home}/account`);
  return page.evaluate(
    async ([address, sent]) => {
      const answer = await fetch(address, {
        method: 'POST',
        headers: { 'Content-Type': 'application/fhir+json', 'X-CSRF-Token': document.querySelector('meta[name=csrf]').content },
        body: JSON.stringify(sent),
      });
      return { status: answer.status, challenge: answer.headers.get('WWW-Authenticate') || '', body: await answer.json() };
    },
    [path, body],
  );
}
const emergency = { resourceType: 'Parameters', parameter: [{ name: 'reason', valueString: 'Unconscious after a fall, nobody to ask' }] };

// First, so that the proof is old when it is asked for.
let doctorSince = 0;
await scene('doctor', {}, async (page, context) => {
  await signIn(page, 'demo.doctor', 'only-a-demo-doctor', '/sign-in?return_to=/account');
  doctorSince = Date.now();
  states.doctor = await context.storageState();
});

for (const role of ['security-admin', 'audit-admin', 'system-admin']) {
  await scene(`enrol-${role}`, {}, async (page, context) => {
    await signIn(page, `demo.${role}`, `only-a-demo-${role}`);
    await page.goto(`${home}/administration`);
    assert.match(page.url(), /\/account$/, 'first the second factor');
    await page.getByRole('button', { name: 'Set up' }).click();
    const secret = await page.locator('section[aria-labelledby=codes] code').first().innerText();
    await page.locator('#totp-code').fill(code(secret));
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.waitForURL('**/account?done=codes');
    await page.getByRole('link', { name: 'Administration' }).click();
    await page.waitForURL(`**/administration/${{ 'security-admin': 'accounts', 'audit-admin': 'reviews', 'system-admin': 'status' }[role]}`);
    states[role] = await context.storageState();
  });
}

let link = '';
await scene('add-account', as('security-admin', { javaScriptEnabled: false }), async (page) => {
  await page.goto(`${home}/administration/accounts`);
  await page.locator('#new-name').fill('Nora.Nurse');
  await page.locator('#display').fill('Nora Lind');
  await page.locator('#new-role').selectOption('nurse');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByText('The account nora.nurse is there.').waitFor();
  link = await page.locator('[role=status] code').innerText();
  assert.ok(link.startsWith(`${home}/setup/account?name=nora.nurse&key=`), link);
  await page.locator('#new-name').fill('nora.nurse');
  await page.locator('#new-role').selectOption('nurse');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('alert').getByText('An account of this name exists.').waitFor();
});

await scene('first-password', {}, async (page, context) => {
  await page.goto(link);
  await page.locator('#password').fill('password1');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('attackers try it first').waitFor();
  await picture(page, 'first-password-refused');
  await page.locator('#password').fill('nine lanterns on the ice');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The password is saved. Sign in with it.').waitFor();
  await signIn(page, 'nora.nurse', 'nine lanterns on the ice', '/sign-in?return_to=/account');
  await page.getByRole('heading', { name: 'Nora Lind' }).waitFor();
  states.nora = await context.storageState();
  assert.equal((await page.goto(link)).status(), 403, 'once');
});

await scene('sign-out-on-the-record-pages', {}, async (page) => {
  await signIn(page, 'nora.nurse', 'nine lanterns on the ice');
  await page.goto(home);
  await picture(page, 'start-signed-in');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  await page.goto(home);
  assert.match(page.url(), /\/sign-in/);
});

await scene('account', as('security-admin'), async (page) => {
  await page.goto(`${home}/administration/accounts`);
  await page.locator('#q').focus();
  await page.keyboard.type('nora');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'nora.nurse' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Where they are signed in' }).waitFor();
  await picture(page, 'account-actions');
  await page.getByRole('button', { name: /^Disable the account/ }).click();
  await page.getByText('Done, and noted in the audit.').waitFor();
  await page.getByText('Disabled').first().waitFor();
});

await scene('disabled-is-out', as('nora'), async (page) => {
  await page.goto(`${home}/account`);
  assert.match(page.url(), /\/sign-in/);
});

await scene('nobody-found', as('security-admin'), async (page) => {
  await page.goto(`${home}/administration/accounts?q=zzzz`);
  await page.getByText('No account fits.').waitFor();
});

await scene('last-security-admin', as('security-admin'), async (page) => {
  await page.goto(`${home}/administration/account?name=demo.security-admin`);
  await page.getByRole('button', { name: /^Disable the account/ }).click();
  await page.getByRole('alert').getByText('last security administrator').waitFor();
});

await scene('apps', as('security-admin'), async (page) => {
  await page.goto(`${home}/administration/clients`);
  await page.getByText('No app is registered yet.').waitFor();
  await picture(page, 'apps-none');
  await page.locator('#app').fill('Growth charts');
  await page.locator('#id').fill('growth');
  await page.locator('#authentication').selectOption('secret');
  await page.locator('#redirects').fill('https://growth.example.org/callback');
  await page.locator('#scopes').fill('launch/patient patient/Observation.rs openid');
  await page.getByRole('button', { name: 'Register' }).click();
  await page.getByText('It is not shown again: keep it now.').waitFor();
  await page.goto(`${home}/administration/clients`);
  assert.equal(await page.getByText('client_secret').count(), 0);
  await page.getByRole('button', { name: 'Remove: Growth charts' }).click();
  await page.getByText('The app is removed.').waitFor();
});

await scene('policy', as('security-admin'), async (page) => {
  await page.goto(`${home}/administration/policy`);
  await page.getByText('meridian default 1 + e2e 1').waitFor();
  await page.getByRole('heading', { name: 'doctor', exact: true }).waitFor();
});

await scene('not-for-your-role', as('audit-admin'), async (page) => {
  for (const path of ['accounts', 'clients', 'policy', 'status']) assert.equal((await page.goto(`${home}/administration/${path}`)).status(), 403);
  assert.equal(await page.getByRole('link', { name: 'Accounts' }).count(), 0);
});

let patient = '';
await scene('patient-before', {}, async (page, context) => {
  await signIn(page, 'demo.patient', 'only-a-demo-patient', '/sign-in?return_to=/account');
  patient = (await page.locator('.facts').getByText(/^Patient\//).innerText()).trim();
  states.patient = await context.storageState();
  await page.getByRole('link', { name: 'Who saw the record' }).click();
  await page.getByRole('heading', { name: 'Who saw the record' }).waitFor();
  assert.equal(await page.getByText('Opened in an emergency').count(), 0);
});

await scene('step-up', as('doctor'), async (page) => {
  await new Promise((next) => setTimeout(next, Math.max(0, doctorSince + 61000 - Date.now())));
  const refused = await fhir(page, `/fhir/${patient}/$break-glass`, emergency);
  assert.equal(refused.status, 401);
  assert.match(refused.challenge, /error="insufficient_user_authentication".*max_age="60"/);
  assert.match(refused.body.issue[0].diagnostics, /not older than one minute.*\/step-up/);
  await page.goto(`${home}/step-up?return_to=/account`);
  await page.locator('#code').fill('only-a-demo-doctor');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.waitForURL('**/account', { timeout: 60000 });
  const opened = await fhir(page, `/fhir/${patient}/$break-glass`, emergency);
  assert.equal(opened.status, 200, JSON.stringify(opened.body));
  assert.equal(await page.evaluate(async (path) => (await fetch(`/fhir/${path}`)).status, patient), 200);
});

await scene('who-saw', as('patient'), async (page) => {
  await page.goto(`${home}/account/access`);
  await page.getByRole('heading', { name: 'Opened in an emergency' }).waitFor();
  await page.getByText('Unconscious after a fall').first().waitFor();
  await page.getByRole('cell', { name: /emergency access/ }).first().waitFor();
});

for (const [name, options] of Object.entries({
  'desktop-zh': { locale: 'zh-CN', viewport: { width: 1280, height: 900 } },
  'desktop-en-dark': { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  'phone-zh': { locale: 'zh-CN', viewport: { width: 360, height: 740 } },
  'phone-en': { viewport: { width: 360, height: 740 } },
})) {
  for (const [who, path] of [
    ['security-admin', '/administration/accounts'],
    ['security-admin', '/administration/account?name=demo.doctor'],
    ['security-admin', '/administration/clients'],
    ['security-admin', '/administration/policy'],
    ['audit-admin', '/administration/reviews'],
    ['audit-admin', '/administration/audit'],
    ['system-admin', '/administration/status'],
    ['patient', '/account/access'],
  ]) {
    await scene(`look-${path.replace(/^\/(administration|account)\//, '').replace(/\?.*/, '')}-${name}`, as(who, options), async (page) => {
      assert.equal((await page.goto(home + path)).status(), 200);
      await fits(page);
      assert.equal(await page.locator('html').getAttribute('lang'), options.locale === 'zh-CN' ? 'zh-CN' : 'en');
      for (const input of await page.locator('input:not([type=hidden],[type=radio]),select,textarea').all())
        assert.equal(await page.locator(`label[for="${await input.getAttribute('id')}"]`).count(), 1, 'each field has its label');
      const other = options.locale === 'zh-CN' ? 'English' : '中文';
      await page.getByRole('link', { name: other }).waitFor();
    });
  }
}

await scene('review-by-keyboard', as('audit-admin'), async (page) => {
  await page.goto(`${home}/administration/reviews`);
  await page.getByText('Still open').waitFor();
  assert.equal(await page.getByText(patient).count(), 1);
  await page.getByRole('radio', { name: 'It was not justified' }).focus();
  await page.keyboard.press('Space');
  await page.keyboard.press('Tab');
  await page.keyboard.type('The patient was awake and had a doctor.');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('The review is closed.').waitFor();
  await page.getByText('No emergency access waits for a review.').waitFor();
});

await scene('audit', as('audit-admin'), async (page) => {
  await page.goto(`${home}/administration/audit`);
  await page.locator('#patient').fill(patient);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('cell', { name: patient }).first().waitFor();
  await page.locator('#patient').fill('Patient/none');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText('No entry fits.').waitFor();
});

await browser.close();
for (const secret of ['nine lanterns', link.slice(-30), 'only-a-demo']) {
  if (log.includes(secret)) {
    failed += 1;
    console.error('the log was told a secret');
  }
}
server.kill();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
