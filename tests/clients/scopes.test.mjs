// A key that lacks a scope: every method of the Node client says which one.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertFails } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { connectApiKey } from './sessions.mjs';

let platform, id;

before(async () => {
  platform = await startPlatform();
  const integration = { unique_key: 'bearer', provider: 'private-api-bearer' };
  await platform.client().createIntegration(integration);
  id = await connectApiKey(platform, 'bearer', 'demo-api-key');
});
after(() => platform?.stop());

/** A client whose key has these scopes of the environment, and no other. */
async function client(name, scopes) {
  const response = await fetch(new URL('/environment/api-keys', platform.server_url), {
    method: 'POST',
    headers: { authorization: `Bearer ${platform.api_key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ environment_id: 1, display_name: name, scopes }),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return platform.client({ apiKey: answer.data.secret });
}

const call = () => ({ endpoint: '/x', providerConfigKey: 'bearer', connectionId: id });
const session = { end_user: { id: 'user-1' } };

/** Each method with the scope that its call asks for. */
const METHODS = [
  ['integrations:list', (nango) => nango.listIntegrations()],
  ['integrations:read', (nango) => nango.getIntegration({ uniqueKey: 'bearer' })],
  ['integrations:create', (nango) => nango.createIntegration({ unique_key: 'x', provider: 'demo' })],
  [
    'integrations:create',
    (nango) => nango.createQuickstartIntegration({ unique_key: 'x', provider: 'demo' }),
  ],
  ['integrations:update', (nango) => nango.updateIntegration({ uniqueKey: 'bearer' }, {})],
  ['integrations:delete', (nango) => nango.deleteIntegration('bearer')],
  ['connections:list', (nango) => nango.listConnections()],
  ['connections:list', (nango) => nango.waitForConnection('bearer', 'user-1')],
  ['connections:read', (nango) => nango.getConnection('bearer', id)],
  ['connections:read', (nango) => nango.getToken('bearer', id)],
  ['connections:read', (nango) => nango.getRawTokenResponse('bearer', id)],
  ['connections:read', (nango) => nango.getMetadata('bearer', id)],
  [
    'connections:update',
    (nango) =>
      nango.patchConnection({ connectionId: id, provider_config_key: 'bearer' }, { tags: {} }),
  ],
  ['connections:update', (nango) => nango.setMetadata('bearer', id, { a: 1 })],
  ['connections:update', (nango) => nango.updateMetadata('bearer', id, { a: 1 })],
  ['connections:delete', (nango) => nango.deleteConnection('bearer', id)],
  ['connect_sessions:write', (nango) => nango.createConnectSession(session)],
  [
    'connect_sessions:write',
    (nango) => nango.createReconnectSession({ connection_id: id, integration_id: 'bearer' }),
  ],
  ['variables:read', (nango) => nango.getEnvironmentVariables()],
  ['proxy', (nango) => nango.get(call())],
  ['proxy', (nango) => nango.post(call())],
];

describe('without its scope', () => {
  let poor;
  before(async () => {
    poor = await client('poor', ['environment:logs:read']);
  });
  for (const [scope, method] of METHODS) {
    test(String(method).replace(/\s+/g, ' '), async () => {
      const error = await assertFails(method(poor), 403, 'forbidden');
      assert.ok(error.message.includes(`environment:${scope}`), error.message);
    });
  }

  test('the catalogue of providers is open to every key', async () => {
    assert.ok((await poor.listProviders()).data.length > 1);
    assert.equal((await poor.getProvider({ provider: 'demo' })).data.name, 'demo');
  });
});

test('credentials show only to a key that may read them', async () => {
  const reader = await client('reader', [
    'environment:connections:read',
    'environment:integrations:read',
  ]);
  assert.deepEqual((await reader.getConnection('bearer', id)).credentials, {});
  const forced = await assertFails(reader.getToken('bearer', id, true), 403, 'forbidden');
  assert.match(forced.message, /environment:connections:read_credentials/);
  const include = { include: ['credentials'] };
  const integration = reader.getIntegration({ uniqueKey: 'bearer' }, include);
  const refused = await assertFails(integration, 403, 'forbidden');
  assert.match(refused.message, /environment:integrations:read_credentials/);
});

test('nothing came of what was refused', async () => {
  const nango = platform.client();
  const { configs } = await nango.listIntegrations();
  assert.deepEqual(configs.map((config) => config.unique_key), ['bearer']);
  assert.deepEqual(await nango.getMetadata('bearer', id), {});
});
