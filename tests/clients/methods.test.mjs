// Every method of the published clients, so that a new version's cannot be
// overlooked: driven by a test of this folder, or waiting for a feature that
// there is not yet, with proof that it fails until then.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import FrontendNango, { ConnectUI } from '@nangohq/frontend';
import { Nango } from '@nangohq/node';
import { assertFails } from './failures.mjs';
import { startPlatform } from './platform.mjs';

/** Called in the test file `file`, in these words. */
const driven = (file, call) => ({ file, call });
/** Part of the class, but declared private: what it does shows in the others. */
const internal = { internal: true };
/** Waits for `feature`; `call` fails with 404 `not_found` until it comes. */
const waiting = (feature, call) => ({ feature, call });

const NODE = {
  listProviders: driven('node-client.test.mjs'),
  getProvider: driven('node-client.test.mjs'),
  getProviderTemplates: driven('node-client.test.mjs'),
  listIntegrations: driven('node-client.test.mjs'),
  getIntegration: driven('node-client.test.mjs'),
  createIntegration: driven('node-client.test.mjs'),
  createQuickstartIntegration: driven('integrations.test.mjs'),
  updateIntegration: driven('integrations.test.mjs'),
  deleteIntegration: driven('node-client.test.mjs'),
  listFunctions: waiting('functions', (nango) => nango.listFunctions({ uniqueKey: 'bearer' })),
  getFunction: waiting('functions', (nango) =>
    nango.getFunction({ uniqueKey: 'bearer', name: 'f' }),
  ),
  getFunctionCode: waiting('functions', (nango) =>
    nango.getFunctionCode({ uniqueKey: 'bearer', name: 'f' }),
  ),
  deleteFunction: waiting('functions', (nango) =>
    nango.deleteFunction({ uniqueKey: 'bearer', name: 'f' }, { type: 'sync' }),
  ),
  listConnections: driven('connections.test.mjs'),
  getConnection: driven('connections.test.mjs'),
  patchConnection: driven('connections.test.mjs'),
  getToken: driven('connections.test.mjs'),
  getRawTokenResponse: driven('connections.test.mjs'),
  getMetadata: driven('connections.test.mjs'),
  setMetadata: driven('connections.test.mjs'),
  updateMetadata: driven('connections.test.mjs'),
  deleteConnection: driven('connections.test.mjs'),
  waitForConnection: driven('connections.test.mjs'),
  getEnvironmentVariables: driven('connections.test.mjs'),
  getScriptsConfig: waiting('functions', (nango) => nango.getScriptsConfig()),
  listRecords: driven('records.test.mjs'),
  pruneRecords: driven('records.test.mjs'),
  triggerSync: driven('syncs.test.mjs'),
  startSync: driven('syncs.test.mjs'),
  pauseSync: driven('syncs.test.mjs'),
  syncStatus: driven('syncs.test.mjs'),
  updateSyncConnectionFrequency: driven('syncs.test.mjs'),
  createSyncVariant: driven('syncs.test.mjs'),
  deleteSyncVariant: driven('syncs.test.mjs'),
  _triggerAction: internal,
  triggerAction: waiting('actions', (nango) => nango.triggerAction('bearer', 'c', 'a', {})),
  triggerActionAsync: waiting('actions', (nango) => nango.triggerActionAsync('bearer', 'c', 'a')),
  getAsyncActionResult: waiting('actions', (nango) => nango.getAsyncActionResult({ id: 'x' })),
  proxy: driven('proxy.test.mjs'),
  get: driven('proxy.test.mjs'),
  post: driven('proxy.test.mjs', "['get', 'post', 'put', 'patch', 'delete']"),
  put: driven('proxy.test.mjs', "['get', 'post', 'put', 'patch', 'delete']"),
  patch: driven('proxy.test.mjs', "['get', 'post', 'put', 'patch', 'delete']"),
  delete: driven('proxy.test.mjs'),
  verifyWebhookSignature: driven('signatures.test.mjs'),
  _verifyWebhookSignatureImpl: internal,
  verifyIncomingWebhookRequest: driven('signatures.test.mjs'),
  createConnectSession: driven('node-client.test.mjs'),
  createReconnectSession: driven('frontend.test.mjs'),
  getConnectionDetails: internal,
  enrichHeaders: internal,
};

