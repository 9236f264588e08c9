// Calls through the proxy by the published Node client.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertFails, onlyField } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { connectApiKey, connectOAuth } from './sessions.mjs';

let platform, nango, call;

before(async () => {
  platform = await startPlatform();
  nango = platform.client();
  await nango.createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
  call = {
    providerConfigKey: 'bearer',
    connectionId: await connectApiKey(platform, 'bearer', 'demo-api-key'),
    baseUrlOverride: platform.demo_url,
    endpoint: '/key-api/echo/deep?already=there',
  };
});
after(() => platform?.stop());

for (const verb of ['get', 'post', 'put', 'patch', 'delete']) {
  test(`passes ${verb.toUpperCase()} on`, async () => {
    const data = verb === 'get' ? undefined : { name: 'Ünïcode', nested: [1, { two: 2.5 }] };
    const headers = { 'X-Wanted': 'yes' };
    const answer = await nango[verb]({ ...call, headers, params: { q: 'a b&c' }, data });
    const seen = answer.data;
    assert.equal(seen.method, verb.toUpperCase());
    assert.equal(seen.path, '/key-api/echo/deep');
    const query = Object.fromEntries(new URLSearchParams(seen.query));
    assert.deepEqual(query, { already: 'there', q: 'a b&c' });
    assert.equal(seen.headers['x-wanted'], 'yes');
    assert.equal(seen.headers.authorization, 'Bearer demo-api-key');
    if (data) assert.deepEqual(JSON.parse(seen.body), data);
  });
}

test('passes methods of WebDAV on', async () => {
  const { data } = await nango.proxy({ ...call, method: 'PROPFIND', data: { a: 1 } });
  assert.equal(data.method, 'PROPFIND');
  assert.equal(data.body, '{"a":1}');
});

test('keeps what is ours from the API', async () => {
  const { data } = await nango.get(call);
  const names = Object.keys(data.headers);
  assert.ok(names.includes('authorization'));
  const ours = /nango|linkspan|connection-id|provider-config-key|base-url-override|cookie/;
  assert.deepEqual(names.filter((name) => ours.test(name)), []);
  assert.ok(!JSON.stringify(data).includes(platform.api_key), 'our key went to the API');
});

test('passes an answer of the API on with its status', async () => {
  const missing = { ...call, endpoint: '/key-api/nothing' };
  const failure = await nango.get(missing).catch((error) => error.response);
  const direct = await fetch(new URL('/key-api/nothing', platform.demo_url), {
    headers: { authorization: 'Bearer demo-api-key' },
  });
  assert.equal(failure.status, direct.status);
  assert.deepEqual(failure.data, await direct.json());
});

test('refuses a key that the API refuses, with its words', async () => {
  const connectionId = await connectApiKey(platform, 'bearer', 'wrong-key');
  const refused = nango.get({ ...call, connectionId, endpoint: '/key-api/me' });
  const { status, headers } = await refused.catch((error) => error.response);
  assert.equal(status, 401);
  assert.match(headers['www-authenticate'], /Bearer/);
});

test('passes a 204 and a stream on', async () => {
  await platform.createDemoIntegration('streams');
  const connectionId = await connectOAuth(platform, 'streams');
  const oauth = { providerConfigKey: 'streams', connectionId };
  const empty = await nango.delete({ ...oauth, endpoint: '/api/empty' });
  assert.equal(empty.status, 204);
  const chunks = await nango.get({
    ...oauth,
    endpoint: '/api/stream',
    params: { chunks: '3' },
    responseType: 'stream',
  });
  let text = '';
  for await (const chunk of chunks.data) text += chunk;
  assert.equal(text, 'chunk 1\nchunk 2\nchunk 3\n');
});

test('names what is missing or wrong', async () => {
  const unknown = nango.get({ ...call, connectionId: 'nobody' });
  await assertFails(unknown, 400, 'server_error');
  const elsewhere = nango.get({ ...call, providerConfigKey: 'nowhere' });
  await assertFails(elsewhere, 404, 'unknown_provider_config');
  const nameless = nango.get({ ...call, connectionId: '' });
  await assertFails(nameless, 400, 'invalid_headers');
  const error = await assertFails(
    nango.get({ ...call, retryOn: ['often'] }),
    400,
    'invalid_headers',
  );
  assert.match(onlyField(error).path[0], /^retry-on$/i);
});

test('says that the API cannot be reached', async () => {
  const nobody = nango.get({ ...call, baseUrlOverride: 'http://127.0.0.1:9' });
  await assertFails(nobody, 502, 'upstream_unreachable');
});
