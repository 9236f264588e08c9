// `linkspan dev` with its own private Postgres, as a newcomer runs it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, readdir, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { freePort, isListening, until } from './conditions.mjs';
import { query } from './database.mjs';
import { STALE, launch, makeDataDir, removeDataDir } from './platform.mjs';
import { connectApiKey, connectOAuth } from './sessions.mjs';

const shell = (command) => promisify(execFile)('sh', ['-c', command]);

let dataDir, ports, platform;

before(async () => {
  dataDir = await makeDataDir();
  ports = { port: await freePort(), demoPort: await freePort() };
  platform = await launch({ dataDir, ...ports });
});
after(async () => {
  await platform?.interrupt();
  await removeDataDir(dataDir);
});

/** The printed commands, in order, each on one line. */
function printedCommands() {
  const joined = platform.output.replaceAll(/\\\n\s*/g, '').replaceAll(/\n {4}/g, ' ');
  return joined.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('curl '));
}

/** Linux tells what runs by files. */
const hasProc = existsSync('/proc/self/cmdline');

/** Command lines of the processes that work in a folder. */
async function processesIn(folder) {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.map((line) => line.replaceAll('\0', ' ')).filter((line) => line.includes(folder));
}

test('the ready file says where everything is', async () => {
  const { server_url, demo_url, api_key, public_key, database_url } = platform;
  assert.equal(server_url, `http://localhost:${ports.port}`);
  assert.equal(demo_url, `http://127.0.0.1:${ports.demoPort}`);
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
  assert.match(api_key, uuid);
  assert.match(public_key, uuid);
  assert.notEqual(api_key, public_key);
  assert.equal((await fetch(new URL('/ready', server_url))).status, 200);
  assert.equal((await fetch(demo_url)).status, 200);
  assert.deepEqual(await query(database_url, 'SELECT 1 AS one'), [{ one: 1 }]);
});

test('the keys are for their owner only', async () => {
  for (const name of ['root-key', 'api-key']) {
    const { mode } = await stat(path.join(dataDir, name));
    assert.equal((mode & 0o777).toString(8), '600', name);
  }
});

test('the printed commands are a first success', async (t) => {
  if (!(await shell('command -v curl').catch(() => null))) return t.skip('there is no curl');
  const [create, connect, call, start, read, ...more] = printedCommands();
  assert.ok(read, `five commands in:\n${platform.output}`);
  assert.deepEqual(more, []);

  const created = JSON.parse((await shell(create)).stdout);
  assert.equal(created.data?.unique_key, 'demo', JSON.stringify(created));
  const session = JSON.parse((await shell(connect)).stdout).data;
  assert.ok(session.connect_link.startsWith(`${platform.server_url}/`));
  const connectionId = await connectOAuth(platform, 'demo', session.token);
  const items = JSON.parse((await shell(call.replace('CONNECTION_ID', connectionId))).stdout);
  assert.deepEqual(items.map((item) => item.id), [1, 2, 3]);

  const own = (command) => shell(command.replace('CONNECTION_ID', connectionId));
  await until('the integration has its sync', async () =>
    (await platform.client().syncStatus('demo', '*', connectionId)).syncs.length,
  );
  assert.deepEqual(JSON.parse((await own(start)).stdout), { success: true });
  const saved = await until('records are there', async () => {
    const { records } = JSON.parse((await own(read)).stdout);
    return records.length && records;
  });
  assert.deepEqual(saved.map((record) => record.id), [1, 2, 3]);
});

test('a second start on the same data directory is refused', async () => {
  const second = launch({ dataDir, readyFile: 'second.json' });
  await assert.rejects(second, (error) => {
    assert.match(error.message, /ended before it was ready/);
    assert.match(error.message, /another process/i);
    return true;
  });
  assert.equal((await fetch(new URL('/ready', platform.server_url))).status, 200);
});

describe('stopped and started again', () => {
  let connectionId, first, server;

  before(async () => {
    // Where root's `dev` keeps the cluster is elsewhere.
    server = await realpath(path.join(dataDir, 'postgres/server'));
    if (hasProc) assert.notDeepEqual(await processesIn(server), [], 'its Postgres runs');
    await platform.client().createIntegration({
      unique_key: 'bearer',
      provider: 'private-api-bearer',
    });
    connectionId = await connectApiKey(platform, 'bearer', 'demo-api-key');
    first = { ...platform };
    await platform.interrupt();
    platform = null;
  });

  test('nothing is left while it is stopped', async () => {
    assert.equal(await isListening(first.database_url), false, 'its Postgres still listens');
    assert.equal(existsSync(path.join(server, 'data/postmaster.pid')), false);
    if (hasProc) {
      assert.deepEqual(await processesIn(dataDir), []);
      assert.deepEqual(await processesIn(server), []);
    }
  });

  test('it goes on with the same data and keys', async () => {
    await writeFile(path.join(dataDir, 'ready.json'), STALE);
    platform = await launch({ dataDir, ...ports });
    for (const same of ['server_url', 'demo_url', 'api_key', 'public_key']) {
      assert.equal(platform[same], first[same], same);
    }
    const answer = await platform.client().get({
      providerConfigKey: 'bearer',
      connectionId,
      baseUrlOverride: platform.demo_url,
      endpoint: '/key-api/me',
    });
    assert.equal(answer.data.login, 'demo');
  });

  test('SIGTERM ends it just as cleanly', async () => {
    const { database_url: databaseUrl } = platform;
    const ending = platform.interrupt('SIGTERM');
    platform = null;
    await ending;
    assert.equal(await isListening(databaseUrl), false, 'its Postgres still listens');
  });
});
