// The whole way with the published clients: create an integration, connect an
// account in the browser, read its credentials, call its API.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as browsing from './browser.mjs';
import { startPlatform } from './platform.mjs';

let platform, browser, product;

before(async () => {
  [platform, browser, product] = await Promise.all([
    startPlatform(),
    browsing.launchBrowser(),
    browsing.serveProduct(),
  ]);
});
after(async () => {
  await browser?.close();
  await product?.close();
  await platform?.stop();
});

const endUser = { id: 'user-7', email: 'user-7@example.com', display_name: 'User Seven' };
const organization = { id: 'org-1', display_name: 'Organisation One' };

async function connectInBrowser() {
  const { data: session } = await platform.client().createConnectSession({
    end_user: endUser,
    organization,
    allowed_integrations: ['demo'],
    tags: { plan: 'gold' },
  });
  assert.match(session.token, /^nango_connect_session_[0-9a-f]{64}$/);
  assert.ok(new Date(session.expires_at) > new Date());

  const context = await browsing.newContext(browser);
  const page = await browsing.ProductPage.open(context, product, {
    host: platform.server_url,
    connectSessionToken: session.token,
    integration: 'demo',
  });
  const popup = await page.clickForPopup();
  await browsing.signIn(popup);
  await browsing.decide(popup, 'Allow');
  const { resolved, rejected } = await page.outcome();
  assert.equal(rejected, undefined);
  await browsing.closed(popup);
  await context.close();
  return resolved;
}

test('create an integration, connect an account, call its API', async (t) => {
  const nango = platform.client();
  const created = await platform.createDemoIntegration('demo');
  assert.equal(created.unique_key, 'demo');
  assert.equal(created.provider, 'demo');

  const result = await connectInBrowser();
  assert.equal(result.providerConfigKey, 'demo');
  assert.match(result.connectionId, /^[0-9a-f-]{36}$/);
  assert.equal(result.isPending, false);
  const { connectionId } = result;

  await t.test('the connection is listed with who made it', async () => {
    const { connections } = await nango.listConnections();
    assert.equal(connections.length, 1);
    const [listed] = connections;
    assert.equal(listed.connection_id, connectionId);
    assert.equal(listed.provider_config_key, 'demo');
    assert.equal(listed.provider, 'demo');
    assert.deepEqual(listed.errors, []);
    assert.deepEqual(listed.end_user, { ...endUser, tags: {}, organization });
    assert.equal(listed.tags.plan, 'gold');
    assert.equal('credentials' in listed, false);
  });

  await t.test('its access token opens the API', async () => {
    const connection = await nango.getConnection('demo', connectionId);
    assert.equal(connection.connection_id, connectionId);
    assert.equal(connection.end_user.id, 'user-7');
    const { credentials } = connection;
    assert.equal(credentials.type, 'OAUTH2');
    assert.ok(new Date(credentials.expires_at) > new Date());
    assert.equal(credentials.raw.access_token, credentials.access_token);
    assert.equal(credentials.raw.token_type.toLowerCase(), 'bearer');

    const direct = await fetch(new URL('/api/me', platform.demo_url), {
      headers: { authorization: `Bearer ${credentials.access_token}` },
    });
    assert.equal(direct.status, 200);
    assert.equal((await direct.json()).login, 'demo');

    assert.equal(await nango.getToken('demo', connectionId), credentials.access_token);
    assert.deepEqual(await nango.getRawTokenResponse('demo', connectionId), credentials.raw);
  });

  await t.test('a forced refresh gives another token that works', async () => {
    const before = await nango.getToken('demo', connectionId);
    const after = await nango.getToken('demo', connectionId, true);
    assert.notEqual(after, before);
    assert.equal(await nango.getToken('demo', connectionId), after);
    const me = await nango.get({ endpoint: '/api/me', providerConfigKey: 'demo', connectionId });
    assert.equal(me.data.login, 'demo');
  });

  await t.test('the API answers through the proxy as it does directly', async () => {
    const call = { providerConfigKey: 'demo', connectionId };
    const page = await nango.get({ ...call, endpoint: '/api/items', params: { per_page: 3 } });
    assert.equal(page.status, 200);
    assert.deepEqual(page.data.map((item) => item.id), [1, 2, 3]);
    assert.match(page.headers.link, /page=2&per_page=3>; rel="next"/);

    const added = await nango.post({ ...call, endpoint: '/api/items', data: { name: 'New' } });
    assert.equal(added.status, 201);
    assert.equal(added.data.name, 'New');
    const again = await nango.get({ ...call, endpoint: `/api/items/${added.data.id}` });
    assert.deepEqual(again.data, added.data);
  });

  await t.test('a deleted connection is gone', async () => {
    const deleted = await nango.deleteConnection('demo', connectionId);
    assert.equal(deleted.status, 200);
    assert.deepEqual(deleted.data, { success: true });
    await assert.rejects(nango.getConnection('demo', connectionId), (error) => {
      assert.equal(error.response.status, 404);
      assert.equal(error.response.data.error.code, 'not_found');
      return true;
    });
    const { connections } = await nango.listConnections();
    assert.deepEqual(connections, []);
  });
});
