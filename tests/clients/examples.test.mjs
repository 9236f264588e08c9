// The Rust SDK's examples, as its manual has them run: beside `linkspan dev`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { until } from './conditions.mjs';
import { program, startPlatform } from './platform.mjs';
import { store } from './records.mjs';
import { connectApiKey, connectOAuth } from './sessions.mjs';

let platform;

before(async () => {
  platform = await startPlatform();
});
after(() => platform?.stop());

/** An example that runs; `output()` is what it has printed so far. */
function run(name, environment, args = []) {
  const file = path.join(path.dirname(program), 'examples', name);
  const advice = `there is no ${file}: cargo build -p linkspan-client --examples makes it`;
  assert.ok(existsSync(file), advice);
  const child = spawn(file, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  }
  const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  return { child, ended, output: () => output };
}

const settings = () => ({
  LINKSPAN_URL: platform.server_url,
  LINKSPAN_API_KEY: platform.api_key,
  DEMO_URL: platform.demo_url,
});

test('first_success goes from nothing to a call, and proxy goes on from there', async () => {
  const first = run('first_success', settings());
  const token = await until('the link is printed', () =>
    /session_token=(nango_connect_session_[0-9a-f]{64})/.exec(first.output()),
  );
  await connectOAuth(platform, 'demo', token[1]);
  assert.equal(await first.ended, 0, first.output());
  assert.match(first.output(), /Created the integration demo\./);
  assert.match(first.output(), /The demo API says: \{/);

  const proxy = run('proxy', settings());
  assert.equal(await proxy.ended, 0, proxy.output());
  assert.match(proxy.output(), /chunk 1\nchunk 2\nchunk 3\nchunk 4\nchunk 5\n/);
});

test('an example without its settings says which one', async () => {
  const lost = run('proxy', {});
  assert.notEqual(await lost.ended, 0);
  assert.match(lost.output(), /LINKSPAN_URL is not set/);
});

test('verify_webhook takes what is signed, and nothing else', async (t) => {
  const key = 'the-signing-key';
  const { child, ended, output } = run('verify_webhook', { LINKSPAN_SIGNING_KEY: key, PORT: '0' });
  t.after(async () => {
    child.kill();
    await ended;
  });
  const address = await until('it listens', () => /http:\/\/127\.0\.0\.1:(\d+)/.exec(output()));
  const body = JSON.stringify({
    from: 'nango', type: 'auth', operation: 'creation', connectionId: 'c1',
    providerConfigKey: 'demo', provider: 'demo', environment: 'dev', authMode: 'OAUTH2',
    success: true,
  });
  const signature = createHmac('sha256', key).update(body).digest('hex');
  assert.equal(await post(address[1], body, signature), 204);
  await until('it says so', () => output().includes('Connected: c1'));
  assert.equal(await post(address[1], `${body} `, signature), 401);
});

async function post(port, body, signature) {
  const headers = { 'X-Nango-Hmac-Sha256': signature };
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body });
  return response.status;
}

test('records follows changes from where it was left', async () => {
  await platform.client().createIntegration({ unique_key: 'crm', provider: 'private-api-bearer' });
  const connectionId = await connectApiKey(platform, 'crm', 'demo-api-key');
  const named = { connectionId, model: 'Contact' };
  await store(platform, 'save', named, [{ id: 'a' }, { id: 7 }]);
  const follow = async (args, expected) => {
    const example = run('records', settings(), ['crm', connectionId, 'Contact', ...args]);
    const lines = () => example.output().split('\n').slice(0, -1);
    await until('all changes are printed', () => lines().length >= expected.length);
    example.child.kill();
    await example.ended;
    assert.deepEqual(lines().map((line) => line.split(' ').slice(1).join(' ')), expected);
    return lines().at(-1).split(' ')[0];
  };
  const cursor = await follow([], ['Added "a"', 'Added 7']);
  await store(platform, 'update', named, [{ id: 'a', n: 1 }]);
  await store(platform, 'delete', named, [{ id: 7 }]);
  await follow([cursor], ['Updated "a"', 'Deleted 7']);
});
