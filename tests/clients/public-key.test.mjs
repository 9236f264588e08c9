// The older browser flow of the published frontend client: a public key
// instead of a connect session, and a connection id of the product's choice.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import * as browsing from './browser.mjs';
import { startPlatform } from './platform.mjs';

let platform, browser, product, context, page;

before(async () => {
  [platform, browser, product] = await Promise.all([
    startPlatform(),
    browsing.launchBrowser(),
    browsing.serveProduct(),
  ]);
  await platform.createDemoIntegration('demo');
});
after(async () => {
  await browser?.close();
  await product?.close();
  await platform?.stop();
});
beforeEach(async () => {
  context = await browsing.newContext(browser);
  page = await context.newPage();
  await page.goto(`${product.origin}/#{}`);
});
afterEach(() => context.close());

/** Gives the page a button that connects, and clicks it. */
async function connect(publicKey, connectionId, options) {
  const call = { host: platform.server_url, publicKey, connectionId, options };
  await page.evaluate(async ({ connectionId, options, ...config }) => {
    const { default: Nango } = await import('/index.js');
    const button = document.createElement('button');
    button.textContent = 'Connect with a public key';
    button.addEventListener('click', () => {
      window.outcome = new Nango(config).auth('demo', connectionId, options).then(
        (resolved) => ({ resolved }),
        ({ type, message }) => ({ rejected: { type, message } }),
      );
    });
    document.body.append(button);
  }, call);
  const popup = page.waitForEvent('popup');
  await page.getByRole('button', { name: 'Connect with a public key' }).last().click();
  return popup;
}

const outcome = () => page.evaluate(() => window.outcome);

test('a connection is made under the id that the product chose, and not replaced', async () => {
  const popup = await connect(platform.public_key, 'user-1');
  await browsing.signIn(popup);
  await browsing.decide(popup, 'Allow');
  const { resolved } = await outcome();
  assert.equal(resolved.providerConfigKey, 'demo');
  assert.equal(resolved.connectionId, 'user-1');
  const stored = await platform.client().getConnection('demo', 'user-1');

  await connect(platform.public_key, 'user-1');
  const { rejected } = await outcome();
  assert.equal(rejected.type, 'missing_hmac');
  assert.match(rejected.message, /user-1/);
  const after = await platform.client().getConnection('demo', 'user-1');
  assert.equal(after.credentials.access_token, stored.credentials.access_token);
});

test('an HMAC that is wrong is refused', async () => {
  await connect(platform.public_key, 'user-2', { hmac: '00' });
  assert.equal((await outcome()).rejected.type, 'invalid_hmac');
});

test('a key that no environment has is refused', async () => {
  await connect('00000000-0000-4000-8000-000000000000', 'user-3');
  assert.equal((await outcome()).rejected.type, 'account_or_environment_retrieval_err');
});
