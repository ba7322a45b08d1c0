// SPDX-License-Identifier: Apache-2.0
// The test server as a process, and what all cases share.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import * as jose from 'jose';

import { Browser } from './browser.mjs';

export async function startServer(program, provider) {
  const server = spawn(program, provider ? [provider] : [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: server.stdout });
  const issuer = await new Promise((resolve, reject) => {
    lines.once('line', resolve);
    server.once('exit', () => reject(new Error('the test server did not start')));
  });
  return { issuer, stop: () => server.stdin.end() };
}

export class Record {
  constructor(issuer) {
    this.issuer = issuer;
    this.fhir = `${issuer}/fhir`;
  }

  async control(path, body) {
    const response = await fetch(`${this.issuer}/test/${path}`, body ? { method: 'POST', body: JSON.stringify(body) } : {});
    const text = await response.text();
    if (!response.ok) throw new Error(`test control ${path}: ${text}`);
    return JSON.parse(text);
  }

  client(registration) {
    return this.control('client', registration);
  }

  // A client with a key pair of its own; its public half is registered.
  async clientWithKey(alg, registration) {
    const pair = await jose.generateKeyPair(alg, { extractable: true });
    const jwk = await jose.exportJWK(pair.publicKey);
    const kid = `key-${registration.id}`;
    await this.client({ ...registration, authentication: 'key', jwks: { keys: [{ ...jwk, kid, alg }] } });
    const privateJwk = { ...(await jose.exportJWK(pair.privateKey)), kid, alg };
    return { key: pair.privateKey, kid, alg, privateJwk };
  }

  token(form, headers = {}) {
    return fetch(`${this.issuer}/oauth/token`, { method: 'POST', body: new URLSearchParams(form), headers });
  }
}

export const allow = () => ({ decision: 'allow' });
export const signedIn = (account) => new Browser({ as: account });
