// SPDX-License-Identifier: Apache-2.0
// oauth4webapi, which refuses every answer that is not exactly as the RFCs say; and what an attacker would try.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';

import * as jose from 'jose';
import * as oauth from 'oauth4webapi';

import { check } from './cases.mjs';
import { allow, signedIn } from './surroundings.mjs';

const redirect = 'https://app.example/callback';
const insecure = { [oauth.allowInsecureRequests]: true };
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

async function failsWith(response, status, error) {
  const answer = await response;
  const body = await answer.json();
  assert.equal(`${answer.status} ${body.error}`, `${status} ${error}`);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  return answer;
}

export async function oauth4webapi(record) {
  const issuer = new URL(record.issuer);
  const scopes = ['openid', 'fhirUser', 'offline_access', 'launch/patient', 'patient/*.rs'];
  const discover = async (algorithm) =>
    oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...insecure }));
  const server = await discover('oidc');
  const app = { client_id: 'strict-app' };
  await record.client({ id: 'strict-app', redirect_uris: [redirect], scopes });
  const resource = await record.client({ id: 'resource-server', authentication: 'secret', may_introspect: true, scopes: ['openid'] });

  const authorize = async (extra = {}, browser = signedIn('patient')) => {
    const verifier = oauth.generateRandomCodeVerifier();
    const parameters = {
      client_id: 'strict-app', response_type: 'code', redirect_uri: redirect, aud: record.fhir, state: 'the-state', nonce: 'the-nonce',
      scope: 'openid offline_access launch/patient patient/*.rs', code_challenge_method: 'S256',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), ...extra,
    };
    for (const name of Object.keys(parameters)) if (parameters[name] === undefined) delete parameters[name];
    const end = await browser.go(`${server.authorization_endpoint}?${new URLSearchParams(parameters)}`, parameters.redirect_uri ?? redirect, allow);
    return { ...end, verifier };
  };
  const exchange = async ({ url, verifier }, authentication = oauth.None(), client = app) => {
    const answer = oauth.validateAuthResponse(server, client, url, 'the-state');
    const response = await oauth.authorizationCodeGrantRequest(server, client, authentication, answer, redirect, verifier, insecure);
    return oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: 'the-nonce', requireIdToken: true });
  };
  const code = ({ url }) => url.searchParams.get('code');
  const codeForm = (end, more = {}) => ({
    grant_type: 'authorization_code', code: code(end), redirect_uri: redirect, code_verifier: end.verifier, client_id: 'strict-app', ...more,
  });
  const introspect = async (token) => {
    const client = { client_id: 'resource-server' };
    const response = await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic(resource.secret), token, insecure);
    return oauth.processIntrospectionResponse(server, client, response);
  };

  await check('oauth4webapi: both discovery documents and the SMART document', async () => {
    assert.equal((await discover('oauth2')).token_endpoint, server.token_endpoint);
    for (const base of [record.issuer, record.fhir]) {
      const smart = await (await fetch(`${base}/.well-known/smart-configuration`)).json();
      assert.ok(smart.capabilities.includes('launch-standalone'));
      assert.deepEqual(smart.code_challenge_methods_supported, ['S256']);
    }
  });

  await check('oauth4webapi: code, ID token with signature, user info, introspection, revocation', async () => {
    const ref = await exchange(await authorize());
    const claims = oauth.getValidatedIdTokenClaims(ref);
    const response = await oauth.userInfoRequest(server, app, ref.access_token, insecure);
    await oauth.processUserInfoResponse(server, app, claims.sub, response);
    const seen = await introspect(ref.access_token);
    assert.equal(seen.active, true);
    assert.equal(seen.client_id, 'strict-app');
    assert.equal(seen.patient, 'p1');
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, app, oauth.None(), ref.access_token, insecure));
    assert.deepEqual(await introspect(ref.access_token), { active: false });
    assert.deepEqual(await introspect('anything'), { active: false });
  });

  await check('oauth4webapi: refresh, narrowed, and reuse ends the family', async () => {
    const ref = await exchange(await authorize());
    const refresh = async (token, more) =>
      oauth.processRefreshTokenResponse(server, app, await oauth.refreshTokenGrantRequest(server, app, oauth.None(), token, { additionalParameters: more, ...insecure }));
    const narrow = await refresh(ref.refresh_token, { scope: 'patient/Observation.rs' });
    assert.equal(narrow.scope, 'patient/Observation.rs');
    const wide = await refresh(narrow.refresh_token);
    assert.equal(wide.scope, 'openid offline_access launch/patient patient/*.rs');
    await assert.rejects(refresh(wide.refresh_token, { scope: 'patient/*.cruds' }), { error: 'invalid_scope' });
    await assert.rejects(refresh(wide.refresh_token, { scope: 'user/*.rs' }), { error: 'invalid_scope' });
    assert.equal((await introspect(wide.access_token)).active, true);
    await assert.rejects(refresh(narrow.refresh_token), { error: 'invalid_grant' });
    assert.equal((await introspect(wide.access_token)).active, false, 'reuse ends what came of it');
    await assert.rejects(refresh(wide.refresh_token), { error: 'invalid_grant' });
  });

  await check('oauth4webapi: pushed requests (RFC 9126) of a client with a key, which gets nothing otherwise', async () => {
    const { key, kid } = await record.clientWithKey('ES256', { id: 'pushing', redirect_uris: [redirect], scopes, pushes: true });
    const client = { client_id: 'pushing' };
    const authentication = oauth.PrivateKeyJwt({ key, kid });
    const verifier = oauth.generateRandomCodeVerifier();
    const parameters = new URLSearchParams({
      client_id: 'pushing', response_type: 'code', redirect_uri: redirect, aud: record.fhir, state: 'the-state', nonce: 'the-nonce',
      scope: 'openid patient/*.rs', code_challenge_method: 'S256', code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    });
    const response = await oauth.pushedAuthorizationRequest(server, client, authentication, parameters, insecure);
    const pushed = await oauth.processPushedAuthorizationResponse(server, client, response);
    const named = new URLSearchParams({ client_id: 'pushing', request_uri: pushed.request_uri });
    const end = await signedIn('patient').go(`${server.authorization_endpoint}?${named}`, redirect, allow);
    assert.ok((await exchange({ url: end.url, verifier }, authentication, client)).access_token);
    const plain = await signedIn('patient').go(`${server.authorization_endpoint}?${parameters}`, redirect, allow);
    assert.equal(plain.url.searchParams.get('error'), 'invalid_request');
  });

  await check('attack: a replayed code ends what it gave', async () => {
    const end = await authorize();
    const first = await exchange(end);
    assert.equal((await introspect(first.access_token)).active, true);
    await failsWith(record.token(codeForm(end)), 400, 'invalid_grant');
    assert.equal((await introspect(first.access_token)).active, false);
    await failsWith(record.token({ grant_type: 'refresh_token', refresh_token: first.refresh_token, client_id: 'strict-app' }), 400, 'invalid_grant');
  });

  await check('attack: missing, wrong and plain PKCE', async () => {
    const end = await authorize();
    await failsWith(record.token(codeForm(end, { code_verifier: oauth.generateRandomCodeVerifier() })), 400, 'invalid_grant');
    await failsWith(record.token(codeForm(end, { code_verifier: '' })), 400, 'invalid_request');
    const errorOf = async (extra) => (await authorize(extra)).url.searchParams.get('error');
    assert.equal(await errorOf({ code_challenge: undefined, code_challenge_method: undefined }), 'invalid_request');
    assert.equal(await errorOf({ code_challenge_method: 'plain' }), 'invalid_request');
    assert.equal(await errorOf({ code_challenge_method: undefined }), 'invalid_request');
  });

  await check('attack: redirect mismatch stays on our page; at the token endpoint it is invalid_grant', async () => {
    for (const uri of ['https://app.example/callback/', 'https://app.example/callback?x=1', 'https://evil.example/callback', 'http://app.example/callback', undefined]) {
      const end = await authorize({ redirect_uri: uri });
      assert.equal(end.status, 400, String(uri));
    }
    const end = await authorize();
    await failsWith(record.token(codeForm(end, { redirect_uri: 'https://app.example/other' })), 400, 'invalid_grant');
  });

  await check('attack: mixed-up state and issuer are noticed by the client, since both are sent', async () => {
    const end = await authorize();
    assert.throws(() => oauth.validateAuthResponse(server, app, end.url, 'another-state'));
    const other = new URL(end.url);
    other.searchParams.set('iss', 'https://evil.example');
    assert.throws(() => oauth.validateAuthResponse(server, app, other, 'the-state'));
    other.searchParams.delete('iss');
    assert.throws(() => oauth.validateAuthResponse(server, app, other, 'the-state'));
  });

  await check('attack: another client with a code or refresh token of this one', async () => {
    await record.client({ id: 'thief', redirect_uris: [redirect], scopes });
    const end = await authorize();
    await failsWith(record.token(codeForm(end, { client_id: 'thief' })), 400, 'invalid_grant');
    const ref = await exchange(end);
    await failsWith(record.token({ grant_type: 'refresh_token', refresh_token: ref.refresh_token, client_id: 'thief' }), 400, 'invalid_grant');
    await fetch(server.revocation_endpoint, { method: 'POST', body: new URLSearchParams({ token: ref.access_token, client_id: 'thief' }) });
    assert.equal((await introspect(ref.access_token)).active, true, 'it may not revoke it either');
  });

  await check('attack: a wrong aud, a wrong response type, an unknown client', async () => {
    const errorOf = async (extra) => (await authorize(extra)).url.searchParams.get('error');
    assert.equal(await errorOf({ aud: 'https://evil.example/fhir' }), 'invalid_request');
    assert.equal(await errorOf({ aud: undefined }), 'invalid_request');
    assert.equal(await errorOf({ response_type: 'token' }), 'unsupported_response_type');
    assert.equal(await errorOf({ scope: 'admin' }), 'invalid_scope');
    assert.equal(await errorOf({ request: 'x.y.z' }), 'request_not_supported');
    assert.equal((await authorize({ client_id: 'nobody' })).status, 400);
  });

  await check('attack: a code that is too old, a token that is over', async () => {
    const old = await authorize();
    const good = await exchange(await authorize());
    await record.control('ahead?seconds=61');
    await failsWith(record.token(codeForm(old)), 400, 'invalid_grant');
    assert.equal((await introspect(good.access_token)).active, true);
    await record.control('ahead?seconds=601');
    assert.equal((await introspect(good.access_token)).active, false);
    const info = await fetch(server.userinfo_endpoint, { headers: { authorization: `Bearer ${good.access_token}` } });
    assert.equal(info.status, 401);
    assert.match(info.headers.get('www-authenticate'), /^Bearer .*error="invalid_token"/);
    await record.control('ahead?seconds=0');
  });

  await check('attack: wrong secret, two ways at once, parameters twice', async () => {
    const basic = (secret) => ({ authorization: `Basic ${Buffer.from(`resource-server:${secret}`).toString('base64')}` });
    const answer = await failsWith(record.token({ grant_type: 'client_credentials' }, basic('wrong')), 401, 'invalid_client');
    assert.match(answer.headers.get('www-authenticate'), /^Basic /);
    await failsWith(record.token({ grant_type: 'client_credentials', client_assertion: 'x' }, basic(resource.secret)), 400, 'invalid_request');
    await failsWith(record.token({ grant_type: 'client_credentials', scope: 'system/*.rs' }, basic(resource.secret)), 400, 'unauthorized_client');
    await failsWith(record.token({ grant_type: 'refresh_token', client_id: 'resource-server' }), 401, 'invalid_client');
    const twice = fetch(server.token_endpoint, { method: 'POST', body: 'grant_type=x&grant_type=y', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    await failsWith(twice, 400, 'invalid_request');
    await failsWith(record.token({ grant_type: 'password', client_id: 'strict-app' }), 400, 'unsupported_grant_type');
    assert.equal((await fetch(server.token_endpoint)).status, 405);
  });

  for (const alg of ['RS384', 'ES384']) await backendServices(record, server, alg);
}

async function backendServices(record, server, alg) {
  const id = `loader-${alg}`;
  const { key, kid } = await record.clientWithKey(alg, { id, account: 'loader', scopes: ['system/*.rs'] });
  const assertion = (claims = {}, header = {}, signer = key) =>
    new jose.SignJWT({ iss: id, sub: id, aud: server.token_endpoint, jti: oauth.generateRandomState(), exp: Math.floor(Date.now() / 1000) + 200, ...claims })
      .setProtectedHeader({ alg, kid, typ: 'JWT', ...header }).sign(signer);
  const form = (text, scope = 'system/*.rs') => ({ grant_type: 'client_credentials', scope, client_assertion_type: assertionType, client_assertion: text });

  await check(`backend services: client_credentials with ${alg}`, async () => {
    const client = { client_id: id };
    const authentication = async (_as, _client, body) => {
      body.set('client_assertion_type', assertionType);
      body.set('client_assertion', await assertion());
    };
    const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, { scope: 'system/Observation.read system/Patient.cruds' }, insecure);
    const answer = await oauth.processClientCredentialsResponse(server, client, response);
    assert.equal(answer.scope, 'system/Observation.rs system/Patient.rs');
    assert.equal(answer.expires_in, 300);
    assert.equal(answer.refresh_token, undefined);
  });

  await check(`backend services ${alg}: bad assertions are invalid_client`, async () => {
    const refused = async (text, why) => {
      const answer = await record.token(form(await text));
      assert.equal(`${answer.status} ${(await answer.json()).error}`, '401 invalid_client', why);
    };
    const seconds = Math.floor(Date.now() / 1000);
    const once = await assertion();
    assert.equal((await record.token(form(once))).status, 200);
    await refused(once, 'replayed jti');
    await refused(assertion({ exp: seconds - 100 }), 'expired');
    await refused(assertion({ exp: seconds + 4000 }), 'too long');
    await refused(assertion({ aud: 'https://evil.example/token' }), 'wrong audience');
    await refused(assertion({ aud: [server.token_endpoint, 'https://evil.example'] }), 'two audiences');
    await refused(assertion({ iss: 'strict-app' }), 'wrong issuer');
    await refused(assertion({ sub: 'strict-app' }), 'wrong subject');
    await refused(assertion({ jti: undefined }), 'no jti');
    await refused(assertion({ nbf: seconds + 500 }), 'not yet');
    await refused(assertion({}, { typ: 'at+jwt' }), 'another type of token');
    await refused(assertion({}, { kid: 'other' }), 'unknown key');
    await refused(assertion({}, { crit: ['b64'], b64: true }), 'crit');
    await refused(assertion({}, {}, (await jose.generateKeyPair(alg)).privateKey), 'wrong key');
    const claims = { iss: id, sub: id, aud: server.token_endpoint, jti: 'x', exp: seconds + 100 };
    await refused(new jose.UnsecuredJWT(claims).encode(), 'alg=none');
    const hmac = new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid });
    await refused(hmac.sign(new TextEncoder().encode(JSON.stringify(await jose.exportJWK(key)).padEnd(64))), 'HS256');
    await refused(once.slice(0, -2) + (once.endsWith('AA') ? 'BB' : 'AA'), 'altered');
    const user = await record.token(form(await assertion(), 'user/*.rs'));
    assert.equal((await user.json()).error, 'invalid_scope');
  });
}

