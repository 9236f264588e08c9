// Credentials of every auth mode that a person enters: sent by the published
// frontend client, read back by the node client, and typed into the connect page.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Frontend from '@nangohq/frontend';
import * as browsing from './browser.mjs';
import { CUSTOMER, integrateLogins, isSigned, serveSeller, templatesFor } from './logins.mjs';
import { startPlatform } from './platform.mjs';
import { writeTemplates } from './templates.mjs';

/** Labels of the forms of built-in templates. */
const BUILT_IN = {
  adp: ['Client Public Certificate', 'Client Private Key'],
  'sap-success-factors': ['API Server', 'Company ID', 'Username', 'API Key', 'Private Key'],
  'aws-sigv4': ['IAM Role ARN', 'AWS Region (optional)'],
  'mcp-generic': ['MCP Server URL'],
};

let platform, nango, seller, templates, browser, context;

before(async () => {
  seller = await serveSeller();
  templates = await writeTemplates(templatesFor(seller));
  [platform, browser] = await Promise.all([startPlatform(templates.environment), browsing.launchBrowser()]);
  nango = platform.client();
  await integrateLogins(platform);
  for (const provider of Object.keys(BUILT_IN)) {
    const integration_config = provider === 'aws-sigv4' ? { service: 's3' } : undefined;
    await nango.createIntegration({ unique_key: provider, provider, integration_config });
  }
  context = await browsing.newContext(browser);
});
after(async () => {
  await browser?.close();
  await platform?.stop();
  await templates?.remove();
  await seller?.close();
});

const frontend = async () =>
  new Frontend({ host: platform.server_url, connectSessionToken: await platform.connectToken() });
const PARAMS = { 'login-tba': { accountId: '1234567_SB1' } };
const connect = async (integration, credentials = CUSTOMER[integration]) =>
  (await frontend()).auth(integration, { credentials, params: PARAMS[integration] });
const count = async (integrationId) => (await nango.listConnections({ integrationId })).connections.length;

