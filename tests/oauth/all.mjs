// SPDX-License-Identifier: Apache-2.0
import { finish } from './cases.mjs';
import { consentPage } from './consent_page.mjs';
import { dishonestProvider, federation, startProvider } from './federation.mjs';
import { fhirClient } from './fhirclient.mjs';
import { keysByAddress, oauth4webapi } from './oauth4webapi.mjs';
import { openidClient } from './openid_client.mjs';
import { servedProgram } from './served.mjs';
import { Record, startServer } from './surroundings.mjs';

const outside = await startProvider();
const server = await startServer(process.argv[2], outside.issuer);
const record = new Record(server.issuer);
await openidClient(record);
await oauth4webapi(record);
const afterwards = await keysByAddress(record);
await fhirClient(record);
await consentPage(record);
await federation(record, outside);
// Keys are asked for again at most every ten seconds (limits::oauth_jwks_refresh_seconds_min).
await new Promise((done) => setTimeout(done, 10_500));
await afterwards();
await dishonestProvider(record, outside);
await servedProgram(process.argv[3]);
const good = finish();
server.stop();
outside.stop();
process.exit(good ? 0 : 1);
