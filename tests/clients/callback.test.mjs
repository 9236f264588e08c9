// What the callback page tells the page that opened it, and when it closes.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import * as browsing from './browser.mjs';
import { startPlatform } from './platform.mjs';

let platform, browser, product, context, opener;

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
  opener = await context.newPage();
  // Any page of this origin: it only has to be there.
  await opener.goto(`${product.origin}/#{}`);
});
afterEach(() => context.close());

/**
 * Does by hand what the frontend client does, except for closing the popup,
 * and notes every message that comes. Without a websocket there is no channel.
 */
async function open({ withSocket }) {
  const flow = new URL('/oauth/connect/demo', platform.server_url);
  flow.searchParams.set('connect_session_token', await platform.connectToken());
  const popup = opener.waitForEvent('popup');
  const socketUrl = withSocket ? platform.server_url.replace('http', 'ws') : null;
  await opener.evaluate(start, { flow: flow.href, socketUrl });
  return popup;
}

/** Runs in the page. */
function start({ flow, socketUrl }) {
  window.heard = [];
  window.results = [];
  window.addEventListener('message', ({ origin, data }) => window.heard.push({ origin, data }));
  window.popup = window.open('', '_blank', 'width=500,height=600');
  if (!socketUrl) {
    window.popup.location = flow;
    return;
  }
  new WebSocket(socketUrl).addEventListener('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.message_type !== 'connection_ack') {
      window.results.push(message);
      return;
    }
    window.channel = message.ws_client_id;
    window.popup.location = `${flow}&ws_client_id=${message.ws_client_id}`;
  });
}

/** The first thing that the page's list of this name gets, of one thing only. */
async function only(name) {
  await opener.waitForFunction((list) => window[list].length > 0, name);
  const list = await opener.evaluate((list) => window[list], name);
  assert.equal(list.length, 1, JSON.stringify(list));
  return list[0];
}

test('a success is told to the opener, and the popup closes by itself', async () => {
  const popup = await open({ withSocket: true });
  await browsing.signIn(popup);
  await browsing.decide(popup, 'Allow');
  const result = await only('results');
  assert.equal(result.message_type, 'success');
  assert.equal(result.provider_config_key, 'demo');
  assert.equal(result.is_pending, false);
  assert.deepEqual(await only('heard'), {
    origin: platform.server_url,
    data: { type: 'nango_oauth_callback_success' },
  });
  await browsing.closed(popup);
  await platform.client().getConnection('demo', result.connection_id);
});

test('a failure is told to the opener, and shown until it is acknowledged', async () => {
  const popup = await open({ withSocket: true });
  await browsing.signIn(popup);
  await browsing.decide(popup, 'Deny');
  const result = await only('results');
  assert.equal(result.message_type, 'error');
  assert.equal(result.error_type, 'callback_err');
  const { origin, data } = await only('heard');
  assert.equal(origin, platform.server_url);
  assert.equal(data.type, 'nango_oauth_callback_error');
  assert.deepEqual(data.payload, { message: result.error_desc, errorType: 'callback_err' });

  await popup.getByRole('heading', { name: 'Not connected' }).waitFor();
  const noted = await popup.evaluate(() => window.__nangoOAuthError);
  assert.deepEqual(noted, data.payload);
  await popup.getByText('Details').click();
  await popup.getByText('access_denied').waitFor();
  await opener.evaluate(() => {
    window.popup.postMessage({ type: 'nango_oauth_callback_ack' }, '*');
  });
  await browsing.closed(popup);
});

test('an opener that waits on no websocket is told nothing', async () => {
  const popup = await open({ withSocket: false });
  await browsing.signIn(popup);
  await browsing.decide(popup, 'Allow');
  // It has said what it says before it closes.
  await browsing.closed(popup);
  assert.deepEqual(await opener.evaluate(() => window.heard), []);
});

test('a result channel serves one flow only', async () => {
  const popup = await open({ withSocket: true });
  await popup.getByRole('heading', { name: 'Sign in' }).waitFor();
  const second = new URL('/oauth/connect/demo', platform.server_url);
  second.searchParams.set('connect_session_token', await platform.connectToken());
  const channel = await opener.evaluate(() => window.channel);
  second.searchParams.set('ws_client_id', channel);
  const intruder = await context.newPage();
  const response = await intruder.goto(second.href);
  assert.equal(response.status(), 400);
  await intruder.getByText('Details').click();
  await intruder.getByText('used before').waitFor();

  await browsing.signIn(popup);
  await browsing.decide(popup, 'Allow');
  assert.equal((await only('results')).message_type, 'success');
});
