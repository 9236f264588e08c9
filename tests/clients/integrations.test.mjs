// Creating by quickstart, and changing integrations, by the published Node client.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertFails, onlyField } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { connectApiKey } from './sessions.mjs';

let platform, nango;

before(async () => {
  platform = await startPlatform();
  nango = platform.client();
});
after(() => platform?.stop());

describe('a quickstart', () => {
  test('creates an integration that needs no client', async () => {
    const body = { unique_key: 'quick', provider: 'private-api-bearer', display_name: 'Quick' };
    const { data } = await nango.createQuickstartIntegration(body);
    assert.equal(data.unique_key, 'quick');
    assert.equal(data.display_name, 'Quick');
    assert.deepEqual((await nango.getIntegration({ uniqueKey: 'quick' })).data, data);
    const again = nango.createQuickstartIntegration(body);
    await assertFails(again, 409, 'duplicate_provider_config');
  });

  test('lends nobody a client', async () => {
    const call = nango.createQuickstartIntegration({ unique_key: 'lent', provider: 'demo' });
    await assertFails(call, 404, 'shared_credentials_provider_not_found');
    await assertFails(nango.getIntegration({ uniqueKey: 'lent' }), 404, 'unknown_provider_config');
  });

  test('takes neither a client nor an unknown provider', async () => {
    const credentials = { type: 'OAUTH2', client_id: 'a', client_secret: 'b' };
    const body = { unique_key: 'x', provider: 'private-api-bearer' };
    const call = nango.createQuickstartIntegration({ ...body, credentials });
    const error = await assertFails(call, 400, 'invalid_body');
    assert.deepEqual(onlyField(error).path, ['credentials']);
    const nowhere = nango.createQuickstartIntegration({ ...body, provider: 'nowhere' });
    const unknown = await assertFails(nowhere, 400, 'invalid_body');
    assert.deepEqual(onlyField(unknown).path, ['provider']);
  });
});

describe('an integration', () => {
  const credentialsOf = async (uniqueKey) => {
    const { data } = await nango.getIntegration({ uniqueKey }, { include: ['credentials'] });
    return data.credentials;
  };

  test('changes what is named and nothing else', async () => {
    const before = await platform.createDemoIntegration('crm');
    const { data } = await nango.updateIntegration({ uniqueKey: 'crm' }, { display_name: 'Ours' });
    assert.equal(data.display_name, 'Ours');
    assert.equal(data.created_at, before.created_at);
    assert.equal((await credentialsOf('crm')).client_secret, 'demo-secret');

    const credentials = { type: 'OAUTH2', client_id: 'demo-client', client_secret: 'newer' };
    await nango.updateIntegration({ uniqueKey: 'crm' }, { credentials });
    assert.equal((await credentialsOf('crm')).client_secret, 'newer');
    const { data: after } = await nango.getIntegration({ uniqueKey: 'crm' });
    assert.equal(after.display_name, 'Ours');
  });

  test('gets another key while it has no connections', async () => {
    await nango.createIntegration({ unique_key: 'old', provider: 'private-api-bearer' });
    const { data } = await nango.updateIntegration({ uniqueKey: 'old' }, { unique_key: 'new' });
    assert.equal(data.unique_key, 'new');
    await assertFails(nango.getIntegration({ uniqueKey: 'old' }), 404, 'unknown_provider_config');

    await connectApiKey(platform, 'new', 'demo-api-key');
    const late = nango.updateIntegration({ uniqueKey: 'new' }, { unique_key: 'newer' });
    const error = await assertFails(late, 400, 'invalid_body');
    assert.deepEqual(onlyField(error).path, ['unique_key']);
  });

  test('does not take a key that another has', async () => {
    await nango.createIntegration({ unique_key: 'a', provider: 'private-api-bearer' });
    await nango.createIntegration({ unique_key: 'b', provider: 'private-api-bearer' });
    const call = nango.updateIntegration({ uniqueKey: 'b' }, { unique_key: 'a' });
    await assertFails(call, 409, 'duplicate_provider_config');
  });

  test('that there is none of', async () => {
    const call = nango.updateIntegration({ uniqueKey: 'nowhere' }, { display_name: 'x' });
    await assertFails(call, 404, 'unknown_provider_config');
  });

  for (const [what, body, path] of [
    ['a key of other characters', { unique_key: 'a/b' }, ['unique_key']],
    ['an unknown field', { provider: 'demo' }, ['provider']],
    ['a field of another type', { forward_webhooks: 'yes' }, ['forward_webhooks']],
    ['a name that is too long', { display_name: 'x'.repeat(256) }, ['display_name']],
    [
      'a configuration that its provider does not have',
      { integration_config: { colour: 'red' } },
      ['integration_config', 'colour'],
    ],
  ]) {
    test(`refuses ${what}`, async () => {
      const { data: before } = await nango.getIntegration({ uniqueKey: 'crm' });
      const call = nango.updateIntegration({ uniqueKey: 'crm' }, body);
      const error = await assertFails(call, 400, 'invalid_body');
      assert.deepEqual(onlyField(error).path, path);
      assert.deepEqual((await nango.getIntegration({ uniqueKey: 'crm' })).data, before);
    });
  }

  test('is not shown with what nobody knows', async () => {
    const call = nango.getIntegration({ uniqueKey: 'crm' }, { include: ['everything'] });
    const error = await assertFails(call, 400, 'invalid_query_params');
    assert.deepEqual(onlyField(error).path, ['include']);
  });
});
