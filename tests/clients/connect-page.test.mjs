// Credentials that a person types in: by the frontend client from a product's
// own page, and on the server's connect page, which does popups as well.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import * as browsing from './browser.mjs';
import { startPlatform } from './platform.mjs';

let platform, nango, browser, product, context;

before(async () => {
  [platform, browser, product] = await Promise.all([
    startPlatform(),
    browsing.launchBrowser(),
    browsing.serveProduct(),
  ]);
  nango = platform.client();
  await platform.createDemoIntegration('demo');
  await nango.createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
});
after(async () => {
  await browser?.close();
  await product?.close();
  await platform?.stop();
});
beforeEach(async () => {
  context = await browsing.newContext(browser);
});
afterEach(() => context.close());

/** Who the demo's key API says that a connection is. */
async function keyOwner(connectionId) {
  const answer = await nango.get({
    providerConfigKey: 'bearer',
    connectionId,
    baseUrlOverride: platform.demo_url,
    endpoint: '/key-api/me',
  });
  return answer.data.login;
}

describe('the frontend client', () => {
  const bearer = async (options, more = {}) =>
    browsing.ProductPage.open(context, product, {
      host: platform.server_url,
      connectSessionToken: await platform.connectToken(),
      integration: 'bearer',
      options,
      ...more,
    });

  test('connects an API key from another origin, without a popup', async () => {
    const page = await bearer({ credentials: { apiKey: 'demo-api-key' } });
    await page.click();
    const { resolved, rejected } = await page.outcome();
    assert.equal(rejected, undefined);
    assert.equal(resolved.providerConfigKey, 'bearer');
    assert.equal(context.pages().length, 1);
    assert.equal(await keyOwner(resolved.connectionId), 'demo');
  });

  test('passes the reason on when a key is refused', async () => {
    const connectSessionToken = `nango_connect_session_${'0'.repeat(64)}`;
    const credentials = { apiKey: 'demo-api-key' };
    const page = await bearer({ credentials }, { connectSessionToken });
    await page.click();
    const { rejected } = await page.outcome();
    assert.equal(rejected.isAuthError, true);
    assert.equal(rejected.type, 'unknown_connect_session_token');
  });
});

describe('the connect page', () => {
  const open = async (session = {}) => {
    const { data } = await nango.createConnectSession({ end_user: { id: 'user-1' }, ...session });
    const page = await context.newPage();
    // A violation of the page's own policy is an error on the console.
    page.on('console', (message) => {
      if (message.type() === 'error') page.consoleErrors = message.text();
    });
    await page.goto(data.connect_link);
    return page;
  };
  const entry = (page, name) => page.getByRole('listitem').filter({ hasText: name });
  const connectedId = async (item) => {
    const text = await item.getByText(/^Connected\./).textContent();
    return /[0-9a-f-]{36}/.exec(text)[0];
  };

  test('connects an account by popup', async () => {
    const page = await open();
    const demo = entry(page, 'Demo');
    const popup = page.waitForEvent('popup');
    await demo.getByRole('button', { name: 'Connect' }).click();
    await browsing.signIn(await popup);
    await browsing.decide(await popup, 'Allow');
    const connectionId = await connectedId(demo);
    await browsing.closed(await popup);
    const connection = await nango.getConnection('demo', connectionId);
    assert.equal(connection.end_user.id, 'user-1');
    assert.equal(page.consoleErrors, undefined);
  });

  test('says that the popup was refused or closed, and lets the person try again', async () => {
    const page = await open();
    const demo = entry(page, 'Demo');
    const connect = demo.getByRole('button', { name: 'Connect' });
    for (const [end, said] of [
      [(popup) => browsing.decide(popup, 'Deny'), /access_denied/],
      [(popup) => popup.close(), /closed before/],
    ]) {
      const popup = page.waitForEvent('popup');
      await connect.click();
      await browsing.signIn(await popup);
      await end(await popup);
      await demo.getByText(said).waitFor();
      await connect.and(page.locator(':enabled')).waitFor();
    }
  });

  test('connects an API key by its form', async () => {
    const page = await open();
    const bearer = entry(page, 'Private API');
    await bearer.getByRole('button', { name: 'Connect' }).click();
    const key = bearer.getByLabel('API key');
    await key.fill('demo-api-key');
    assert.equal(await key.getAttribute('type'), 'password');
    await bearer.getByRole('button', { name: 'Save' }).click();
    const connectionId = await connectedId(bearer);
    assert.equal(await keyOwner(connectionId), 'demo');
    assert.equal(page.consoleErrors, undefined);
  });

  test('shows only what the session allows', async () => {
    const page = await open({ allowed_integrations: ['bearer'] });
    await entry(page, 'Private API').waitFor();
    assert.equal(await page.getByRole('listitem').count(), 1);
  });

  test('says what is wrong with its link', async () => {
    const page = await context.newPage();
    await page.goto(`${platform.server_url}/connect`);
    await page.getByText('This link is incomplete').waitFor();
    await page.goto(`${platform.server_url}/connect#session_token=nonsense`);
    // Only the fragment differs, which alone loads nothing.
    await page.reload();
    await page.getByText(/token is `nango_connect_session_`/).waitFor();
  });
});
