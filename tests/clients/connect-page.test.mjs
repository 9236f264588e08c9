// Credentials that a person types in: by the frontend client from a product's
// own page, and on the server's connect page, which does popups as well.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import * as browsing from './browser.mjs';
import { startPlatform } from './platform.mjs';
import { serveProviders } from './provider.mjs';
import { importConnection } from './sessions.mjs';
import { integrateAll, writeTemplates } from './templates.mjs';

let platform, nango, browser, product, providers, templates, context;

before(async () => {
  templates = await writeTemplates();
  [platform, browser, product, providers] = await Promise.all([
    startPlatform(templates.environment),
    browsing.launchBrowser(),
    browsing.serveProduct(),
    serveProviders(),
  ]);
  nango = platform.client();
  await platform.createDemoIntegration('demo');
  await nango.createIntegration({ unique_key: 'bearer', provider: 'private-api-bearer' });
  await integrateAll(platform, providers);
  for (const way of ['coop', 'pages']) {
    const integration_config = { baseUrl: `${providers.origin}/${way}` };
    await platform.createDemoIntegration(way, { integration_config, display_name: `Odd ${way}` });
  }
});
after(async () => {
  await browser?.close();
  await product?.close();
  await providers?.close();
  await platform?.stop();
  await templates?.remove();
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
  /** An entry with its form opened. */
  const opened = async (page, name) => {
    const item = entry(page, name);
    await item.getByRole('button', { name: 'Connect' }).click();
    await item.getByRole('button', { name: 'Cancel' }).waitFor();
    return item;
  };
  const submit = (item) => item.getByRole('button', { name: 'Connect' }).click();
  /** What an input is described by, to those who cannot see the page. */
  const description = (input) =>
    input.evaluate((element) => {
      const ids = element.getAttribute('aria-describedby').split(' ');
      const texts = ids.map((id) => document.getElementById(id).textContent);
      return texts.filter(Boolean).join(' ');
    });
  const connectedId = async (item, id = /[0-9a-f-]{36}/) => {
    const text = await item.getByText(/^Connected\./).textContent();
    return id.exec(text)[0];
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
    const bearer = await opened(page, 'Private API');
    const key = bearer.getByLabel('API key');
    await key.fill('demo-api-key');
    assert.equal(await key.getAttribute('type'), 'password');
    await submit(bearer);
    const connectionId = await connectedId(bearer);
    assert.equal(await keyOwner(connectionId), 'demo');
    assert.equal(page.consoleErrors, undefined);
  });

  test('asks for the fields of a template and says what each is', async () => {
    const page = await open({ allowed_integrations: ['shop'] });
    const shop = entry(page, 'Shop');
    // The only one there is: its form is open.
    const subdomain = shop.getByLabel('Subdomain');
    await subdomain.and(page.locator(':focus')).waitFor();
    const labels = await shop.locator('label:visible').allTextContents();
    const expected = ['Subdomain', 'Region', 'App Key (optional)', 'Code (optional)', 'Version (optional)', 'API Key'];
    assert.deepEqual(labels, expected);
    assert.equal(
      await description(subdomain),
      "https:// .shop.example The part of the shop's address that is yours.",
    );
    assert.equal(await subdomain.getAttribute('placeholder'), 'acme');
    assert.equal(await shop.getByLabel('Version').inputValue(), 'v2');
    for (const secret of ['App Key', 'API Key']) {
      assert.equal(await shop.getByLabel(secret).getAttribute('type'), 'password', secret);
    }
    const region = shop.getByLabel('Region');
    assert.deepEqual(await region.locator('option').allTextContents(), ['Choose…', 'eu', 'us']);
    assert.equal(await shop.getByLabel('State').isVisible(), false);
    await region.selectOption('us');
    assert.equal(await shop.getByLabel('State').isVisible(), true);
    assert.equal(page.consoleErrors, undefined);
  });

  test('says at each field what is wrong, before the server and after', async () => {
    const page = await open({ allowed_integrations: ['shop'] });
    const shop = entry(page, 'Shop');
    await submit(shop);
    for (const said of ['Subdomain is required.', 'Region is required.', 'API Key is required.']) {
      await shop.getByText(said).waitFor();
    }
    const subdomain = shop.getByLabel('Subdomain');
    await subdomain.and(page.locator(':focus')).waitFor();
    assert.equal(await subdomain.getAttribute('aria-invalid'), 'true');
    assert.match(await description(subdomain), /Subdomain is required\.$/);
    await subdomain.fill('Acme');
    assert.equal(await subdomain.getAttribute('aria-invalid'), 'false');
    await shop.getByLabel('Region').selectOption('eu');
    await shop.getByLabel('API Key').fill('wrong');
    await submit(shop);
    const form = 'Subdomain does not have the expected form (for example acme).';
    await shop.getByText(form).waitFor();
    await subdomain.fill(' acme ');
    // A pattern that only the server can read.
    await shop.getByLabel('Code').fill('y');
    await submit(shop);
    await shop.getByText('Code does not have the expected form').waitFor();
    await shop.getByLabel('Code').and(page.locator(':focus')).waitFor();
    await shop.getByLabel('Code').fill('X');
    await submit(shop);
    await shop.getByText(/^Not connected\..*status 401.*Check what you entered/).waitFor();
    assert.equal(await subdomain.inputValue(), ' acme ', 'nothing is to be entered twice');
    const before = await nango.listConnections({ integrationId: 'shop' });
    assert.equal(before.connections.length, 0);

    await shop.getByLabel('App Key').fill('app-1');
    await shop.getByLabel('API Key').fill('demo-api-key');
    await submit(shop);
    const connection = await nango.getConnection('shop', await connectedId(shop));
    const config = { subdomain: 'acme', region: 'eu', code: 'X', version: 'v2', appKey: 'app-1' };
    assert.deepEqual(connection.connection_config, config);
    assert.equal(await shop.getByLabel('API Key').inputValue(), '', 'a secret does not stay');
  });

  test('connects a name and a password, of which one may be empty', async () => {
    const page = await open();
    const desk = await opened(page, 'Desk');
    await submit(desk);
    await desk.getByText('Username or Password is required.').waitFor();
    await desk.getByLabel('Username').fill('ann');
    await submit(desk);
    await desk.getByText(/status 401/).waitFor();
    await desk.getByLabel('Password').fill('right');
    await submit(desk);
    const connection = await nango.getConnection('desk', await connectedId(desk));
    assert.deepEqual(connection.credentials, { type: 'BASIC', username: 'ann', password: 'right' });
  });

  test('connects what needs no credentials with one click', async () => {
    const page = await open();
    const none = entry(page, 'Unauthenticated');
    await none.getByRole('button', { name: 'Connect' }).click();
    await nango.getConnection('unauthenticated', await connectedId(none));
  });

  test('asks for what a flow needs before its window opens', async () => {
    const page = await open();
    const tenant = await opened(page, 'Tenant');
    await tenant.getByRole('textbox', { name: 'Tenant' }).fill('not a host');
    await submit(tenant);
    await tenant.getByText('Tenant must be a host name.').waitFor();
    await tenant.getByRole('textbox', { name: 'Tenant' }).fill('acme.example');
    const popup = page.waitForEvent('popup');
    await submit(tenant);
    await browsing.signIn(await popup);
    await browsing.decide(await popup, 'Allow');
    const connection = await nango.getConnection('tenant', await connectedId(tenant));
    assert.equal(connection.connection_config.tenant, 'acme.example');
  });

  test('does not ask for what the session says', async () => {
    const connection_config = { subdomain: 'preset', region: 'eu', appKey: 'hidden-from-browsers' };
    const page = await open({
      allowed_integrations: ['shop'],
      integrations_config_defaults: { shop: { connection_config } },
    });
    const shop = entry(page, 'Shop');
    await shop.getByLabel('API Key').fill('demo-api-key');
    assert.equal(await shop.getByLabel('Subdomain').count(), 0);
    assert.equal(await shop.getByLabel('App Key').count(), 0);
    const view = page.waitForResponse((response) => response.url().endsWith('/connect/session'));
    await page.reload();
    assert.doesNotMatch(await (await view).text(), /hidden-from-browsers/);
    await shop.getByLabel('API Key').fill('demo-api-key');
    await submit(shop);
    const connection = await nango.getConnection('shop', await connectedId(shop));
    assert.deepEqual(connection.connection_config, { ...connection_config, version: 'v2' });
  });

  test('lets a reconnected connection keep what it has', async () => {
    const imported = {
      provider_config_key: 'shop',
      connection_id: 'kept',
      connection_config: { subdomain: 'kept', region: 'eu', appKey: 'app-1' },
      credentials: { type: 'API_KEY', apiKey: 'demo-api-key' },
    };
    await importConnection(platform, imported);
    const { data } = await nango.createReconnectSession({ connection_id: 'kept', integration_id: 'shop' });
    const page = await context.newPage();
    await page.goto(data.connect_link);
    const shop = entry(page, 'Shop');
    await shop.getByLabel('API Key').fill('demo-api-key');
    assert.match(await description(shop.getByLabel('Subdomain')), /Leave it empty/);
    await submit(shop);
    assert.equal(await connectedId(shop, /kept/), 'kept');
    const connection = await nango.getConnection('shop', 'kept');
    assert.equal(connection.connection_config.subdomain, 'kept');
    assert.equal(connection.connection_config.appKey, 'app-1');
  });

  test('works by keyboard alone', async () => {
    const page = await open();
    const bearer = entry(page, 'Private API');
    await bearer.getByRole('button', { name: 'Connect' }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.type('demo-api-key');
    await page.keyboard.press('Enter');
    await connectedId(bearer);
  });

  test('says that the browser blocked the window', async () => {
    await context.addInitScript(() => {
      window.open = () => null;
    });
    const page = await open();
    const demo = entry(page, 'Demo');
    await demo.getByRole('button', { name: 'Connect' }).click();
    await demo.getByText('The browser blocked the window').waitFor();
    await demo.getByRole('button', { name: 'Connect' }).and(page.locator(':enabled')).waitFor();
  });

  test('hears of a window that its provider cut off', async () => {
    const page = await open();
    const odd = entry(page, 'Odd coop');
    const popup = page.waitForEvent('popup');
    await odd.getByRole('button', { name: 'Connect' }).click();
    // Cut off, a window looks closed from here.
    await odd.getByText('If it is still open, go on there.').waitFor();
    await (await popup).getByRole('link', { name: 'Continue' }).click({ noWaitAfter: true });
    await connectedId(odd);
  });

  test('tells what a provider said instead of tokens', async () => {
    const page = await open();
    const odd = entry(page, 'Odd pages');
    await odd.getByRole('button', { name: 'Connect' }).click();
    await odd.getByText(/^Not connected\..*status 502/).waitFor();
  });

  test('fits a narrow window', async () => {
    const page = await open();
    await page.setViewportSize({ width: 320, height: 640 });
    await opened(page, 'Shop');
    const overflow = () => document.documentElement.scrollWidth - window.innerWidth;
    assert.ok((await page.evaluate(overflow)) <= 0, 'nothing sticks out');
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
