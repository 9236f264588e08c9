// The published Node client's methods for syncs, with one that runs: `dev` has the
// sync `items` for its demo provider, which begins paused.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { until } from './conditions.mjs';
import { assertFails, onlyField } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { store } from './records.mjs';
import { connectOAuth, importConnection } from './sessions.mjs';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ITEMS = 95;

let platform, nango;

before(async () => {
  platform = await startPlatform();
  nango = platform.client();
});
after(() => platform?.stop());

/** The only sync that a call means; nothing while there is none. */
async function look(integration, connectionId, syncs = '*') {
  const { syncs: found } = await nango.syncStatus(integration, syncs, connectionId);
  assert.ok(found.length < 2, JSON.stringify(found));
  return found[0];
}

/** What the next run leaves, once `tell` has made it run. */
async function ran(integration, connectionId, tell, syncs) {
  const earlier = (await look(integration, connectionId, syncs)).finishedAt;
  await tell();
  return until(`${integration} has run`, async () => {
    const sync = await look(integration, connectionId, syncs);
    return sync.finishedAt && sync.finishedAt !== earlier && sync;
  });
}

const counts = (added, updated, deleted) => ({ Item: { added, updated, deleted } });

describe('a sync of the demo API', () => {
  let connectionId, named, first;
  const status = (syncs) => look('demo', connectionId, syncs);
  const trigger = (opts) =>
    ran('demo', connectionId, () => nango.triggerSync('demo', ['items'], connectionId, opts));
  const records = (more = {}) => nango.listRecords({ ...named, limit: 1000, ...more });

  before(async () => {
    await platform.createDemoIntegration();
    connectionId = await connectOAuth(platform, 'demo');
    named = { providerConfigKey: 'demo', connectionId, model: 'Item' };
    first = await until('the connection has its sync', () => status());
  });

  test('is there with its connection, and waits', () => {
    const { id, ...rest } = first;
    assert.match(id, UUID);
    assert.deepEqual(rest, {
      connection_id: connectionId,
      name: 'items',
      variant: 'base',
      type: 'INITIAL',
      nextScheduledSyncAt: null,
      frequency: 'every 5 minutes',
      recordCount: { Item: 0 },
      status: 'PAUSED',
      checkpoint: null,
    });
  });

  test('startSync lets it run, and by its schedule from then on', async () => {
    const sync = await ran('demo', connectionId, async () => {
      const { status, data } = await nango.startSync('demo', ['items'], connectionId);
      assert.deepEqual([status, data], [200, { success: true }]);
    });
    const { finishedAt, nextScheduledSyncAt, ...rest } = sync;
    assert.match(finishedAt, TIME);
    assert.match(nextScheduledSyncAt, TIME);
    const wait = Date.parse(nextScheduledSyncAt) - Date.now();
    assert.ok(wait > -5_000 && wait <= 5 * 60_000, nextScheduledSyncAt);
    assert.deepEqual(rest, {
      id: first.id,
      connection_id: connectionId,
      name: 'items',
      variant: 'base',
      type: 'INITIAL',
      frequency: 'every 5 minutes',
      latestResult: counts(ITEMS, 0, 0),
      latestExecutionStatus: 'SUCCESS',
      recordCount: { Item: ITEMS },
      status: 'SUCCESS',
      checkpoint: null,
    });
    const { records: saved, next_cursor: next } = await records();
    assert.equal(next, null);
    assert.deepEqual(saved.map(({ id }) => id), Array.from({ length: ITEMS }, (_, n) => n + 1));
    assert.equal(saved[0].name, 'Item 1');
  });

  test('triggerSync brings what is new, and takes what is gone', async () => {
    const last = (await records()).records.at(-1)._nango_metadata.cursor;
    await nango.post({ ...named, endpoint: '/api/items', data: { name: 'New' } });
    // As if an earlier run had seen it.
    await store(platform, 'save', named, [{ id: 'gone', name: 'Gone' }]);
    const sync = await trigger();
    assert.equal(sync.type, 'INCREMENTAL');
    assert.deepEqual(sync.latestResult, counts(1, 0, 1));
    assert.deepEqual(sync.recordCount, { Item: ITEMS + 1 });
    const changes = (await records({ cursor: last })).records;
    assert.deepEqual(
      changes.map(({ id, _nango_metadata: { last_action: action } }) => [id, action]),
      [[ITEMS + 1, 'ADDED'], ['gone', 'DELETED']],
    );
    const again = await trigger();
    assert.deepEqual(again.latestResult ?? {}, counts(0, 0, 0));
  });

  const all = ITEMS + 1;
  for (const [words, opts, type, added] of [
    ['reset', { reset: true }, 'INITIAL', 0],
    ['emptyCache', { emptyCache: true }, 'INCREMENTAL', all],
    ['both', { reset: true, emptyCache: true }, 'INITIAL', all],
    ['neither', { reset: false, emptyCache: false }, 'INCREMENTAL', 0],
    ['the old words', 'full_refresh', 'INITIAL', 0],
    ['the old words, all of it', 'full_refresh_and_clear_cache', 'INITIAL', all],
    ['the old words, nothing', 'incremental', 'INCREMENTAL', 0],
    ['the oldest way', true, 'INITIAL', 0],
    ['the oldest way, nothing', false, 'INCREMENTAL', 0],
  ]) {
    test(`triggerSync with ${words}`, async () => {
      const sync = await trigger(opts);
      assert.deepEqual([sync.type, sync.status], [type, 'SUCCESS']);
      assert.equal(sync.latestResult.Item?.added ?? 0, added);
      assert.deepEqual(sync.recordCount, { Item: all });
    });
  }

  test('pauseSync ends its schedule, and it can be triggered all the same', async () => {
    const { data } = await nango.pauseSync('demo', ['items'], connectionId);
    assert.deepEqual(data, { success: true });
    const paused = await status();
    assert.deepEqual([paused.status, paused.nextScheduledSyncAt], ['PAUSED', null]);
    assert.equal(paused.latestExecutionStatus, 'SUCCESS');
    assert.equal((await trigger()).status, 'PAUSED');
    // Of all connections, and all syncs.
    await ran('demo', connectionId, () => nango.startSync('demo', []));
    assert.equal((await status()).status, 'SUCCESS');
    await nango.pauseSync('demo', [{ name: 'items', variant: 'base' }]);
    assert.equal((await status()).status, 'PAUSED');
  });

  test('updateSyncConnectionFrequency sets an interval, and takes it back', async () => {
    const set = (frequency, sync = 'items') =>
      nango.updateSyncConnectionFrequency('demo', sync, connectionId, frequency);
    const { frequency } = await set('every 10 minutes');
    assert.equal((await status()).frequency, frequency);
    assert.equal(frequency, '10 minutes');
    assert.deepEqual(await set(null), { frequency: 'every 5 minutes' });
    assert.equal((await status()).frequency, 'every 5 minutes');
    await assertFails(set('every 29s'), 400, 'sync_interval_too_short');
    const error = await assertFails(set('now and then'), 400, 'invalid_body');
    assert.deepEqual(onlyField(error).path, ['frequency']);
    await assertFails(set('every hour', 'nothing'), 400, 'unknown_sync');
  });

  test('a variant has a sync and records of its own', async () => {
    const variant = {
      provider_config_key: 'demo',
      connection_id: connectionId,
      name: 'items',
      variant: 'eu',
    };
    const { id, ...rest } = await nango.createSyncVariant(variant);
    assert.match(id, UUID);
    assert.deepEqual(rest, { name: 'items', variant: 'eu' });
    await assertFails(nango.createSyncVariant(variant), 400, 'sync_variant_already_exists');
    const eu = { name: 'items', variant: 'eu' };
    const one = await ran(
      'demo',
      connectionId,
      () => nango.triggerSync('demo', [eu], connectionId),
      [eu],
    );
    assert.deepEqual([one.id, one.variant, one.recordCount], [id, 'eu', { Item: all }]);
    assert.equal((await records({ variant: 'eu' })).records.length, all);
    const both = await nango.syncStatus('demo', ['items', 'items::eu'], connectionId);
    assert.deepEqual(both.syncs.map((sync) => sync.variant).sort(), ['base', 'eu']);
    await until('it is deleted', () =>
      nango.deleteSyncVariant(variant).then(
        (answer) => assert.deepEqual(answer, { success: true }) ?? true,
        (error) => assert.fail(JSON.stringify(error.response?.data)),
      ),
    );
    assert.deepEqual((await records({ variant: 'eu' })).records, []);
    assert.equal((await records()).records.length, all);
    await assertFails(nango.deleteSyncVariant(variant), 404, 'not_found');
    for (const method of ['createSyncVariant', 'deleteSyncVariant']) {
      await assertFails(nango[method]({ ...variant, variant: 'base' }), 400, 'invalid_variant');
      const nobody = { ...variant, connection_id: 'nobody' };
      await assertFails(nango[method](nobody), 400, 'unknown_connection');
    }
  });

  test('its connection has metadata beside it', async () => {
    await nango.setMetadata('demo', connectionId, { from: '2026' });
    await trigger();
    assert.deepEqual(await nango.getMetadata('demo', connectionId), { from: '2026' });
  });

  for (const [method, syncs] of [
    ['triggerSync', ['items']],
    ['startSync', ['items']],
    ['pauseSync', ['items']],
    ['syncStatus', '*'],
  ]) {
    test(`${method} of what there is not`, async () => {
      await assertFails(nango[method]('demo', syncs, 'nobody'), 400, 'unknown_connection');
      await assertFails(nango[method]('nothing', syncs, 'c'), 400, 'unknown_provider_config');
      const none = nango[method]('demo', ['items', 'nothing'], connectionId);
      if (method !== 'syncStatus') return assertFails(none, 400, 'no_syncs_found');
      assert.deepEqual((await none).syncs.map((sync) => sync.name), ['items']);
    });
  }

  test('goes with its connection', async () => {
    await nango.deleteConnection('demo', connectionId);
    assert.deepEqual((await nango.syncStatus('demo', '*')).syncs, []);
  });
});

