// SPDX-License-Identifier: Apache-2.0
// npm oidc-provider as the outside provider: people of it sign in here.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';

import * as jose from 'jose';
import { Browser } from './browser.mjs';
import { check } from './cases.mjs';

// The provider must be there before our server, and knows our address only after it.
export async function startProvider() {
  // It says on the console what would be better in production; cases are printed by console.log.
  console.info = () => {};
  console.warn = () => {};
  const { default: Provider } = await import('oidc-provider');
  const outside = { handler: (_request, response) => response.writeHead(503).end() };
  const server = createServer((request, response) => outside.handler(request, response));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  outside.issuer = `http://127.0.0.1:${server.address().port}`;
  outside.stop = () => server.close();
  outside.serve = async (record) => {
    const callback = (name) => `${record.issuer}/oauth/federated/${name}/callback`;
    // It does not fetch keys from loopback addresses itself. The served program has no such provider.
    const keys = await fetch(`${record.issuer}/oauth/federated/keyed/jwks`);
    const jwks = keys.ok ? await keys.json() : { keys: [] };
    const pair = await jose.generateKeyPair('RS256', { extractable: true });
    const provider = new Provider(outside.issuer, {
      clients: [
        { client_id: 'meridian', client_secret: 'outside-secret', redirect_uris: [callback('outside')] },
        { client_id: 'meridian-public', token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: [callback('public')] },
        ...(keys.ok ? [{ client_id: 'meridian-keyed', token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks, redirect_uris: [callback('keyed')] }] : []),
      ],
      jwks: { keys: [{ ...(await jose.exportJWK(pair.privateKey)), kid: 'outside-1', alg: 'RS256', use: 'sig' }] },
      cookies: { keys: ['only for tests'] },
      findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    });
    outside.handler = provider.callback();
  };
  return outside;
}

export async function federation(record, outside) {
  await outside.serve(record);
  const signIn = (login) => (page) => (page.text.includes('name="login"') ? { login, password: 'x' } : page.text.includes('<form') ? {} : null);
  const start = (name, query = '') => `${record.issuer}/oauth/federated/${name}/start${query}`;
  const home = `${record.issuer}/home`;

  for (const name of ['outside', 'public', 'keyed']) {
    await check(`oidc-provider: sign-in by "${name}", linked to an account here`, async () => {
      const browser = new Browser();
      const end = await browser.go(start(name, '?return_to=/home?x=1'), home, signIn('outside-doctor'));
      assert.equal(end.url?.href, `${home}?x=1`, end.text);
      assert.match(browser.cookies(record.issuer), /session=/);
      assert.doesNotMatch(browser.cookies(record.issuer), /meridian-federation/);
    });
  }

  await check('oidc-provider: somebody who is linked with nobody', async () => {
    const end = await new Browser().go(start('outside'), home, signIn('stranger'));
    assert.equal(end.status, 403);
  });

  await check('oidc-provider: an answer in another browser, altered, or of another way is refused', async () => {
    const callback = `${record.issuer}/oauth/federated/outside/callback`;
    const ours = new Browser();
    const answer = (await ours.go(start('outside'), callback, signIn('outside-doctor'))).url;
    assert.equal((await new Browser().send(answer)).status, 400, 'no cookie: another browser');
    const theirs = new Browser();
    await theirs.send(start('outside'));
    assert.equal((await theirs.send(answer)).status, 400, 'the cookie of another beginning');
    const altered = (change) => {
      const url = new URL(answer);
      change(url.searchParams);
      return ours.send(url);
    };
    assert.equal((await altered((p) => p.set('state', `x${p.get('state')}`))).status, 400, 'state');
    assert.equal((await altered((p) => p.delete('state'))).status, 400, 'no state');
    assert.equal((await altered((p) => p.set('iss', 'https://evil.example'))).status, 400, 'iss');
    assert.equal((await altered((p) => p.delete('iss'))).status, 400, 'no iss, though it says that it sends one');
    assert.equal((await altered((p) => p.set('code', 'x'))).status, 400, 'code');
    const other = new URL(answer);
    other.pathname = '/oauth/federated/public/callback';
    assert.equal((await ours.send(other)).status, 400, 'another provider');
    assert.equal((await ours.send(answer)).status, 302, 'and the right one still works');
    assert.equal((await ours.send(answer)).status, 400, 'once');
  });

  await check('oidc-provider: return_to leads to our own pages only', async () => {
    for (const path of ['//evil.example', '/\\evil.example', 'https://evil.example/']) {
      const end = await new Browser().go(start('outside', `?return_to=${encodeURIComponent(path)}`), `${record.issuer}/oauth/federated/outside/callback`, signIn('outside-doctor'));
      const browser = new Browser();
      const last = await browser.go(start('outside', `?return_to=${encodeURIComponent(path)}`), `${record.issuer}/?`, signIn('outside-doctor'));
      assert.ok(end.url);
      assert.equal(new URL(last.url).origin, record.issuer);
    }
  });
}

