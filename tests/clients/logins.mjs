// A template for each auth mode, as small as the mode allows, and a provider
// that sells tokens to one customer and refuses everybody else.

import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import http from 'node:http';

const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
/** The customer's key, as they paste it. */
export const pem = privateKey;

const secret = (title) => `{ type: string, title: ${title}, secret: true }`;

/** By slug; `SELLER` is where tokens are sold. */
const TEMPLATES = {
  'login-cc': `display_name: Client Shop
auth_mode: OAUTH2_CC
token_url: SELLER/cc
docs: https://docs.example.com/client-shop
`,
  'login-two-step': `display_name: Two Step Shop
auth_mode: TWO_STEP
token_url: SELLER/two-step
token_params:
  user: \${credentials.username}
  pass: \${credentials.password}
token_headers: { content-type: application/json }
token_response: { token: session.token }
token_expires_in_ms: 3600000
credentials:
  username: { type: string, title: User }
  password: ${secret('Password')}
`,
  'login-jwt': `display_name: Key Shop
auth_mode: JWT
signature: { protocol: RSA }
token:
  signing_key: \${credentials.privateKey}
  expires_in_ms: 600000
  header: { alg: RS256 }
  payload: { aud: shop }
credentials:
  keyId: { type: string, title: Key ID }
  privateKey: ${secret('Private Key')}
`,
  'login-bill': `display_name: Session Shop
auth_mode: BILL
token_url: SELLER/bill
`,
  'login-signature': `display_name: Digest Shop
auth_mode: SIGNATURE
signature: { protocol: WSSE }
token: { expires_in_ms: 300000 }
credentials:
  username: { type: string, title: User }
  password: ${secret('Secret')}
`,
  'login-tba': `display_name: Ledger Shop
auth_mode: TBA
connection_config:
  accountId: { type: string, title: Account ID, example: 1234567_SB1 }
`,
  'login-aws': `display_name: Cloud Shop
alias: aws-sigv4
token_url: SELLER/sts
`,
  'login-outbound': `display_name: Outbound Shop
auth_mode: OAUTH2
installation: outbound
authorization_code_param_in_webhook: code
token_url: SELLER/outbound
`,
};

/** What the one customer enters, in the published client's words. */
export const CUSTOMER = {
  'login-cc': { client_id: 'ann', client_secret: 'right' },
  'login-two-step': { type: 'TWO_STEP', username: 'ann', password: 'right' },
  'login-jwt': { type: 'JWT', keyId: 'key-1', privateKey: pem },
  'login-bill': { username: 'ann', password: 'right', organization_id: 'org-1', dev_key: 'dev-1' },
  'login-signature': { type: 'SIGNATURE', username: 'ann', password: 'right' },
  'login-tba': { token_id: 'token-1', token_secret: 'right' },
  'login-aws': { type: 'AWS_SIGV4', role_arn: 'arn:aws:iam::123456789012:role/right' },
};

/** What an integration needs of its own, by template. */
const CLIENTS = {
  'login-tba': { type: 'TBA', client_id: 'client-1', client_secret: 'client-secret' },
  'login-outbound': { type: 'OAUTH2', client_id: 'client-1', client_secret: 'client-secret' },
};

/** What an integration is told, by template. */
const SETTINGS = {
  'login-aws': {
    service: 's3',
    defaultRegion: 'eu-west-1',
    awsAccessKeyId: 'AKIA0',
    awsSecretAccessKey: 'aws secret',
  },
};

/** What is sold where: whether the customer said the right thing, and the answer. */
const SOLD = {
  '/sts': {
    isRight: ({ text }) => {
      const asked = new URLSearchParams(text);
      return asked.get('Action') === 'AssumeRole' && asked.get('RoleArn').endsWith('/right') && asked.get('ExternalId');
    },
    answer: `<AssumeRoleResponse><AssumeRoleResult><Credentials>
<AccessKeyId>AKIA1</AccessKeyId><SecretAccessKey>aws secret</SecretAccessKey>
<SessionToken>aws-session</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`,
  },
  '/cc': {
    isRight: ({ text, headers }) =>
      new URLSearchParams(text).get('client_secret') === 'right' ||
      headers.authorization === `Basic ${Buffer.from('ann:right').toString('base64')}`,
    answer: { access_token: 'cc-token', token_type: 'bearer', expires_in: 3600 },
  },
  '/two-step': {
    isRight: ({ text }) => JSON.parse(text).pass === 'right',
    answer: { session: { token: 'two-step-token' } },
  },
  '/bill': {
    isRight: ({ text }) => text.includes('right') && text.includes('dev-1'),
    answer: { sessionId: 'bill-session', userId: 'bill-user', organizationId: 'org-1' },
  },
};

/** Whether the customer's key signed a token. */
export function isSigned(token) {
  const [header, payload, signature] = token.split('.');
  const signed = Buffer.from(`${header}.${payload}`);
  return verify('RSA-SHA256', signed, createPublicKey(publicKey), Buffer.from(signature, 'base64url'));
}

/** Sells tokens. `asked` has the path of each request. */
export async function serveSeller() {
  const asked = [];
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const sold = SOLD[request.url];
    asked.push(request.url);
    const given = { text: Buffer.concat(chunks).toString(), headers: request.headers };
    const isRight = sold?.isRight(given) ?? false;
    response.writeHead(isRight ? 200 : 401, { 'content-type': 'application/json' });
    const answer = isRight ? sold.answer : { error: 'invalid_client' };
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    asked,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The templates, for a seller. */
export function templatesFor(seller) {
  const files = Object.entries(TEMPLATES).map(([slug, yaml]) => {
    return [slug, `categories: [other]\n${yaml.replaceAll('SELLER', seller.origin)}`];
  });
  return Object.fromEntries(files);
}

/** Creates an integration with each. */
export async function integrateLogins(platform) {
  for (const provider of Object.keys(TEMPLATES)) {
    const integration = { unique_key: provider, provider, credentials: CLIENTS[provider] };
    const integration_config = SETTINGS[provider];
    await platform.client().createIntegration({ ...integration, integration_config });
  }
}
