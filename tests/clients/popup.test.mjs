// The ways in which a popup ends without a connection, as the published
// frontend client reports them.

import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, describe, test } from 'node:test';
import * as browsing from './browser.mjs';
import { query } from './database.mjs';
import { startPlatform } from './platform.mjs';
import { serveProviders } from './provider.mjs';

let platform, browser, product, providers, context;

before(async () => {
  [platform, browser, product, providers] = await Promise.all([
    startPlatform(),
    browsing.launchBrowser(),
    browsing.serveProduct(),
    serveProviders(),
  ]);
  await platform.createDemoIntegration('demo');
  await platform.createDemoIntegration('other');
  for (const way of ['coop', 'down', 'refusing', 'pages']) {
    const integration_config = { baseUrl: `${providers.origin}/${way}` };
    await platform.createDemoIntegration(way, { integration_config });
  }
  await platform.client().createIntegration({
    unique_key: 'clientless',
    provider: 'demo',
    integration_config: { baseUrl: platform.demo_url },
  });
});
after(async () => {
  await browser?.close();
  await product?.close();
  await providers?.close();
  await platform?.stop();
});
beforeEach(async () => {
  context = await browsing.newContext(browser);
});
afterEach(() => context.close());

/** Opens the product's page; `more` overrides what its button does. */
async function productPage(more = {}) {
  const connectSessionToken = more.connectSessionToken ?? (await platform.connectToken());
  return browsing.ProductPage.open(context, product, {
    host: platform.server_url,
    integration: 'demo',
    ...more,
    connectSessionToken,
  });
}

async function connectionCount() {
  return (await platform.client().listConnections()).connections.length;
}

/** The client's promise must be rejected with its own error class. */
async function assertRejected(page, type, message) {
  const { rejected, resolved } = await page.outcome();
  assert.equal(resolved, undefined);
  assert.equal(rejected.type, type);
  assert.match(rejected.message, message);
  assert.equal(rejected.isAuthError, true);
}

describe('the person', () => {
  test('denies the consent', async () => {
    const page = await productPage();
    const popup = await page.clickForPopup();
    await browsing.signIn(popup);
    await browsing.decide(popup, 'Deny');
    await assertRejected(page, 'callback_err', /access_denied/);
    await browsing.closed(popup);
    assert.equal(await connectionCount(), 0);
  });

  test('mistypes the password, then signs in', async () => {
    const page = await productPage();
    const popup = await page.clickForPopup();
    await popup.getByLabel('Name').fill('demo');
    await popup.getByLabel('Password').fill('wrong');
    await popup.getByRole('button', { name: 'Sign in' }).click();
    await popup.getByRole('alert').waitFor();
    await browsing.signIn(popup);
    await browsing.decide(popup, 'Allow');
    const { resolved } = await page.outcome();
    await platform.client().deleteConnection('demo', resolved.connectionId);
  });

  test('closes the popup', async () => {
    const page = await productPage({ options: { detectClosedAuthWindow: true } });
    const popup = await page.clickForPopup();
    await popup.getByRole('heading', { name: 'Sign in' }).waitFor();
    await popup.close();
    await assertRejected(page, 'window_closed', /closed/);
  });

  test('lost the cookie that the flow began with', async () => {
    const page = await productPage();
    const popup = await page.clickForPopup();
    await browsing.signIn(popup);
    await context.clearCookies();
    await browsing.decide(popup, 'Allow');
    await assertRejected(page, 'state_cookie_err', /another browser/);
    assert.equal(await connectionCount(), 0);
  });
});

describe('the provider', () => {
  test('shows an error page of its own, which the person closes', async () => {
    const options = { detectClosedAuthWindow: true };
    const page = await productPage({ integration: 'down', options });
    const popup = await page.clickForPopup();
    await popup.getByRole('heading', { name: 'Something went wrong' }).waitFor();
    await popup.close();
    await assertRejected(page, 'window_closed', /closed/);
    assert.equal(await connectionCount(), 0);
  });

  test('comes back with an error', async () => {
    const page = await productPage({ integration: 'refusing' });
    await page.clickForPopup();
    await assertRejected(page, 'callback_err', /server_error.*Try <b>later<\/b>/);
    assert.equal(await connectionCount(), 0);
  });

  test('answers with a page where tokens should be', async () => {
    const page = await productPage({ integration: 'pages' });
    await page.clickForPopup();
    await assertRejected(page, 'token_err', /status 502/);
    assert.equal(await connectionCount(), 0);
  });

  test('cuts its window off from the page, which is told all the same', async () => {
    const page = await productPage({ integration: 'coop' });
    const popup = await page.clickForPopup();
    await popup.getByRole('link', { name: 'Continue' }).click({ noWaitAfter: true });
    const { resolved } = await page.outcome();
    await platform.client().deleteConnection('coop', resolved.connectionId);
  });
});

