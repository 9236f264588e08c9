// The popups of the auth modes that send the browser away, opened in Chromium by the
// published frontend client: the person agrees, and the connection is there.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as browsing from './browser.mjs';
import { startPlatform } from './platform.mjs';
import { integrateRedirecting, redirectingTemplates, serveRedirecting } from './redirecting.mjs';
import { writeTemplates } from './templates.mjs';

let platform, provider, templates, browser, product, context;

before(async () => {
  provider = await serveRedirecting();
  templates = await writeTemplates(redirectingTemplates(provider));
  [platform, browser, product] = await Promise.all([
    startPlatform(templates.environment),
    browsing.launchBrowser(),
    browsing.serveProduct(),
  ]);
  await integrateRedirecting(platform, provider);
  context = await browsing.newContext(browser);
});
after(async () => {
  await browser?.close();
  await product?.close();
  await platform?.stop();
  await templates?.remove();
  await provider?.close();
});

/** What the node client shows of each connection. */
const SHOWN = {
  'away-oauth1': ({ credentials }) => {
    assert.equal(credentials.type, 'OAUTH1');
    assert.equal(credentials.oauth_token, 'oauth1-token');
    assert.equal(credentials.oauth_token_secret, 'oauth1 secret');
  },
  'away-app': ({ credentials, connection_config }) => {
    assert.equal(credentials.type, 'APP');
    assert.equal(credentials.access_token, 'app-token');
    assert.equal(connection_config.installation_id, '77');
  },
  'away-custom': ({ credentials }) => {
    assert.equal(credentials.type, 'CUSTOM');
    assert.equal(credentials.app.access_token, 'app-token');
    assert.equal(credentials.user.access_token, 'person-token');
  },
  'away-plugin': ({ credentials, connection_config }) => {
    assert.equal(credentials.type, 'BASIC');
    assert.equal(credentials.username, 'plugin-1');
    assert.deepEqual(connection_config, { website_id: 'w-1' });
  },
  'away-mcp': ({ credentials }) => assert.equal(credentials.access_token, 'mcp-token'),
  'away-generic': ({ credentials }) => assert.equal(credentials.access_token, 'mcp-token'),
};

for (const [integration, check] of Object.entries(SHOWN)) {
  test(`a popup of ${integration} connects`, async () => {
    const options = integration === 'away-generic' ? { params: { mcp_server_url: `${provider.origin}/mcp` } } : {};
    const page = await browsing.ProductPage.open(context, product, {
      host: platform.server_url,
      integration,
      options,
      connectSessionToken: await platform.connectToken(),
    });
    const popup = await page.clickForPopup();
    await popup.getByRole('link', { name: 'Allow' }).click({ noWaitAfter: true });
    const { resolved, rejected } = await page.outcome();
    assert.equal(rejected, undefined, JSON.stringify({ rejected, refused: provider.refused }));
    assert.equal(resolved.providerConfigKey, integration);
    await browsing.closed(popup);
    check(await platform.client().getConnection(integration, resolved.connectionId));
    assert.deepEqual(provider.refused, []);
  });
}
