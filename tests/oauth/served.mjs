// SPDX-License-Identifier: Apache-2.0
// The served program (`meridian serve`) with npm's oidc-provider outside and a real browser: a provider is added by command, a person
// links themselves, signs in by it, confirms a step by it, allows an app and ends it again.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import * as oauth from 'oauth4webapi';
import { chromium } from 'playwright-core';

import { check } from './cases.mjs';
import { startProvider } from './federation.mjs';

const insecure = { [oauth.allowInsecureRequests]: true };
const password = 'lavendel zieht nach westen';

class Served {
  constructor(program) {
    this.program = program;
    this.data = mkdtempSync(join(tmpdir(), 'meridian-oauth-'));
  }

  command(words, input) {
    const done = spawnSync(this.program, [...words, '--data', join(this.data, 'record')], { input, encoding: 'utf8' });
    assert.equal(done.status, 0, `${words.join(' ')}: ${done.stderr}`);
    return done.stdout;
  }

  async start() {
    this.server = spawn(this.program, ['serve', '--data', join(this.data, 'record'), '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.log = '';
    this.server.stderr.on('data', (data) => (this.log += data));
    const lines = createInterface({ input: this.server.stdout });
    this.issuer = await new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const found = /Meridian serves (http[^ ]*)/.exec(line);
        if (found) resolve(new URL(found[1]).origin);
      });
      this.server.once('exit', () => reject(new Error(`the server did not start: ${this.log}`)));
    });
    this.token = this.command(['token', '--account', 'auditor']).trim();
  }

  // What the audit says of refused requests, as text.
  async refusals() {
    const answer = await fetch(`${this.issuer}/fhir/AuditEvent?outcome=4,8,12&_count=200`, { headers: { authorization: `Bearer ${this.token}` } });
    assert.equal(answer.status, 200);
    return answer.text();
  }

  async stop() {
    const gone = new Promise((done) => this.server.once('exit', done));
    this.server.kill('SIGTERM');
    await gone;
    rmSync(this.data, { recursive: true, force: true });
  }
}

// Signs in at oidc-provider's own pages, and agrees to all they ask.
async function atProvider(page, outside, login) {
  for (let step = 0; step < 5 && page.url().startsWith(outside.issuer); step += 1) {
    if (await page.locator('input[name=login]').count()) {
      await page.locator('input[name=login]').fill(login);
      await page.locator('input[name=password]').fill('x');
    }
    await page.locator('button[type=submit]').click();
    await page.waitForLoadState();
  }
}

async function byPassword(page, address) {
  await page.goto(address);
  await page.locator('#name').fill('li');
  await page.locator('#password').fill(password);
  await page.locator('main form button').click();
  await page.waitForLoadState();
}

