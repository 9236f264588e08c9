// The published Node client reads what syncs have saved (CONTRACT: records).

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { assertFails, onlyField } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { store } from './records.mjs';
import { connectApiKey } from './sessions.mjs';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

let platform, nango, connectionId;
let named, models = 0;

before(async () => {
  platform = await startPlatform();
  nango = platform.client();
  await nango.createIntegration({ unique_key: 'crm', provider: 'private-api-bearer' });
  connectionId = await connectApiKey(platform, 'crm', 'demo-api-key');
});
after(() => platform?.stop());

// A model of its own for each test.
beforeEach(() => {
  models += 1;
  named = { providerConfigKey: 'crm', connectionId, model: `Model${models}` };
});

const save = (records, more = {}) => store(platform, 'save', { ...named, ...more }, records);
const update = (records) => store(platform, 'update', named, records);
const remove = (...ids) => store(platform, 'delete', named, ids.map((id) => ({ id })));
const list = (more = {}) => nango.listRecords({ ...named, ...more });
const ids = async (more) => (await list(more)).records.map(({ id }) => id);

/** `a` is as it was added, `b` was updated, `c` deleted; in that order. */
async function three() {
  await save([{ id: 'a', n: 1 }, { id: 'b', n: 1 }, { id: 'c', n: 1 }]);
  await update([{ id: 'b', more: { x: 1 } }]);
  await remove('c');
}

describe('listRecords', () => {
  test('gives records with their metadata', async () => {
    await three();
    const page = await list();
    assert.deepEqual(Object.keys(page).sort(), ['next_cursor', 'records']);
    assert.equal(page.next_cursor, null);
    const shown = page.records.map(({ _nango_metadata: metadata, ...fields }) => {
      assert.deepEqual(Object.keys(metadata).sort(), [
        'cursor',
        'deleted_at',
        'first_seen_at',
        'last_action',
        'last_modified_at',
        'pruned_at',
      ]);
      assert.match(metadata.first_seen_at, TIME);
      assert.match(metadata.last_modified_at, TIME);
      assert.equal(metadata.pruned_at, null);
      assert.equal(typeof metadata.cursor, 'string');
      const isDeleted = metadata.last_action === 'DELETED';
      assert.equal(metadata.deleted_at, isDeleted ? metadata.last_modified_at : null);
      const isNew = metadata.last_action === 'ADDED';
      assert.equal(metadata.first_seen_at === metadata.last_modified_at, isNew);
      return [fields, metadata.last_action];
    });
    assert.deepEqual(shown, [
      [{ id: 'a', n: 1 }, 'ADDED'],
      [{ id: 'b', n: 1, more: { x: 1 } }, 'UPDATED'],
      [{ id: 'c', n: 1 }, 'DELETED'],
    ]);
  });

  test('goes from page to page, and on where it was', async () => {
    await three();
    const seen = [];
    let cursor = null;
    do {
      const page = await list({ limit: 1, cursor });
      assert.equal(page.records.length, 1);
      seen.push(page.records[0]);
      cursor = page.next_cursor;
    } while (cursor);
    assert.deepEqual(seen.map(({ id }) => id), ['a', 'b', 'c']);
    const last = seen[2]._nango_metadata.cursor;
    assert.deepEqual(await ids({ cursor: last }), []);
    // What changes moves to the end, and a kept cursor stays good.
    await save([{ id: 'a', n: 2 }, { id: 'b', n: 1, more: { x: 1 } }, { id: 'd' }]);
    assert.deepEqual(await ids({ cursor: last }), ['a', 'd']);
    assert.deepEqual(await ids({ cursor: seen[0]._nango_metadata.cursor }), ['b', 'c', 'a', 'd']);
  });

  test('filters by what happened last, in every combination', async () => {
    await three();
    for (const [filter, expected] of [
      ['added', ['a']],
      ['updated', ['b']],
      ['deleted', ['c']],
      ['added,updated', ['a', 'b']],
      ['updated,added', ['a', 'b']],
      ['updated,deleted', ['b', 'c']],
      ['added,deleted', ['a', 'c']],
      ['added,updated,deleted', ['a', 'b', 'c']],
      ['DELETED', ['c']],
    ]) {
      assert.deepEqual(await ids({ filter }), expected, filter);
    }
    assert.equal((await list({ filter: 'added,deleted', limit: 1 })).records[0].id, 'a');
  });

  test('after a time, by its new name and its old', async () => {
    await three();
    const { records } = await list();
    for (const [at, { _nango_metadata: metadata }] of records.entries()) {
      const later = ['a', 'b', 'c'].slice(at + 1);
      const time = metadata.last_modified_at;
      assert.deepEqual(await ids({ modifiedAfter: time }), later, 'to the microsecond');
      assert.deepEqual(await ids({ delta: time }), later);
    }
    assert.deepEqual(await ids({ modifiedAfter: '2999-01-01T00:00:00Z' }), []);
  });

  test('those of some ids', async () => {
    const strange = ['a b&c', 'zażółć 😀', '%2F/..?', '7'];
    const outcome = await save([...strange.slice(0, 3).map((id) => ({ id })), { id: 7 }, { id: 8 }]);
    assert.equal(outcome.added.length, 5);
    for (const id of strange) {
      assert.deepEqual((await ids({ ids: [id] })).map(String), [id]);
    }
    const some = await ids({ ids: [...strange, 'nobody'] });
    assert.deepEqual(some.map(String).sort(), [...strange].sort());
    const filtered = await ids({ ids: ['7'], filter: 'deleted' });
    assert.deepEqual(filtered, []);
  });

  test('as they were saved, to the letter', async () => {
    const text = '[{"id":"a","big":123456789012345678901234567890,"z":1,"a":[1.10,null,{"é":""}]}]';
    await save(text);
    const url = new URL(`/records?model=${named.model}`, platform.server_url);
    const headers = {
      authorization: `Bearer ${platform.api_key}`,
      'connection-id': connectionId,
      'provider-config-key': 'crm',
    };
    const answer = await (await fetch(url, { headers })).text();
    assert.ok(answer.includes(text.slice(1, -2)), answer);
  });

  test('of a variant', async () => {
    await save([{ id: 'base' }]);
    await save([{ id: 'other' }], { variant: 'eu' });
    assert.deepEqual(await ids(), ['base']);
    assert.deepEqual(await ids({ variant: 'base' }), ['base']);
    assert.deepEqual(await ids({ variant: 'eu' }), ['other']);
    assert.deepEqual(await ids({ variant: 'us' }), []);
  });

  test('of a model that nothing was saved to', async () => {
    assert.deepEqual(await list(), { records: [], next_cursor: null });
  });

  test('of a record that came twice in a batch: the first', async () => {
    const outcome = await save([{ id: 'a', n: 1 }, { id: 'a', n: 2 }]);
    assert.deepEqual([outcome.added, outcome.duplicates], [['a'], ['a']]);
    assert.equal((await list()).records[0].n, 1);
  });

  for (const [what, wrong, field] of [
    ['a cursor that is none', { cursor: 'nonsense' }, 'cursor'],
    ['a cursor of another server', { cursor: btoa('2026-11-23T00:00:00Z||a') }, 'cursor'],
    ['no action', { filter: 'gone' }, 'filter'],
    ['no time', { modifiedAfter: 'yesterday' }, 'modified_after'],
    ['too many', { limit: 10_001 }, 'limit'],
    ['too few', { limit: -1 }, 'limit'],
    ['too many ids', { ids: Array.from({ length: 101 }, (_, n) => `${n}`) }, 'ids'],
  ]) {
    test(what, async () => {
      const error = await assertFails(list(wrong), 400, 'invalid_query_params');
      assert.deepEqual(onlyField(error).path, [field]);
    });
  }

  test('of nobody', async () => {
    await assertFails(list({ connectionId: 'nobody' }), 400, 'unknown_connection');
    await assertFails(list({ providerConfigKey: 'nothing' }), 400, 'unknown_provider_config');
  });
});