// A provider that answers what it is told to: what an honest one never sends.
export async function dishonestProvider(record, outside) {
  const honest = await jose.generateKeyPair('ES256');
  const foreign = await jose.generateKeyPair('ES256');
  const jwk = { ...(await jose.exportJWK(honest.publicKey)), kid: 'k2', alg: 'ES256' };
  let answer;
  const before = outside.handler;
  outside.handler = (request, response) => {
    const path = new URL(request.url, outside.issuer).pathname;
    const send = (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (path === '/token') return send({ access_token: 'a', token_type: 'Bearer', id_token: answer });
    if (path === '/jwks') return send({ keys: [jwk] });
    return before(request, response);
  };
  await check('federation: ID tokens with a wrong nonce, issuer, audience, time, key or algorithm are refused', async () => {
    const attempt = async (make) => {
      const browser = new Browser();
      const begun = await browser.send(`${record.issuer}/oauth/federated/outside/start`);
      const away = new URL(begun.headers.get('location'));
      const seconds = Math.floor(Date.now() / 1000);
      answer = await make({ iss: outside.issuer, aud: 'meridian', sub: 'outside-doctor', nonce: away.searchParams.get('nonce'), iat: seconds, exp: seconds + 60 });
      const callback = new URL(`${record.issuer}/oauth/federated/outside/callback`);
      callback.search = new URLSearchParams({ code: 'c', state: away.searchParams.get('state'), iss: outside.issuer });
      return (await browser.send(callback)).status;
    };
    const signed = (change = {}, header = {}, key = honest.privateKey) => (claims) =>
      new jose.SignJWT({ ...claims, ...change }).setProtectedHeader({ alg: 'ES256', kid: 'k2', ...header }).sign(key);
    const seconds = Math.floor(Date.now() / 1000);
    assert.equal(await attempt(signed()), 302, 'its key is new to us: fetched again');
    assert.equal(await attempt(signed({ nonce: 'other' })), 400, 'nonce');
    assert.equal(await attempt(signed({ nonce: undefined })), 400, 'no nonce');
    assert.equal(await attempt(signed({ iss: 'https://evil.example' })), 400, 'iss');
    assert.equal(await attempt(signed({ aud: 'other' })), 400, 'aud');
    assert.equal(await attempt(signed({ aud: ['meridian', 'other'] })), 400, 'two audiences without azp');
    assert.equal(await attempt(signed({ azp: 'other' })), 400, 'azp');
    assert.equal(await attempt(signed({ exp: seconds - 100 })), 400, 'exp');
    assert.equal(await attempt(signed({ iat: seconds - 5000 })), 400, 'iat');
    assert.equal(await attempt(signed({}, {}, foreign.privateKey)), 400, 'wrong key');
    assert.equal(await attempt(signed({}, { kid: 'k3' })), 400, 'unknown key');
    assert.equal(await attempt((claims) => new jose.UnsecuredJWT(claims).encode()), 400, 'alg=none');
    assert.equal(await attempt(() => undefined), 400, 'no ID token');
    assert.equal(await attempt(signed()), 302);
  });
  outside.handler = before;
}