// A client whose keys lie at an address of its own. Returns what is to be checked when the kept copy is old enough to be asked again.
export async function keysByAddress(record) {
  const published = { keys: [] };
  let fetched = 0;
  const host = createServer((_request, response) => {
    fetched += 1;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(published));
  });
  await new Promise((done) => host.listen(0, '127.0.0.1', done));
  const jwksUri = `http://127.0.0.1:${host.address().port}/jwks`;
  const publish = async (kid) => {
    const pair = await jose.generateKeyPair('ES384');
    published.keys = [{ ...(await jose.exportJWK(pair.publicKey)), kid, alg: 'ES384' }];
    return (jti) => new jose.SignJWT({ jti }).setProtectedHeader({ alg: 'ES384', kid }).setIssuer('remote').setSubject('remote')
      .setAudience(record.issuer).setExpirationTime('60s').sign(pair.privateKey);
  };
  const status = async (assertion) => (await record.token({ grant_type: 'client_credentials', scope: 'system/*.rs', client_assertion_type: assertionType, client_assertion: assertion })).status;
  await record.client({ id: 'remote', authentication: 'key', account: 'loader', jwks_uri: jwksUri, scopes: ['system/*.rs'] });
  const old = await publish('old');
  await check('jwks_uri: keys are fetched once and kept', async () => {
    assert.equal(await status(await old('1')), 200);
    assert.equal(await status(await old('2')), 200);
    assert.equal(fetched, 1);
  });
  const fresh = await publish('fresh');
  return async () => {
    await check('jwks_uri: an unknown kid makes them be fetched again, not more often than every ten seconds', async () => {
      assert.equal(await status(await fresh('3')), 200);
      assert.equal(fetched, 2);
      assert.equal(await status(await old('4')), 401, 'the old key is gone');
      assert.equal(await status(await old('5')), 401);
      assert.equal(fetched, 2);
    });
    host.close();
  };
}
