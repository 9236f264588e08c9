// Templates of the auth modes that send the browser away, and their providers below
// the paths of one small server. Each verifies what it is asked and refuses the rest.

import { createHash, createHmac, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import http from 'node:http';

const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const CLIENT = { client_id: 'client-1', client_secret: 'client secret' };
const PLUGIN = { username: 'plugin-1', password: 'plugin secret' };

const FOUND = `connection_config:
  appPublicLink: { type: string, title: Link, automated: true }
  installation_id: { type: string, title: Installation, automated: true }
`;

/** By slug; `PROVIDER` is where all of them are. */
const TEMPLATES = {
  'away-oauth1': `display_name: Signed Shop
auth_mode: OAUTH1
signature_method: HMAC-SHA1
request_url: PROVIDER/oauth1/request
authorization_url: PROVIDER/oauth1/authorize
token_url: PROVIDER/oauth1/token
`,
  'away-app': `display_name: App Shop
auth_mode: APP
authorization_url: \${connectionConfig.appPublicLink}/installations/new
token_url: PROVIDER/installations/\${connectionConfig.installation_id}/tokens
${FOUND}`,
  'away-custom': `display_name: App and Person Shop
auth_mode: CUSTOM
authorization_url: \${connectionConfig.appPublicLink}/installations/new
token_url:
  OAUTH2: PROVIDER/person/token
  APP: PROVIDER/installations/\${connectionConfig.installation_id}/tokens
${FOUND}`,
  'away-plugin': `display_name: Plugin Shop
auth_mode: INSTALL_PLUGIN
auth_type: BASIC
redirect_uri_metadata: [website_id]
proxy:
  base_url: PROVIDER
  verification: { method: GET, endpoints: [/plugin/account] }
`,
  'away-mcp': `display_name: Tool Shop
auth_mode: MCP_OAUTH2
client_registration: dynamic
registration_url: PROVIDER/mcp/register
authorization_url: PROVIDER/mcp/authorize
authorization_params: { response_type: code, resource: PROVIDER/mcp }
token_url: PROVIDER/mcp/token
token_params: { grant_type: authorization_code }
`,
  'away-generic': `display_name: Any Tool Shop
auth_mode: MCP_OAUTH2_GENERIC
connection_config:
  mcp_server_url: { type: string, title: Server, pattern: '^https?://.*$' }
proxy:
  base_url: \${connectionConfig.mcp_server_url}
`,
};

/** What an integration needs of its own, by template. */
const CREDENTIALS = (origin) => {
  const app = { app_id: '4711', app_link: `${origin}/app`, private_key: privateKey };
  return {
    'away-oauth1': { type: 'OAUTH1', ...CLIENT },
    'away-app': { type: 'APP', ...app },
    'away-custom': { type: 'CUSTOM', ...app, ...CLIENT },
    'away-plugin': { type: 'INSTALL_PLUGIN', app_link: `${origin}/plugin/install`, ...PLUGIN },
  };
};

const encode = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The parameters of an OAuth 1.0a header, if its signature is right (RFC 5849 section 3.4.2). */
function signed({ method, url, headers }, origin, tokenSecret) {
  const header = headers.authorization ?? '';
  const pairs = [...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, decodeURIComponent(value)]);
  const given = Object.fromEntries(pairs);
  const { oauth_signature: signature, ...rest } = given;
  const params = Object.entries(rest).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  const base = [method, `${origin}${url}`, params.sort().join('&')].map(encode).join('&');
  const key = `${encode(CLIENT.client_secret)}&${encode(tokenSecret)}`;
  const right = createHmac('sha1', key).update(base).digest('base64');
  return rest.oauth_consumer_key === CLIENT.client_id && signature === right ? given : null;
}

/** Whether the app signed the bearer token. */
function isApp({ headers }) {
  const [header, payload, signature] = (headers.authorization ?? '').replace(/^Bearer /, '').split('.');
  if (!signature || JSON.parse(Buffer.from(payload, 'base64url')).iss !== '4711') return false;
  const data = Buffer.from(`${header}.${payload}`);
  return verify('RSA-SHA256', data, createPublicKey(publicKey), Buffer.from(signature, 'base64url'));
}

/** What is kept between the requests of one connection. */
const grants = new Map();