describe('a sync of an API that', () => {
  let api, answer;
  before(async () => {
    api = http.createServer((request, response) => answer(request, response));
    await once(api.listen(0, '127.0.0.1'), 'listening');
    const baseUrl = `http://127.0.0.1:${api.address().port}`;
    await platform.createDemoIntegration('broken', { integration_config: { baseUrl } });
    await importConnection(platform, {
      provider_config_key: 'broken',
      connection_id: 'c',
      credentials: { type: 'OAUTH2', access_token: 'a token' },
    });
    await until('the connection has its sync', () => look('broken', 'c'));
  });
  after(async () => {
    api.closeAllConnections();
    api.close();
  });

  test('hangs is ended by pauseSync', async () => {
    answer = () => {};
    await nango.startSync('broken', ['items'], 'c');
    const running = await until('it runs', async () => {
      const sync = await look('broken', 'c');
      return sync.status === 'RUNNING' && sync;
    });
    assert.equal(running.latestExecutionStatus, 'RUNNING');
    assert.equal(running.finishedAt, undefined);
    await nango.pauseSync('broken', ['items'], 'c');
    const paused = await look('broken', 'c');
    assert.deepEqual([paused.status, paused.latestExecutionStatus], ['PAUSED', 'STOPPED']);
    assert.match(paused.finishedAt, TIME);
  });

  test('refuses has failed', async () => {
    answer = (_, response) => response.writeHead(404).end('{}');
    await nango.startSync('broken', ['items'], 'c');
    // What was ended may still have to say so, and this follows it.
    const failed = await until('it has failed', async () => {
      const sync = await look('broken', 'c');
      return sync.status === 'ERROR' && sync;
    });
    assert.equal(failed.latestExecutionStatus, 'STOPPED');
    assert.equal(failed.type, 'INITIAL');
    assert.match(failed.nextScheduledSyncAt, TIME);
  });

  test('breaks off goes on where it was', async () => {
    const asked = [];
    let isBroken = true;
    answer = ({ url }, response) => {
      const page = Number(new URL(url, 'http://api').searchParams.get('page'));
      asked.push(page);
      if (page === 2 && isBroken) return response.writeHead(404).end('{}');
      const [from, to] = page === 1 ? [1, 50] : [51, 60];
      const items = Array.from({ length: to - from + 1 }, (_, at) => ({ id: from + at }));
      response.setHeader('content-type', 'application/json').end(JSON.stringify(items));
    };
    const trigger = () => nango.triggerSync('broken', ['items'], 'c');
    const half = await ran('broken', 'c', trigger);
    assert.deepEqual([half.status, half.checkpoint], ['ERROR', { page: 2 }]);
    assert.deepEqual(half.latestResult, counts(50, 0, 0));
    isBroken = false;
    const rest = await ran('broken', 'c', trigger);
    assert.deepEqual([rest.status, rest.checkpoint], ['SUCCESS', null]);
    assert.deepEqual(rest.latestResult, counts(10, 0, 0));
    assert.deepEqual(rest.recordCount, { Item: 60 });
    assert.deepEqual(asked, [1, 2, 2]);
  });
});
