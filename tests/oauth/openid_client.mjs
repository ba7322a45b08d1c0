// SPDX-License-Identifier: Apache-2.0
// openid-client: sign-in as an app does it, with each way of client authentication.
import assert from 'node:assert/strict';

import * as jose from 'jose';
import * as client from 'openid-client';

import { check } from './cases.mjs';
import { allow, signedIn } from './surroundings.mjs';

const redirect = 'http://127.0.0.1:5555/callback';
const scope = 'openid fhirUser offline_access launch/patient patient/Observation.rs?category=laboratory';
const scopes = ['openid', 'fhirUser', 'offline_access', 'launch', 'launch/patient', 'patient/*.rs', 'user/*.cruds'];

const discover = (record, id, authentication, metadata = {}) =>
  client.discovery(new URL(record.issuer), id, metadata, authentication, { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] });

async function signIn(record, config, browser, extra = {}, onPage = allow, checks = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope, state, nonce, aud: record.fhir,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...extra,
  });
  const end = await browser.go(url.href, redirect, onPage);
  return client.authorizationCodeGrant(config, end.url, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true, ...checks });
}

export async function openidClient(record) {
  await record.client({ id: 'public-app', redirect_uris: [redirect], scopes });
  const secret = (await record.client({ id: 'secret-app', authentication: 'secret', redirect_uris: [redirect], scopes })).secret;
  const publicConfig = await discover(record, 'public-app', client.None());
  const secretConfig = await discover(record, 'secret-app', client.ClientSecretBasic(secret));

  await check('openid-client: public client, code + PKCE, patient chosen on the page', async () => {
    const tokens = await signIn(record, publicConfig, signedIn('doctor'), {}, () => ({ decision: 'allow', patient: 'Patient/p2' }));
    assert.equal(tokens.patient, 'p2');
    assert.equal(tokens.claims().fhirUser, `${record.fhir}/Practitioner/d1`);
    assert.deepEqual(tokens.claims().amr, ['pwd']);
    assert.ok(tokens.claims().at_hash);
    assert.equal(tokens.scope, 'openid fhirUser offline_access launch/patient patient/Observation.rs?category=laboratory');
    const info = await client.fetchUserInfo(publicConfig, tokens.access_token, tokens.claims().sub);
    assert.equal(info.fhirUser, `${record.fhir}/Practitioner/d1`);
  });

  await check('openid-client: client_secret_basic, refresh rotates, introspection, revocation', async () => {
    const tokens = await signIn(record, secretConfig, signedIn('patient'));
    assert.equal(tokens.patient, 'p1', 'a patient has one record: nothing to choose');
    const next = await client.refreshTokenGrant(secretConfig, tokens.refresh_token);
    assert.notEqual(next.refresh_token, tokens.refresh_token);
    assert.equal(next.patient, 'p1');
    assert.equal(next.claims().sub, tokens.claims().sub);
    const seen = await client.tokenIntrospection(secretConfig, next.access_token);
    assert.equal(seen.active, true);
    assert.ok(seen.exp > Date.now() / 1000);
    await client.tokenRevocation(secretConfig, next.refresh_token);
    assert.equal((await client.tokenIntrospection(secretConfig, next.access_token)).active, false);
    await assert.rejects(client.refreshTokenGrant(secretConfig, next.refresh_token), { error: 'invalid_grant' });
  });

  for (const alg of ['ES256', 'ES384', 'RS256', 'RS384', 'PS256', 'EdDSA']) {
    await check(`openid-client: private_key_jwt ${alg}`, async () => {
      const { key, kid } = await record.clientWithKey(alg, { id: `key-app-${alg}`, redirect_uris: [redirect], scopes });
      const config = await discover(record, `key-app-${alg}`, client.PrivateKeyJwt({ key, kid }));
      assert.ok((await signIn(record, config, signedIn('patient'))).id_token);
    });
  }

  await check('openid-client: max_age and prompt=login prove the person anew', async () => {
    const browser = signedIn('patient');
    const first = await signIn(record, secretConfig, browser);
    await new Promise((done) => setTimeout(done, 1100));
    const again = await signIn(record, secretConfig, browser, { prompt: 'login' });
    assert.ok(again.claims().auth_time > first.claims().auth_time);
    await new Promise((done) => setTimeout(done, 1100));
    const aged = await signIn(record, secretConfig, browser, { max_age: '1' }, allow, { maxAge: 1 });
    assert.ok(aged.claims().auth_time > again.claims().auth_time);
    const same = await signIn(record, secretConfig, browser, { max_age: '1000' }, allow, { maxAge: 1000 });
    assert.equal(same.claims().auth_time, aged.claims().auth_time);
  });

  await check('openid-client: prompt=none says login_required, then consent_required, then nothing', async () => {
    const fresh = (await record.client({ id: 'silent-app', authentication: 'secret', redirect_uris: [redirect], scopes })).secret;
    const config = await discover(record, 'silent-app', client.ClientSecretBasic(fresh));
    const browser = signedIn('patient');
    await assert.rejects(signIn(record, config, browser, { prompt: 'none' }), { error: 'login_required' });
    await signIn(record, secretConfig, browser);
    await assert.rejects(signIn(record, config, browser, { prompt: 'none' }), { error: 'consent_required' });
    await signIn(record, config, browser);
    const never = () => assert.fail('a page was shown');
    assert.ok((await signIn(record, config, browser, { prompt: 'none' }, never)).id_token);
    assert.ok((await signIn(record, config, browser, {}, never)).id_token, 'the consent is remembered');
  });

  await check('openid-client: refuse on the page is access_denied', () =>
    assert.rejects(signIn(record, secretConfig, signedIn('doctor'), { prompt: 'consent' }, () => ({ decision: 'refuse' })), { error: 'access_denied' }));

  await check('openid-client: the signing key is rotated, old ID tokens still verify', async () => {
    const keys = () => jose.createRemoteJWKSet(new URL(`${record.issuer}/oauth/jwks`));
    const before = await signIn(record, secretConfig, signedIn('patient'));
    await record.control('rotate');
    const fresh = await discover(record, 'secret-app', client.ClientSecretBasic(secret));
    const after = await signIn(record, fresh, signedIn('patient'));
    const kid = (token) => jose.decodeProtectedHeader(token).kid;
    assert.notEqual(kid(before.id_token), kid(after.id_token));
    for (const token of [before.id_token, after.id_token])
      await jose.jwtVerify(token, keys(), { issuer: record.issuer, audience: 'secret-app' });
  });
}
