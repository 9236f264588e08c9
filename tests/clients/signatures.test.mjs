// The Node client's checks of what is sent to the product. They call nobody:
// these tests hold the signatures that we make against them.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { Nango } from '@nangohq/node';

const KEY = 'the-signing-key';
const HEADER = 'X-Nango-Hmac-Sha256';
const body = JSON.stringify({ from: 'nango', type: 'auth', connectionId: 'c1', name: 'ü' });
const nango = new Nango({ host: 'http://127.0.0.1:9', apiKey: 'x', webhookSigningKey: KEY });

test('an HMAC-SHA256 of the body is taken, and nothing else', () => {
  const right = createHmac('sha256', KEY).update(body).digest('hex');
  assert.equal(nango.verifyIncomingWebhookRequest(body, { [HEADER]: right }), true);
  assert.equal(nango.verifyIncomingWebhookRequest(body, { [HEADER.toLowerCase()]: right }), true);
  const other = createHmac('sha256', 'another').update(body).digest('hex');
  for (const wrong of [other, right.slice(2), '', 'zz', [right], undefined]) {
    assert.equal(nango.verifyIncomingWebhookRequest(body, { [HEADER]: wrong }), false);
  }
  assert.equal(nango.verifyIncomingWebhookRequest(`${body} `, { [HEADER]: right }), false);
  assert.equal(nango.verifyIncomingWebhookRequest(body, {}), false);
  const keyless = new Nango({ host: 'http://127.0.0.1:9', apiKey: 'x' });
  assert.equal(keyless.verifyIncomingWebhookRequest(body, { [HEADER]: right }), false);
});

test('the older signature is a SHA-256 over the key and the body', () => {
  const payload = JSON.parse(body);
  const right = createHash('sha256').update(KEY + body).digest('hex');
  assert.equal(nango.verifyWebhookSignature(right, payload), true);
  assert.equal(nango.verifyWebhookSignature(right, { ...payload, connectionId: 'c2' }), false);
});