/** By method and path: what is answered, or nothing, which is a refusal. */
const ANSWERS = {
  'POST /oauth1/request': (request, origin) => {
    const given = signed(request, origin, '');
    if (!given?.oauth_callback) return null;
    grants.set('request-1', given.oauth_callback);
    return form({ oauth_token: 'request-1', oauth_token_secret: 'rs 1', oauth_callback_confirmed: 'true' });
  },
  'GET /oauth1/authorize': ({ query }) =>
    consent(grants.get(query.oauth_token), { oauth_token: query.oauth_token, oauth_verifier: 'verified-1' }),
  'POST /oauth1/token': (request, origin) => {
    const given = signed(request, origin, 'rs 1');
    if (given?.oauth_token !== 'request-1' || given.oauth_verifier !== 'verified-1') return null;
    return form({ oauth_token: 'oauth1-token', oauth_token_secret: 'oauth1 secret' });
  },
  'GET /app/installations/new': ({ query, callback }) =>
    consent(callback, { installation_id: '77', setup_action: 'install', code: 'person-1', state: query.state }),
  'POST /installations/77/tokens': (request) =>
    isApp(request) && json({ token: 'app-token', expires_at: new Date(Date.now() + 3_600_000).toISOString() }),
  'POST /person/token': (request) => {
    const { body } = request;
    const isRight = body.code === 'person-1' && body.client_id === CLIENT.client_id;
    return isRight && body.client_secret === CLIENT.client_secret && json({ access_token: 'person-token' });
  },
  'GET /plugin/install': ({ query, callback }) => consent(callback, { website_id: 'w-1', payload: query.payload }),
  'GET /plugin/account': ({ headers }) => {
    const basic = Buffer.from(`${PLUGIN.username}:${PLUGIN.password}`).toString('base64');
    return headers.authorization === `Basic ${basic}` && json({});
  },
  'POST /mcp/register': ({ body, callback }) =>
    body.redirect_uris?.[0] === callback && json({ client_id: 'registered-1', redirect_uris: [callback] }, 201),
  'GET /mcp/authorize': ({ query, callback }, origin) => {
    const isRight = query.client_id === 'registered-1' && query.resource === `${origin}/mcp`;
    if (!isRight || query.code_challenge_method !== 'S256' || query.redirect_uri !== callback) return null;
    grants.set('mcp-1', query.code_challenge);
    return consent(callback, { code: 'mcp-1', state: query.state });
  },
  'POST /mcp/token': ({ body }, origin) => {
    const challenge = createHash('sha256').update(body.code_verifier ?? '').digest('base64url');
    const isRight = challenge === grants.get(body.code) && body.client_id === 'registered-1';
    return isRight && body.resource === `${origin}/mcp` && json({ access_token: 'mcp-token', token_type: 'Bearer' });
  },
  // RFC 9728 section 5.1, and what follows from it for a server that nobody knows.
  'GET /mcp': (_, origin) => ({
    ...json({}, 401),
    headers: { 'www-authenticate': `Bearer resource_metadata="${origin}/mcp/resource"` },
  }),
  'GET /mcp/resource': (_, origin) => json({ resource: `${origin}/mcp`, authorization_servers: [origin] }),
  'GET /.well-known/oauth-authorization-server': (_, origin) =>
    json({
      issuer: origin,
      authorization_endpoint: `${origin}/mcp/authorize`,
      token_endpoint: `${origin}/mcp/token`,
      registration_endpoint: `${origin}/mcp/register`,
      code_challenge_methods_supported: ['S256'],
      response_types_supported: ['code'],
    }),
};
ANSWERS['POST /mcp'] = ANSWERS['GET /mcp'];

const json = (body, status = 200) => ({ status, type: 'application/json', text: JSON.stringify(body) });
const form = (body) => ({ status: 200, type: 'application/x-www-form-urlencoded', text: `${new URLSearchParams(body)}` });

/** A page on which the person agrees, and goes back. */
function consent(callback, said) {
  if (!callback) return null;
  const to = new URL(callback);
  // An OAuth 1.0a callback has its state already.
  for (const [name, value] of Object.entries(said)) to.searchParams.set(name, value);
  const href = to.href.replaceAll('&', '&amp;');
  return { status: 200, type: 'text/html', text: `<!doctype html><link rel="icon" href="data:,"><h1>Consent</h1><a href="${href}">Allow</a>` };
}

function parsed(text, type = '') {
  if (type.startsWith('application/json')) return JSON.parse(text || '{}');
  return Object.fromEntries(new URLSearchParams(text));
}

/** The server. Once `callback` is set, browsers are sent there; `refused` says what was not answered. */
export async function serveRedirecting() {
  const served = { callback: null, refused: [] };
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    const { pathname, searchParams } = new URL(url, served.origin);
    const body = parsed(Buffer.concat(chunks).toString(), headers['content-type']);
    const query = Object.fromEntries(searchParams);
    const asked = { method, url, headers, query, body, callback: served.callback };
    const answer = ANSWERS[`${method} ${pathname}`]?.(asked, served.origin);
    if (!answer) served.refused.push(`${method} ${pathname}`);
    const { status, type, text, headers: more } = answer || json({ error: 'invalid_request' }, 400);
    response.writeHead(status, { 'content-type': type, ...more }).end(text);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  served.origin = `http://127.0.0.1:${server.address().port}`;
  served.close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return served;
}

/** The templates, for such a server. */
export function redirectingTemplates({ origin }) {
  const files = Object.entries(TEMPLATES).map(([slug, yaml]) => {
    return [slug, `categories: [other]\n${yaml.replaceAll('PROVIDER', origin)}`];
  });
  return Object.fromEntries(files);
}

/** Creates an integration with each. */
export async function integrateRedirecting(platform, provider) {
  provider.callback = `${platform.server_url}/oauth/callback`;
  const credentials = CREDENTIALS(provider.origin);
  for (const slug of Object.keys(TEMPLATES)) {
    const integration = { unique_key: slug, provider: slug, credentials: credentials[slug] };
    await platform.client().createIntegration(integration);
  }
}