const FRONTEND = {
  create: driven('frontend.test.mjs'),
  auth: driven('frontend.test.mjs'),
  reconnect: driven('frontend.test.mjs'),
  clear: driven('frontend.test.mjs'),
  // Its proof is a test of its own below: the method calls nothing by itself.
  openConnectUI: waiting('Connect UI'),
  convertCredentialsToConfig: internal,
  triggerAuth: internal,
  customAuth: internal,
  toQueryString: internal,
  ensureCredentials: internal,
};

/** Credentials that the frontend client sends to a route of their own, by mode. */
const CREDENTIALS = {
  TWO_STEP: { type: 'TWO_STEP', code: 'x' },
  SIGNATURE: { type: 'SIGNATURE', username: 'u', password: 'p' },
  AWS_SIGV4: { type: 'AWS_SIGV4', role_arn: 'r' },
  BILL: { username: 'u', password: 'p', organization_id: 'o', dev_key: 'd' },
  JWT: { type: 'JWT', privateKey: 'k' },
  TBA: { token_id: 'i', token_secret: 's' },
  OAUTH2_CC: { client_id: 'i', client_secret: 's' },
};

for (const [name, type, table, declarations] of [
  ['@nangohq/node', Nango, NODE, 'index.d.ts'],
  ['@nangohq/frontend', FrontendNango, FRONTEND, 'index.d.ts'],
]) {
  describe(name, () => {
    test('has the methods of the table, and no other', () => {
      const found = Object.getOwnPropertyNames(type.prototype);
      const methods = found.filter((method) => method !== 'constructor');
      assert.deepEqual(methods.sort(), Object.keys(table).sort());
    });

    test('calls what it keeps to itself private', async () => {
      const url = new URL(declarations, import.meta.resolve(name));
      const text = await readFile(url, 'utf8');
      for (const [method, entry] of Object.entries(table)) {
        const isPrivate = new RegExp(`^\\s*private ${method};`, 'm').test(text);
        assert.equal(entry.internal === true, isPrivate, method);
      }
    });

    test('is driven where the table says so', async () => {
      for (const [method, { file, call }] of Object.entries(table)) {
        if (!file) continue;
        const text = await readFile(new URL(file, import.meta.url), 'utf8');
        assert.ok(text.includes(call ?? `.${method}(`), `${method} is not called in ${file}`);
      }
    });
  });
}

describe('what waits', () => {
  let platform, nango;
  before(async () => {
    platform = await startPlatform();
    nango = platform.client();
    await nango.createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
  });
  after(() => platform?.stop());

  for (const [method, { feature, call }] of Object.entries(NODE)) {
    if (!feature) continue;
    test(`${method}, for ${feature}`, () => assertFails(call(nango), 404, 'not_found'));
  }

  test('openConnectUI, for the Connect UI', async () => {
    assert.equal(typeof ConnectUI.prototype.open, 'function');
    const page = await fetch(new URL('/?apiURL=x', platform.server_url));
    assert.equal(page.headers.get('x-frame-options'), 'DENY', 'no page of ours may be framed');
  });

});

describe('credentials of a mode that the integration does not have', () => {
  let platform;
  before(async () => {
    platform = await startPlatform();
    await platform.client().createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
  });
  after(() => platform?.stop());

  const refused = async (options) => {
    const connectSessionToken = await platform.connectToken();
    const frontend = new FrontendNango({ host: platform.server_url, connectSessionToken });
    await assert.rejects(frontend.auth('bearer', options), { type: 'invalid_auth_mode' });
  };

  for (const [mode, credentials] of Object.entries(CREDENTIALS)) {
    test(mode, () => refused({ credentials }));
  }

  test('OAUTH2 that the provider installs', () => refused({ installation: 'outbound', credentials: {} }));
});
