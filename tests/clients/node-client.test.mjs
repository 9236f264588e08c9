// Every method of the published Node client whose route there is, and the
// errors that it passes on.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertFails, onlyField } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { connectApiKey, postApiKey } from './sessions.mjs';

let platform, nango;

before(async () => {
  platform = await startPlatform();
  nango = platform.client();
  await nango.createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
});
after(() => platform?.stop());

describe('providers', () => {
  test('are listed, found and described', async () => {
    const { data: all } = await nango.listProviders();
    assert.ok(all.some(({ name }) => name === 'demo'));
    const { data: found } = await nango.listProviders({ search: 'bearer' });
    assert.deepEqual(found.map(({ name }) => name), ['private-api-bearer']);

    const { data: demo } = await nango.getProvider({ provider: 'demo' });
    assert.equal(demo.name, 'demo');
    assert.equal(demo.display_name, 'Demo');
    assert.equal(demo.auth_mode, 'OAUTH2');
    assert.match(demo.logo_url, /\/demo\.svg$/);

    assert.deepEqual(await nango.getProviderTemplates({ provider: 'demo' }), { data: [] });
  });

  test('that there are none of', async () => {
    const call = nango.getProvider({ provider: 'nowhere' });
    await assertFails(call, 404, 'unknown_provider_template');
    const templates = nango.getProviderTemplates({ provider: 'nowhere' });
    await assertFails(templates, 404, 'unknown_provider_template');
  });
});

describe('integrations', () => {
  test('are created, read, listed and deleted', async () => {
    const created = await platform.createDemoIntegration('crm', { display_name: 'Our CRM' });
    assert.equal(created.unique_key, 'crm');
    assert.equal(created.display_name, 'Our CRM');
    assert.equal(created.forward_webhooks, true);
    assert.ok(new Date(created.created_at) <= new Date());

    const { configs } = await nango.listIntegrations();
    assert.deepEqual(configs.map((config) => config.unique_key), ['bearer', 'crm']);

    const { data: plain } = await nango.getIntegration({ uniqueKey: 'crm' });
    assert.deepEqual(plain, created);
    const include = { include: ['credentials'] };
    const { data: full } = await nango.getIntegration({ uniqueKey: 'crm' }, include);
    const { credentials } = full;
    assert.equal(credentials.type, 'OAUTH2');
    assert.equal(credentials.client_id, 'demo-client');
    assert.equal(credentials.client_secret, 'demo-secret');

    const deleted = await nango.deleteIntegration('crm');
    assert.deepEqual(deleted.data, { success: true });
    await assertFails(nango.getIntegration({ uniqueKey: 'crm' }), 404, 'unknown_provider_config');
    await assertFails(nango.deleteIntegration('crm'), 404, 'unknown_provider_config');
  });

  test('with a key that is taken', async () => {
    const again = nango.createIntegration({ unique_key: 'bearer', provider: 'demo' });
    const error = await assertFails(again, 409, 'duplicate_provider_config');
    assert.match(error.message, /'bearer'/);
  });

  for (const [what, body, path] of [
    ['of an unknown provider', { provider: 'nowhere' }, ['provider']],
    ['with a key of other characters', { unique_key: 'a/b' }, ['unique_key']],
    ['with an unknown field', { colour: 'red' }, ['colour']],
    ['with a field of another type', { display_name: 7 }, ['display_name']],
    [
      'with half an OAuth client',
      { credentials: { type: 'OAUTH2', client_id: 'x' } },
      ['credentials', 'client_secret'],
    ],
    [
      'with a configuration that its provider does not have',
      { integration_config: { colour: 'red' } },
      ['integration_config', 'colour'],
    ],
  ]) {
    test(what, async () => {
      const call = nango.createIntegration({ unique_key: 'x', provider: 'demo', ...body });
      const error = await assertFails(call, 400, 'invalid_body');
      assert.deepEqual(onlyField(error).path, path);
    });
  }
});

describe('connect sessions', () => {
  test('are for an end user, for half an hour', async () => {
    const { data } = await nango.createConnectSession({
      end_user: { id: 'user-1', tags: { team: 'a' } },
      allowed_integrations: ['bearer'],
      integrations_config_defaults: { bearer: { connection_config: {} } },
    });
    assert.match(data.token, /^nango_connect_session_[0-9a-f]{64}$/);
    assert.ok(data.connect_link.startsWith(platform.server_url));
    assert.ok(data.connect_link.includes(data.token));
    const minutes = (new Date(data.expires_at) - Date.now()) / 60_000;
    assert.ok(minutes > 28 && minutes <= 30.1, `${minutes} minutes`);
  });

  test('need no end user when they have tags', async () => {
    const { data } = await nango.createConnectSession({ tags: { team: 'a' } });
    assert.match(data.token, /^nango_connect_session_/);
  });

  test('for nobody', async () => {
    const error = await assertFails(nango.createConnectSession({}), 400, 'invalid_body');
    assert.deepEqual(onlyField(error).path, ['end_user']);
  });

  test('for an integration that does not exist', async () => {
    const call = nango.createConnectSession({
      end_user: { id: 'user-1' },
      allowed_integrations: ['bearer', 'nowhere'],
    });
    const error = await assertFails(call, 400, 'invalid_body');
    assert.deepEqual(onlyField(error).path, ['allowed_integrations', '1']);
  });

  test('that were deleted connect nothing', async () => {
    const token = await platform.connectToken();
    const url = new URL('/connect/session', platform.server_url);
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await fetch(url, { headers })).status, 200);
    assert.equal((await fetch(url, { headers, method: 'DELETE' })).status, 204);
    const late = await postApiKey(platform, 'bearer', { apiKey: 'demo-api-key' }, token);
    assert.equal(late.status, 401);
    assert.equal((await late.json()).error.code, 'unknown_connect_session_token');
  });
});

