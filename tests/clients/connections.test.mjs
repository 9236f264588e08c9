// Reading, changing and deleting connections by the published Node client.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertFails, onlyField } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { connectApiKey, connectOAuth } from './sessions.mjs';

let platform, nango, oauth;

before(async () => {
  platform = await startPlatform();
  nango = platform.client();
  await nango.createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
  await platform.createDemoIntegration('demo');
  oauth = await connectOAuth(platform, 'demo');
});
after(() => platform?.stop());

describe('a list', () => {
  test('is found by tags, a search and an organisation', async () => {
    const id = await connectApiKey(platform, 'bearer', 'demo-api-key', {
      end_user: { id: 'listed', display_name: 'Findable Person', email: 'f@example.com' },
      organization: { id: 'org-9' },
      tags: { Team: 'blue' },
    });
    const ids = ({ connections }) => connections.map((each) => each.connection_id);
    assert.deepEqual(ids(await nango.listConnections({ tags: { TEAM: 'blue' } })), [id]);
    assert.deepEqual(ids(await nango.listConnections({ tags: { team: 'red' } })), []);
    assert.deepEqual(ids(await nango.listConnections(undefined, 'Findable')), [id]);
    const ofOrganisation = { endUserOrganizationId: 'org-9' };
    assert.deepEqual(ids(await nango.listConnections(undefined, undefined, ofOrganisation)), [id]);
    assert.deepEqual(ids(await nango.listConnections(id)), [id]);
  });

  test('has a limit that is a number from 1', async () => {
    const error = await assertFails(
      nango.listConnections({ limit: 2001 }),
      400,
      'invalid_query_params',
    );
    assert.deepEqual(onlyField(error).path, ['limit']);
  });
});

describe('credentials', () => {
  test('are read, and refreshed by force', async () => {
    const before = await nango.getToken('demo', oauth);
    assert.equal(await nango.getToken('demo', oauth), before);
    const after = await nango.getToken('demo', oauth, true);
    assert.notEqual(after, before);
    const connection = await nango.getConnection('demo', oauth, false, true);
    assert.equal(connection.credentials.access_token, after);
    assert.equal(typeof connection.credentials.refresh_token, 'string');
    assert.ok(new Date(connection.credentials.expires_at) > new Date());
    assert.deepEqual(connection.errors, []);
  });

  test('are given as the provider gave them', async () => {
    const raw = await nango.getRawTokenResponse('demo', oauth);
    assert.equal(raw.access_token, await nango.getToken('demo', oauth));
    assert.match(raw.token_type, /^bearer$/i);
  });

  test('of a connection or an integration that there is none of', async () => {
    for (const read of ['getToken', 'getRawTokenResponse', 'getMetadata']) {
      await assertFails(nango[read]('demo', 'nobody'), 404, 'not_found');
      await assertFails(nango[read]('nowhere', oauth), 400, 'unknown_provider_config');
    }
    const nameless = nango.getConnection('', oauth);
    const error = await assertFails(nameless, 400, 'invalid_query_params');
    assert.deepEqual(onlyField(error).path, ['provider_config_key']);
  });
});

describe('metadata', () => {
  test('is set, and merged one level deep', async () => {
    const set = await nango.setMetadata('demo', oauth, { a: 1, deep: { x: 1 } });
    assert.equal(set.status, 201);
    assert.deepEqual(await nango.getMetadata('demo', oauth), { a: 1, deep: { x: 1 } });
    const merged = await nango.updateMetadata('demo', oauth, { b: 'ü', deep: { y: 2 } });
    assert.equal(merged.status, 200);
    const stored = { a: 1, b: 'ü', deep: { y: 2 } };
    assert.deepEqual(await nango.getMetadata('demo', oauth), stored);
  });

  test('of many connections is written to all of them or to none', async () => {
    const ids = [
      await connectApiKey(platform, 'bearer', 'demo-api-key'),
      await connectApiKey(platform, 'bearer', 'demo-api-key'),
    ];
    const { data } = await nango.setMetadata('bearer', ids, { plan: 'gold' });
    assert.deepEqual(data.connection_id, ids);
    const half = nango.updateMetadata('bearer', [...ids, 'nobody'], { plan: 'lead' });
    const error = await assertFails(half, 400, 'unknown_connection');
    assert.match(error.message, /nobody/);
    for (const id of ids) {
      assert.deepEqual(await nango.getMetadata('bearer', id), { plan: 'gold' });
    }
  });

  for (const write of ['setMetadata', 'updateMetadata']) {
    test(`refuses by ${write} what is none`, async () => {
      const nowhere = nango[write]('nowhere', oauth, {});
      await assertFails(nowhere, 400, 'unknown_provider_config');
      const list = await assertFails(nango[write]('demo', oauth, ['x']), 400, 'invalid_body');
      assert.deepEqual(onlyField(list).path, ['metadata']);
      const nobody = await assertFails(nango[write]('demo', [], {}), 400, 'invalid_body');
      assert.deepEqual(onlyField(nobody).path, ['connection_id']);
      await assert.rejects(nango[write]('demo', '', {}), /Connection Id is required/);
      await assert.rejects(nango[write]('demo', oauth, null), /Metadata is required/);
    });
  }
});