describe('the browser', () => {
  test('blocks a window that no click opened', async () => {
    await context.addInitScript(() => {
      window.addEventListener('load', () => document.querySelector('button').click());
    });
    const page = await productPage();
    await assertRejected(page, 'blocked_by_browser', /blocked/);
    assert.equal(context.pages().length, 1);
    assert.equal(await connectionCount(), 0);
  });
});

describe('the product', () => {
  test('brings an OAuth client of its own, for an integration that has none', async () => {
    const without = await productPage({ integration: 'clientless' });
    await without.clickForPopup();
    await assertRejected(without, 'provider_config_err', /clientless/);
    const connection_config = {
      oauth_client_id_override: 'demo-client',
      oauth_client_secret_override: 'demo-secret',
    };
    const connectSessionToken = await platform.connectToken({
      integrations_config_defaults: { clientless: { connection_config } },
    });
    const page = await productPage({ integration: 'clientless', connectSessionToken });
    const popup = await page.clickForPopup();
    await browsing.signIn(popup);
    await browsing.decide(popup, 'Allow');
    const { resolved } = await page.outcome();
    await platform.client().deleteConnection('clientless', resolved.connectionId);
  });

  test('names an integration that does not exist', async () => {
    const page = await productPage({ integration: 'nowhere' });
    await page.clickForPopup();
    await assertRejected(page, 'unknown_config_key', /nowhere/);
  });

  test('names an integration that the session does not allow', async () => {
    const connectSessionToken = await platform.connectToken({ allowed_integrations: ['other'] });
    const page = await productPage({ connectSessionToken });
    await page.clickForPopup();
    await assertRejected(page, 'account_or_environment_retrieval_err', /demo/);
  });

  test('uses a token of the wrong form', async () => {
    const page = await productPage({ connectSessionToken: 'nonsense' });
    await page.clickForPopup();
    await assertRejected(page, 'account_or_environment_retrieval_err', /nango_connect_session_/);
  });

  test('uses a token that nobody issued', async () => {
    const connectSessionToken = `nango_connect_session_${'0'.repeat(64)}`;
    const page = await productPage({ connectSessionToken });
    await page.clickForPopup();
    await assertRejected(page, 'account_or_environment_retrieval_err', /does not exist/);
  });

  test('uses a token that has expired', async () => {
    const connectSessionToken = await platform.connectToken();
    await query(
      platform.database_url,
      "UPDATE connect_sessions SET expires_at = now() - interval '1 second'",
    );
    const page = await productPage({ connectSessionToken });
    await page.clickForPopup();
    await assertRejected(page, 'account_or_environment_retrieval_err', /expired/);
  });
});

test('a callback URL works once, and its page says so', async () => {
  const page = await productPage();
  const popup = await page.clickForPopup();
  const callback = context.waitForEvent('request', (request) =>
    request.url().startsWith(`${platform.server_url}/oauth/callback?`),
  );
  await browsing.signIn(popup);
  await browsing.decide(popup, 'Allow');
  const { resolved } = await page.outcome();
  const url = (await callback).url();

  const again = await context.newPage();
  const response = await again.goto(url);
  assert.equal(response.status(), 400);
  assert.equal(await again.title(), 'Authorization callback');
  await again.getByRole('heading', { name: 'Not connected' }).waitFor();
  await again.getByText('Details').click();
  await again.getByText('state_err').waitFor();
  await again.getByText('finished before').waitFor();
  assert.equal(await connectionCount(), 1);
  await platform.client().deleteConnection('demo', resolved.connectionId);
});
