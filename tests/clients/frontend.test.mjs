// What the published frontend client does without a popup. It needs no browser
// for that: these calls are plain fetches, with the answer as its own error.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Frontend, { AuthError } from '@nangohq/frontend';
import { assertFails, onlyField } from './failures.mjs';
import { startPlatform } from './platform.mjs';
import { connectApiKey } from './sessions.mjs';

let platform, nango;

before(async () => {
  platform = await startPlatform();
  nango = platform.client();
  await nango.createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
  await nango.createIntegration({ unique_key: 'basic', provider: 'private-api-basic' });
  await nango.createIntegration({ unique_key: 'open', provider: 'unauthenticated' });
  await platform.createDemoIntegration('demo');
});
after(() => platform?.stop());

const with_ = (connectSessionToken) =>
  new Frontend({ host: platform.server_url, connectSessionToken });
const frontend = async (session) => with_(await platform.connectToken(session));
const stored = async (key, { connectionId }) => nango.getConnection(key, connectionId);

/** The call must be rejected with the client's own error, of this type. */
async function assertRefused(call, type) {
  const error = await Promise.resolve(call).then(
    (value) => assert.fail(`no failure but ${JSON.stringify(value)}`),
    (error) => error,
  );
  assert.ok(error instanceof AuthError, String(error));
  assert.equal(error.type, type, error.message);
  assert.ok(error.message.length > 10, 'the message says something');
  return error;
}

describe('auth', () => {
  test('connects an API key, with what it is to be configured by', async () => {
    const made = await (await frontend({ tags: { team: 'a' } })).auth('bearer', {
      credentials: { apiKey: 'demo-api-key' },
      params: { subdomain: 'ours & theirs' },
    });
    assert.equal(made.providerConfigKey, 'bearer');
    const connection = await stored('bearer', made);
    assert.equal(connection.credentials.apiKey, 'demo-api-key');
    assert.equal(connection.connection_config.subdomain, 'ours & theirs');
    assert.deepEqual(connection.tags, { team: 'a' });
  });

  test('connects a name and a password', async () => {
    const credentials = { username: 'me', password: 'pa:ss' };
    const made = await (await frontend()).auth('basic', { credentials });
    const { credentials: kept } = await stored('basic', made);
    assert.deepEqual(kept, { type: 'BASIC', ...credentials });
  });

  test('is refused for each reason with its code', async () => {
    const credentials = { apiKey: 'demo-api-key' };
    const before = (await nango.listConnections()).connections.length;
    const nowhere = (await frontend()).auth('nowhere', { credentials });
    await assertRefused(nowhere, 'unknown_provider_config');
    const forbidden = await frontend({ allowed_integrations: ['basic'] });
    await assertRefused(forbidden.auth('bearer', { credentials }), 'integration_not_allowed');
    await assertRefused((await frontend()).auth('basic', { credentials }), 'invalid_auth_mode');
    const empty = (await frontend()).auth('bearer', { credentials: { apiKey: '' } });
    await assertRefused(empty, 'invalid_body');
    const nobody = `nango_connect_session_${'0'.repeat(64)}`;
    const unknown = with_(nobody).auth('bearer', { credentials });
    await assertRefused(unknown, 'unknown_connect_session_token');
    const malformed = with_('nonsense').auth('bearer', { credentials });
    await assertRefused(malformed, 'invalid_connect_session_token_format');
    const key = new Frontend({ host: platform.server_url, publicKey: 'nonsense' });
    await assertRefused(key.auth('bearer', { credentials }), 'invalid_public_key');
    // A session's connection is named by the server, whatever the page says.
    const named = (await frontend()).auth('bearer', 'of-my-choice', { credentials });
    await assertRefused(named, 'invalid_query_params');
    assert.equal((await nango.listConnections()).connections.length, before);
  });

  test('needs somebody to be', () => {
    const nobody = new Frontend({ host: platform.server_url });
    assert.throws(() => nobody.auth('bearer'), AuthError);
    assert.throws(() => new Frontend({ host: 'nonsense' }), { type: 'invalid_host_url' });
  });
});

describe('create', () => {
  test('connects what needs no credentials', async () => {
    const made = await (await frontend()).create('open');
    const connection = await stored('open', made);
    assert.equal(connection.provider, 'unauthenticated');
    assert.deepEqual(connection.credentials, {});
  });

  test('by a public key names the connection, and does not replace it', async () => {
    const page = new Frontend({ host: platform.server_url, publicKey: platform.public_key });
    const made = await page.create('open', 'of-my-choice');
    assert.equal(made.connectionId, 'of-my-choice');
    await assertRefused(page.create('open', 'of-my-choice'), 'missing_hmac');
  });

  test('is refused for what needs credentials', async () => {
    await assertRefused((await frontend()).create('bearer'), 'invalid_auth_mode');
    await assertRefused((await frontend()).create('nowhere'), 'unknown_provider_config');
    await assertRefused(with_('nonsense').create('open'), 'invalid_connect_session_token_format');
  });
});

describe('reconnect', () => {
  test('gives a connection new credentials and leaves the rest', async () => {
    const id = await connectApiKey(platform, 'bearer', 'old', { end_user: { id: 'user-9' } });
    await nango.setMetadata('bearer', id, { plan: 'gold' });
    const { data: session } = await nango.createReconnectSession({
      connection_id: id,
      integration_id: 'bearer',
    });
    assert.match(session.token, /^nango_connect_session_[0-9a-f]{64}$/);
    const credentials = { apiKey: 'new' };
    const made = await with_(session.token).reconnect('bearer', { credentials });
    assert.equal(made.connectionId, id);
    const connection = await stored('bearer', made);
    assert.equal(connection.credentials.apiKey, 'new');
    assert.equal(connection.end_user.id, 'user-9');
    assert.deepEqual(connection.metadata, { plan: 'gold' });
    const other = with_(session.token).reconnect('basic', { credentials: { username: 'x' } });
    await assertRefused(other, 'integration_not_allowed');
  });

  test('is for a connection that there is', async () => {
    const id = await connectApiKey(platform, 'bearer', 'key');
    for (const [change, path] of [
      [{ connection_id: 'nobody' }, ['connection_id']],
      [{ integration_id: 'nowhere' }, ['integration_id']],
      [{ allowed_integrations: ['bearer'] }, ['allowed_integrations']],
      [{ connection_id: 7 }, ['connection_id']],
    ]) {
      const body = { connection_id: id, integration_id: 'bearer', ...change };
      const error = await assertFails(nango.createReconnectSession(body), 400, 'invalid_body');
      assert.deepEqual(onlyField(error).path, path);
    }
  });

  test('of a connection that was deleted meanwhile makes none', async () => {
    const id = await connectApiKey(platform, 'bearer', 'key');
    const body = { connection_id: id, integration_id: 'bearer' };
    const { data: session } = await nango.createReconnectSession(body);
    await nango.deleteConnection('bearer', id);
    const late = with_(session.token).reconnect('bearer', { credentials: { apiKey: 'x' } });
    await assertRefused(late, 'not_found');
    await assertFails(nango.getConnection('bearer', id), 404, 'not_found');
  });

  test('needs a session', () => {
    const page = new Frontend({ host: platform.server_url, publicKey: platform.public_key });
    assert.throws(() => page.reconnect('bearer'), { type: 'missing_connect_session_token' });
  });
});

test('clear forgets a popup, also when there is none', () => {
  const page = with_('nonsense');
  page.clear();
  assert.equal(page.win, null);
});