describe('connections by API key', () => {
  let connectionId;
  before(async () => {
    connectionId = await connectApiKey(platform, 'bearer', 'demo-api-key', {
      end_user: { id: 'user-2', email: 'user-2@example.com' },
    });
  });

  test('are read', async () => {
    const connection = await nango.getConnection('bearer', connectionId);
    assert.equal(connection.provider, 'private-api-bearer');
    assert.equal(connection.provider_config_key, 'bearer');
    assert.equal(connection.end_user.email, 'user-2@example.com');
    assert.equal(connection.credentials.type, 'API_KEY');
    assert.equal(connection.credentials.apiKey, 'demo-api-key');
    assert.deepEqual(await nango.getToken('bearer', connectionId), connection.credentials);
    assert.deepEqual(await nango.getMetadata('bearer', connectionId), {});
  });

  test('are found by each filter', async () => {
    await connectApiKey(platform, 'bearer', 'demo-api-key', { end_user: { id: 'user-3' } });
    const ids = async (filter) => {
      const { connections } = await nango.listConnections(filter);
      return connections.map((connection) => connection.connection_id);
    };
    assert.equal((await ids({ integrationId: 'bearer' })).length, 2);
    assert.equal((await ids({ integrationId: ['nowhere', 'bearer'] })).length, 2);
    assert.deepEqual(await ids({ integrationId: 'nowhere' }), []);
    assert.deepEqual(await ids({ connectionId }), [connectionId]);
    assert.deepEqual(await ids({ userId: 'user-2' }), [connectionId]);
    assert.deepEqual(await ids({ limit: 1, page: 1 }), [connectionId], 'newest first');
  });

  test('of an unknown integration, or with an unknown id', async () => {
    const elsewhere = nango.getConnection('nowhere', connectionId);
    await assertFails(elsewhere, 400, 'unknown_provider_config');
    await assertFails(nango.getConnection('bearer', 'nobody'), 404, 'not_found');
  });

  test('refuse what is not a key', async () => {
    for (const body of [{}, { apiKey: '' }, { apiKey: 7 }, { apiKey: 'k', more: 1 }]) {
      const response = await postApiKey(platform, 'bearer', body);
      assert.equal(response.status, 400, JSON.stringify(body));
      assert.equal((await response.json()).error.code, 'invalid_body', JSON.stringify(body));
    }
  });

  test('are not made for a provider of another mode', async () => {
    await platform.createDemoIntegration('oauth');
    const response = await postApiKey(platform, 'oauth', { apiKey: 'k' });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.code, 'invalid_auth_mode');
  });
});

describe('API keys', () => {
  test('that nobody has', async () => {
    const apiKey = '00000000-0000-4000-8000-000000000000';
    const stranger = platform.client({ apiKey });
    await assertFails(stranger.listIntegrations(), 401, 'unknown_account');
    const call = { endpoint: '/x', providerConfigKey: 'bearer', connectionId: 'c' };
    await assertFails(stranger.get(call), 401, 'unknown_account');
  });

  test('that are none', async () => {
    const malformed = platform.client({ apiKey: 'secret' });
    await assertFails(malformed.listConnections(), 401, 'invalid_secret_key_format');
  });

  test('that are missing or malformed in the header', async () => {
    const url = new URL('/integrations', platform.server_url);
    const without = await fetch(url);
    assert.equal(without.status, 401);
    assert.equal((await without.json()).error.code, 'missing_auth_header');
    const basic = await fetch(url, { headers: { authorization: 'Basic abc' } });
    assert.equal(basic.status, 401);
    assert.equal((await basic.json()).error.code, 'malformed_auth_header');
  });
});

test('a body that is not JSON, and an address that is none', async () => {
  const headers = { authorization: `Bearer ${platform.api_key}` };
  const post = { method: 'POST', headers, body: '{' };
  const broken = await fetch(new URL('/integrations', platform.server_url), post);
  assert.equal(broken.status, 400);
  assert.equal((await broken.json()).error.code, 'invalid_json');
  const nowhere = await fetch(new URL('/nowhere', platform.server_url), { headers });
  assert.equal(nowhere.status, 404);
  assert.equal((await nowhere.json()).error.code, 'not_found');
});