/** What the node client shows of each mode's credentials. */
const SHOWN = {
  'login-cc': (shown) => {
    assert.equal(shown.token, 'cc-token');
    assert.equal(shown.client_id, 'ann');
    assert.ok(Date.parse(shown.expires_at) > Date.now());
  },
  'login-two-step': (shown) => {
    assert.equal(shown.token, 'two-step-token');
    assert.deepEqual(shown.raw, { session: { token: 'two-step-token' } });
  },
  'login-jwt': (shown) => assert.ok(isSigned(shown.token), shown.token),
  'login-bill': (shown) => {
    assert.equal(shown.session_id, 'bill-session');
    assert.equal(shown.user_id, 'bill-user');
  },
  'login-signature': (shown) => assert.match(shown.token, /^UsernameToken Username="ann", PasswordDigest="/),
  'login-tba': (shown) => assert.equal(shown.token_id, 'token-1'),
  'login-aws': (shown) => {
    assert.equal(shown.access_key_id, 'AKIA1');
    assert.ok(Date.parse(shown.expires_at) > Date.now());
  },
};

describe('the published clients', () => {
  for (const [integration, credentials] of Object.entries(CUSTOMER)) {
    test(`connect and read ${integration}`, async () => {
      const made = await connect(integration);
      assert.equal(made.isPending ?? false, false);
      const connection = await nango.getConnection(integration, made.connectionId);
      SHOWN[integration](connection.credentials);
      if (credentials.type) assert.equal(connection.credentials.type, credentials.type);
      await nango.deleteConnection(integration, made.connectionId);
    });
  }

  for (const [integration, wrong] of [
    ['login-cc', { client_secret: 'wrong' }],
    ['login-two-step', { password: 'wrong' }],
    ['login-bill', { password: 'wrong' }],
    ['login-jwt', { privateKey: 'no key' }],
  ]) {
    test(`say that ${integration} was refused, and keep nothing`, async () => {
      const before = await count(integration);
      await assert.rejects(connect(integration, { ...CUSTOMER[integration], ...wrong }), (error) => {
        assert.match(error.type, /^invalid_(credentials|body)$/, error.message);
        for (const secret of Object.values(wrong)) assert.ok(!error.message.includes(secret), error.message);
        return true;
      });
      assert.equal(await count(integration), before);
    });
  }

  test('prepare what the provider completes', async () => {
    const made = await (await frontend()).auth('login-outbound', { installation: 'outbound', credentials: {} });
    assert.equal(made.isPending, true);
    assert.equal(await count('login-outbound'), 1);
  });
});

describe('the connect page', () => {
  const open = async (integration, session = {}) => {
    const { data } = await nango.createConnectSession({
      end_user: { id: 'user-1' },
      allowed_integrations: [integration],
      ...session,
    });
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') page.consoleErrors = message.text();
    });
    await page.goto(data.connect_link);
    await page.getByRole('listitem').waitFor();
    return page;
  };
  const submit = (page) => page.locator('form').getByRole('button', { name: 'Connect' }).click();
  const connectedId = async (page) => {
    const text = await page.getByText(/^Connected\./).textContent();
    return /[0-9a-f-]{36}/.exec(text)[0];
  };

  /** What is typed, by the labels of the fields. */
  const FORMS = {
    'login-cc': { 'Client ID': 'ann', 'Client secret': 'right' },
    'login-two-step': { User: 'ann', Password: 'right' },
    'login-jwt': { 'Key ID': 'key-1', 'Private Key': CUSTOMER['login-jwt'].privateKey },
    'login-bill': { Username: 'ann', Password: 'right', 'Organization ID': 'org-1', 'Developer key': 'dev-1' },
    'login-signature': { User: 'ann', Secret: 'right' },
    'login-tba': { 'Account ID': '1234567_SB1', 'Token ID': 'token-1', 'Token secret': 'right' },
  };

  for (const [integration, form] of Object.entries(FORMS)) {
    test(`has a form for ${integration}`, async () => {
      const page = await open(integration);
      await submit(page);
      for (const label of Object.keys(form)) await page.getByText(`${label} is required.`).waitFor();
      for (const [label, value] of Object.entries(form)) await page.getByLabel(label).fill(value);
      await submit(page);
      const connection = await nango.getConnection(integration, await connectedId(page));
      SHOWN[integration](connection.credentials);
      assert.equal(page.consoleErrors, undefined);
      for (const input of await page.locator('input, textarea').all()) {
        assert.equal(await input.inputValue(), '', 'nothing that was entered stays');
      }
      await page.close();
    });
  }

  test('pastes a key with its lines', async () => {
    const page = await open('login-jwt');
    const key = page.getByLabel('Private Key');
    assert.equal(await key.evaluate((element) => element.tagName), 'TEXTAREA');
    await key.fill(CUSTOMER['login-jwt'].privateKey);
    assert.ok((await key.inputValue()).split('\n').length > 20);
    await page.close();
  });

  test('says that a login was refused', async () => {
    const page = await open('login-two-step');
    await page.getByLabel('User').fill('ann');
    await page.getByLabel('Password').fill('wrong');
    await submit(page);
    await page.getByText(/^Not connected\..*refused.*Check what you entered/).waitFor();
    assert.equal(await page.getByLabel('User').inputValue(), 'ann', 'nothing is to be entered twice');
    await page.close();
  });

  test('says what a pending connection waits for', async () => {
    const page = await open('login-outbound');
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByText("Prepared. Now install the app on Outbound Shop's own pages").waitFor();
    await page.close();
  });

  test('links the guide of the session, or of the template', async () => {
    const guide = 'https://product.example.com/guide';
    for (const [session, address] of [
      [{}, 'https://docs.example.com/client-shop'],
      [{ overrides: { 'login-cc': { docs_connect: guide } } }, guide],
    ]) {
      const page = await open('login-cc', session);
      const link = page.getByRole('link', { name: 'How to connect Client Shop' });
      assert.equal(await link.getAttribute('href'), address);
      assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');
      await page.close();
    }
    const page = await open('login-bill');
    assert.equal(await page.getByRole('link').count(), 0, 'no guide, no link');
    await page.close();
  });

  test('asks for what a template describes', async () => {
    for (const [provider, labels] of Object.entries(BUILT_IN)) {
      const page = await open(provider);
      assert.deepEqual(await page.locator('label:visible').allTextContents(), labels, provider);
      await page.close();
    }
  });

  test('shows the external ID that a role must ask for', async () => {
    const connection_config = { external_id: 'tenant-1-5f0c' };
    const page = await open('aws-sigv4', {
      integrations_config_defaults: { 'aws-sigv4': { connection_config } },
    });
    await page.getByText("into the role's trust policy").getByText('tenant-1-5f0c').waitFor();
    await page.close();
  });
});
