// Connecting as a browser does, without one: for tests of what comes after.

import assert from 'node:assert/strict';

/** Posts an API key for an integration; the answer as fetch gives it. */
export async function postApiKey(platform, integration, body, token) {
  const url = new URL(`/api-auth/api-key/${integration}`, platform.server_url);
  url.searchParams.set('connect_session_token', token ?? (await platform.connectToken()));
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** Connects an API key and gives the connection's id. */
export async function connectApiKey(platform, integration, apiKey, session = {}) {
  const token = await platform.connectToken(session);
  const response = await postApiKey(platform, integration, { apiKey }, token);
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  assert.equal(answer.providerConfigKey, integration);
  return answer.connectionId;
}

/**
 * Walks an OAuth 2.0 flow by following its redirects and sending its forms,
 * and gives the id of the integration's newest connection.
 */
export async function connectOAuth(platform, integration, token) {
  const start = new URL(`/oauth/connect/${integration}`, platform.server_url);
  start.searchParams.set('connect_session_token', token ?? (await platform.connectToken()));
  const begun = await fetch(start, { redirect: 'manual' });
  assert.equal(begun.status, 302);
  const cookie = begun.headers.getSetCookie().map((set) => set.split(';')[0]).join('; ');

  const login = await fetch(begun.headers.get('location'));
  const consent = await send(platform, '/oauth/login', login, { login: 'demo', password: 'demo' });
  const allowed = await send(platform, '/oauth/consent', consent, { decision: 'allow' });
  assert.equal(allowed.status, 303);
  const done = await fetch(allowed.headers.get('location'), { headers: { cookie } });
  assert.equal(done.status, 200);
  const { connections } = await platform.client().listConnections({ integrationId: integration });
  return connections[0].connection_id;
}

async function send(platform, path, page, fields) {
  const [, ticket] = /name="ticket" value="([^"]+)"/.exec(await page.text());
  return fetch(new URL(path, platform.demo_url), {
    method: 'POST',
    body: new URLSearchParams({ ticket, ...fields }),
    redirect: 'manual',
  });
}

/** Imports a connection, which the published clients have no method for. */
export async function importConnection(platform, body) {
  const response = await fetch(new URL('/connections', platform.server_url), {
    method: 'POST',
    headers: { authorization: `Bearer ${platform.api_key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.text());
}