export async function servedProgram(program) {
  const outside = await startProvider();
  const here = new Served(program);
  here.command(['account', 'add', 'auditor', '--role', 'system-client']);
  here.command(['account', 'add', 'li', '--role', 'doctor', '--password-stdin'], `${password}\n`);
  await here.start();
  writeFileSync(join(here.data, 'secret'), 'outside-secret\n');
  here.command(['provider', 'add', 'outside', '--issuer', outside.issuer, '--client-id', 'meridian', '--secret-file', join(here.data, 'secret'), '--label', 'Clinic ID', '--label-zh', '诊所身份']);
  await outside.serve({ issuer: here.issuer });
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  const visit = async (play, locale = 'en-GB') => {
    const context = await browser.newContext({ locale });
    const page = await context.newPage();
    page.setDefaultTimeout(8000);
    const faults = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    // The provider's own pages want fonts of the network.
    page.on('console', (message) => message.type() === 'error' && message.location().url.startsWith(here.issuer) && !/status of 4/.test(message.text()) && faults.push(message.text()));
    await play(page, context);
    assert.deepEqual(faults, [], 'the browser console is quiet');
    await context.close();
  };

  await check('served: a stranger of the provider gets no account and no session', () =>
    visit(async (page) => {
      await page.goto(`${here.issuer}/sign-in`);
      await page.getByRole('link', { name: 'Sign in with Clinic ID' }).click();
      await page.waitForLoadState();
      await atProvider(page, outside, 'stranger');
      await page.getByText('No account is linked').first().waitFor();
      await page.goto(`${here.issuer}/account`);
      assert.match(page.url(), /\/sign-in/);
    }));
  await check('served: a person links their identity, and nothing is linked before they say so', () =>
    visit(async (page) => {
      await byPassword(page, `${here.issuer}/sign-in?return_to=/account`);
      await page.getByRole('link', { name: 'Signing in through others' }).click();
      await page.getByText('No identity is linked.').waitFor();
      await page.getByRole('link', { name: 'Link an identity of Clinic ID' }).click();
      await page.waitForLoadState();
      await atProvider(page, outside, 'doctor-li');
      await page.getByText('Link this identity?').waitFor();
      assert.doesNotMatch(here.command(['account', 'list']), /doctor-li/);
      await page.getByRole('button', { name: 'Link' }).click();
      await page.getByText('doctor-li').waitFor();
    }));
  await check('served: and signs in by it, in Chinese', () =>
    visit(async (page) => {
      await page.goto(`${here.issuer}/sign-in?return_to=/account`);
      await page.getByRole('link', { name: '通过诊所身份登录' }).click();
      await page.waitForLoadState();
      await atProvider(page, outside, 'doctor-li');
      await page.getByText('登录中的设备').waitFor();
      assert.equal(page.url(), `${here.issuer}/account`);
    }, 'zh-CN'));
  await check('served: a step is confirmed by it, with a fresh proof there', () =>
    visit(async (page) => {
      await page.goto(`${here.issuer}/sign-in?return_to=/account`);
      await page.getByRole('link', { name: 'Sign in with Clinic ID' }).click();
      await page.waitForLoadState();
      await atProvider(page, outside, 'doctor-li');
      await page.goto(`${here.issuer}/step-up?return_to=/account/identities`);
      await page.getByRole('link', { name: 'Confirm with Clinic ID' }).click();
      await page.waitForLoadState();
      assert.ok(page.url().startsWith(outside.issuer), 'the provider asks again, though it knows the browser');
      await atProvider(page, outside, 'doctor-li');
      assert.equal(page.url(), `${here.issuer}/account/identities`);
    }));
  await check('served: mixed-up and altered answers are refused, in the audit, and say nothing', () =>
    visit(async (page) => {
      const begun = await page.request.get(`${here.issuer}/oauth/federated/outside/start`, { maxRedirects: 0 });
      const state = new URL(begun.headers().location).searchParams.get('state');
      const back = (more) => page.request.get(`${here.issuer}/oauth/federated/outside/callback?${new URLSearchParams({ code: 'c', state, iss: outside.issuer, ...more })}`, { maxRedirects: 0 });
      const texts = new Set();
      for (const more of [{ state: `x${state}` }, { iss: 'https://evil.example' }, { code: 'guessed' }]) {
        const answer = await back(more);
        assert.equal(answer.status(), 400);
        texts.add(await answer.text());
      }
      assert.equal(texts.size, 1, 'one text for all');
      // AuditEvent.entity.query is base64.
      assert.ok((await here.refusals()).includes(btoa('sign-in.federated')));
    }));

  const issuer = new URL(here.issuer);
  const app = { client_id: 'app' };
  const back = createServer((_request, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('back'));
  await new Promise((done) => back.listen(0, '127.0.0.1', done));
  const redirect = `http://127.0.0.1:${back.address().port}/back`;
  const scope = 'openid offline_access user/Patient.rs user/Observation.rs';
  here.command(['client', 'add', 'An app', '--id', 'app', '--redirect', redirect, '--scope', scope]);
  const asks = here.command(['client', 'add', 'Asks', '--id', 'asks', '--secret', '--introspects', '--scope', 'openid']);
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...insecure }));
  const introspect = async (token) => {
    const client = { client_id: 'asks' };
    const authentication = oauth.ClientSecretBasic(/client_secret\s+(\S+)/.exec(asks)[1]);
    return oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, authentication, token, insecure));
  };
  await check('served: introspection says when a token of the command is over', async () => {
    const seconds = Math.floor(Date.now() / 1000);
    const found = await introspect(here.command(['token', '--account', 'li', '--seconds', '3600', '--scope', 'user/Patient.rs']).trim());
    assert.equal(found.active, true);
    assert.ok(Math.abs(found.exp - seconds - 3600) < 20 && Math.abs(found.iat - seconds) < 20);
    assert.equal(found.scope, 'user/Patient.rs');
    assert.match(found.fhirUser, /\/fhir\/Practitioner\//);
    assert.ok(found.sub);
  });
  await check('served: a person sees the app that they allowed, and ends it at once', () =>
    visit(async (page) => {
      await byPassword(page, `${here.issuer}/sign-in?return_to=/account`);
      const verifier = oauth.generateRandomCodeVerifier();
      const parameters = new URLSearchParams({
        client_id: 'app', response_type: 'code', redirect_uri: redirect, scope, aud: `${here.issuer}/fhir`, state: 's', nonce: 'n',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
      });
      await page.goto(`${server.authorization_endpoint}?${parameters}`);
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.getByText('back').waitFor();
      const code = oauth.validateAuthResponse(server, app, new URL(page.url()), 's');
      const response = await oauth.authorizationCodeGrantRequest(server, app, oauth.None(), code, redirect, verifier, insecure);
      const tokens = await oauth.processAuthorizationCodeResponse(server, app, response, { expectedNonce: 'n', requireIdToken: true });
      assert.equal((await introspect(tokens.access_token)).active, true);
      await page.goto(`${here.issuer}/account`);
      await page.getByRole('link', { name: 'Apps that I allowed' }).click();
      await page.getByText('Read, search: test results and measurements (of all patients you may see)').waitFor();
      await page.getByRole('button', { name: 'End all access: An app' }).click();
      await page.getByText('No app may use your access.').waitFor();
      assert.equal((await introspect(tokens.access_token)).active, false);
      const refused = await oauth.refreshTokenGrantRequest(server, app, oauth.None(), tokens.refresh_token, insecure);
      assert.equal((await refused.json()).error, 'invalid_grant');
      const read = await fetch(`${here.issuer}/fhir/Patient`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
      assert.equal(read.status, 401);
    }));
  await check('served: no secret in the log', () => {
    for (const secret of ['outside-secret', password, here.token]) assert.ok(!here.log.includes(secret));
  });
  await browser.close();
  back.close();
  await here.stop();
  outside.stop();
}