describe('pruneRecords', () => {
  const prune = (untilCursor, more = {}) => nango.pruneRecords({ ...named, untilCursor, ...more });

  test('empties payloads up to a cursor, piece by piece', async () => {
    await three();
    const { records } = await list();
    const until = records[1]._nango_metadata.cursor;
    assert.deepEqual(await prune(until, { limit: 1 }), { count: 1, has_more: true });
    assert.deepEqual(await prune(until), { count: 1, has_more: false });
    assert.deepEqual(await prune(until), { count: 0, has_more: false });
    const after = (await list()).records;
    assert.deepEqual(after[2], records[2]);
    for (const at of [0, 1]) {
      const { _nango_metadata: metadata, ...fields } = after[at];
      assert.deepEqual(fields, { id: records[at].id });
      assert.match(metadata.pruned_at, TIME);
      assert.deepEqual({ ...metadata, pruned_at: null }, records[at]._nango_metadata);
    }
    // The next change brings a payload back.
    await save([{ id: 'a', n: 2 }]);
    const back = (await list({ ids: ['a'] })).records[0];
    assert.deepEqual([back.n, back._nango_metadata.pruned_at], [2, null]);
  });

  test('of a variant', async () => {
    await save([{ id: 'a', n: 1 }]);
    await save([{ id: 'a', n: 1 }], { variant: 'eu' });
    const [record] = (await list({ variant: 'eu' })).records;
    const pruned = await prune(record._nango_metadata.cursor, { variant: 'eu' });
    assert.deepEqual(pruned, { count: 1, has_more: false });
    assert.equal((await list({ variant: 'eu' })).records[0].n, undefined);
    assert.equal((await list()).records[0].n, 1);
  });

  test('up to no cursor, or too many', async () => {
    const error = await assertFails(prune('nonsense'), 400, 'invalid_body');
    assert.deepEqual(onlyField(error).path, ['until_cursor']);
    await save([{ id: 'a' }]);
    const [{ _nango_metadata: metadata }] = (await list()).records;
    const many = await assertFails(prune(metadata.cursor, { limit: 10_001 }), 400, 'invalid_body');
    assert.deepEqual(onlyField(many).path, ['limit']);
  });
});