describe('a connection', () => {
  const named = { provider_config_key: 'demo' };

  test('changes its labels and its end user', async () => {
    const params = { ...named, connectionId: oauth };
    const body = { tags: { Plan: 'gold' }, end_user: { id: 'other', email: 'o@example.com' } };
    assert.deepEqual(await nango.patchConnection(params, body), { success: true });
    const changed = await nango.getConnection('demo', oauth);
    assert.deepEqual(changed.tags, { plan: 'gold' });
    assert.equal(changed.end_user.id, 'other');
    await nango.patchConnection(params, { end_user: null });
    const cleared = await nango.getConnection('demo', oauth);
    assert.equal(cleared.end_user, null);
    assert.deepEqual(cleared.tags, { plan: 'gold' });
  });

  for (const [what, body, path] of [
    ['too many labels', { tags: labels(11) }, ['tags']],
    ['a label that is no text', { tags: { a: 1 } }, ['tags', 'a']],
    ['an unknown field', { metadata: {} }, ['metadata']],
    ['an end user without an id', { end_user: { email: 'x' } }, ['end_user', 'id']],
    ['an address that is none', { webhook_url_override: 'x' }, ['webhook_url_override']],
  ]) {
    test(`refuses ${what}`, async () => {
      const before = await nango.getConnection('demo', oauth);
      const call = nango.patchConnection({ ...named, connectionId: oauth }, body);
      const error = await assertFails(call, 400, 'invalid_body');
      assert.deepEqual(onlyField(error).path, path);
      const after = await nango.getConnection('demo', oauth);
      assert.deepEqual({ ...after, last_fetched_at: 0 }, { ...before, last_fetched_at: 0 });
    });
  }

  test('that there is none of is neither changed nor deleted', async () => {
    const call = nango.patchConnection({ ...named, connectionId: 'nobody' }, { tags: {} });
    await assertFails(call, 404, 'not_found');
    const elsewhere = { provider_config_key: 'nowhere', connectionId: oauth };
    await assertFails(nango.patchConnection(elsewhere, {}), 400, 'unknown_provider_config');
    await assertFails(nango.deleteConnection('demo', 'nobody'), 400, 'unknown_connection');
    await assertFails(nango.deleteConnection('nowhere', oauth), 400, 'unknown_provider_config');
  });

  test('is gone when it was deleted', async () => {
    const id = await connectApiKey(platform, 'bearer', 'demo-api-key');
    const deleted = await nango.deleteConnection('bearer', id);
    assert.deepEqual(deleted.data, { success: true });
    await assertFails(nango.getConnection('bearer', id), 404, 'not_found');
    await assertFails(nango.deleteConnection('bearer', id), 400, 'unknown_connection');
  });

  test('is waited for', async () => {
    const endUser = { end_user: { id: 'awaited' } };
    const id = await connectApiKey(platform, 'bearer', 'demo-api-key', endUser);
    const found = await nango.waitForConnection('bearer', 'awaited');
    assert.equal(found.connection_id, id);

    const stop = new AbortController();
    const never = nango.waitForConnection('bearer', 'never', { signal: stop.signal });
    stop.abort();
    await assert.rejects(never, /aborted/);
    const stranger = platform.client({ apiKey: '00000000-0000-4000-8000-000000000000' });
    const refused = stranger.waitForConnection('bearer', 'awaited');
    await assertFails(refused, 401, 'unknown_account');
  });
});

test('environment variables: nothing sets one yet', async () => {
  assert.deepEqual(await nango.getEnvironmentVariables(), []);
});

function labels(count) {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`label-${n}`, 'x']));
}
