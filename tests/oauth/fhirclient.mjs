// SPDX-License-Identifier: Apache-2.0
// fhirclient, the SMART reference client: standalone and EHR launch, public and confidential.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';

import smart from 'fhirclient';

import { check } from './cases.mjs';
import { signedIn } from './surroundings.mjs';

// An app: /launch begins, /callback ends and reads the patient.
async function startApp() {
  const kept = new Map();
  const storage = {
    get: async (key) => kept.get(key),
    set: async (key, value) => (kept.set(key, value), value),
    unset: async (key) => kept.delete(key),
  };
  const app = { options: {} };
  const server = createServer(async (request, response) => {
    const api = smart(request, response, storage);
    try {
      if (request.url.startsWith('/launch')) return await api.authorize(app.options);
      const client = await api.ready();
      const seen = { patient: await client.patient.read(), user: client.getFhirUser(), state: client.state };
      if (client.state.tokenResponse.refresh_token) {
        const before = client.state.tokenResponse.access_token;
        await client.refresh();
        assert.notEqual(client.state.tokenResponse.access_token, before);
        seen.again = await client.patient.read();
      }
      response.end(JSON.stringify(seen));
    } catch (error) {
      response.statusCode = 500;
      response.end(String(error.stack ?? error));
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  app.address = `http://127.0.0.1:${server.address().port}`;
  app.stop = () => server.close();
  return app;
}

export async function fhirClient(record) {
  const app = await startApp();
  const scopes = ['openid', 'fhirUser', 'launch', 'launch/patient', 'offline_access', 'online_access', 'patient/*.rs', 'user/*.rs'];
  const redirectUri = `${app.address}/callback`;
  const run = async (browser, query = '', patient = 'Patient/p2') => {
    const end = await browser.go(`${app.address}/launch${query}`, null, (page) => (page.text.includes('name="form"') ? { decision: 'allow', ...(page.text.includes('name="patient"') ? { patient } : {}) } : null));
    assert.equal(end.status, 200, end.text);
    return JSON.parse(end.text);
  };
  const base = { iss: record.fhir, redirectUri, pkceMode: 'required' };

  await check('fhirclient: standalone launch of a public app, patient picked, refreshed', async () => {
    await record.client({ id: 'smart-public', redirect_uris: [redirectUri], scopes });
    app.options = { ...base, clientId: 'smart-public', scope: 'openid fhirUser launch/patient offline_access patient/*.read' };
    const seen = await run(signedIn('doctor'));
    assert.equal(seen.patient.id, 'p2');
    assert.equal(seen.again.id, 'p2');
    assert.equal(seen.user, 'Practitioner/d1');
    assert.equal(seen.state.tokenResponse.need_patient_banner, true);
    assert.match(seen.state.tokenResponse.scope, /patient\/\*\.rs/);
  });

  await check('fhirclient: EHR launch of an app with a secret', async () => {
    const { secret } = await record.client({ id: 'smart-secret', authentication: 'secret', redirect_uris: [redirectUri], scopes });
    app.options = { redirectUri, pkceMode: 'required', clientId: 'smart-secret', clientSecret: secret, scope: 'openid fhirUser launch online_access patient/*.rs' };
    const { launch } = await record.control('launch?client=smart-secret&patient=Patient/p1&encounter=Encounter/e7');
    const seen = await run(signedIn('doctor'), `?${new URLSearchParams({ iss: record.fhir, launch })}`);
    assert.equal(seen.patient.id, 'p1');
    assert.equal(seen.state.tokenResponse.encounter, 'e7');
    const end = await signedIn('doctor').go(`${app.address}/launch?${new URLSearchParams({ iss: record.fhir, launch })}`);
    assert.match(end.text, /launch is not valid/, 'a launch token is good once');
  });

  await check('fhirclient: confidential asymmetric app (ES384)', async () => {
    const { privateJwk } = await record.clientWithKey('ES384', { id: 'smart-key', redirect_uris: [redirectUri], scopes });
    app.options = { ...base, clientId: 'smart-key', clientPrivateJwk: privateJwk, scope: 'launch/patient patient/*.rs' };
    assert.equal((await run(signedIn('patient'))).patient.id, 'p1');
  });

  app.stop();
}
