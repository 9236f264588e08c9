// Pictures of every page that end users see, for a person to look at:
//   node screenshots.mjs DIR

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import * as browsing from './browser.mjs';
import { integrateLogins, pem, serveSeller, templatesFor } from './logins.mjs';
import { startPlatform } from './platform.mjs';
import { serveProviders } from './provider.mjs';
import { integrateAll, writeTemplates } from './templates.mjs';

/** Templates of the modes that the others leave out, and with forms unlike theirs. */
const BUILT_IN = {
  adp: {},
  'aws-sigv4': { integration_config: { service: 's3' } },
  'snowflake-jwt': {},
  'sap-success-factors': {},
  'mcp-generic': {},
  'private-api-basic': {},
  'oracle-cloud-identity': { credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' } },
  zendesk: { credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' } },
  twitter: { credentials: { type: 'OAUTH1', client_id: 'i', client_secret: 's' } },
  'crisp-plugin-install': {
    credentials: {
      type: 'INSTALL_PLUGIN',
      app_link: 'https://app.crisp.chat/initiate/plugin/p1/',
      username: 'i',
      password: 's',
    },
  },
  'github-app': { credentials: { type: 'APP', app_id: '1', app_link: 'https://github.com/apps/a', private_key: pem } },
  'github-app-oauth': {
    credentials: {
      type: 'CUSTOM',
      client_id: 'i',
      client_secret: 's',
      app_id: '1',
      app_link: 'https://github.com/apps/a',
      private_key: pem,
    },
  },
};
const WIDTHS = { 1280: 800, 360: 740 };
const folder = process.argv[2];
if (!folder) throw new Error('name the folder that the pictures go to');
await mkdir(folder, { recursive: true });

const seller = await serveSeller();
const templates = await writeTemplates(templatesFor(seller));
const platform = await startPlatform(templates.environment);
const providers = await serveProviders();
const browser = await browsing.launchBrowser();
try {
  await platform.createDemoIntegration('demo');
  const bearer = { unique_key: 'bearer', provider: 'private-api-bearer' };
  await platform.client().createIntegration(bearer);
  await integrateAll(platform, providers);
  await integrateLogins(platform);
  for (const [provider, more] of Object.entries(BUILT_IN)) {
    await platform.client().createIntegration({ unique_key: provider, provider, ...more });
  }
  for (const [width, height] of Object.entries(WIDTHS)) {
    for (const colorScheme of ['light', 'dark']) {
      const viewport = { width: Number(width), height };
      const context = await browsing.newContext(browser, { viewport, colorScheme });
      const take = (page, name) => picture(page, `${name}-${width}-${colorScheme}`);
      await servers(context, take);
      await connectPage(context, take);
      await connectForm(context, take);
      await loginForms(context, take);
      await context.close();
    }
  }
} finally {
  await browser.close();
  await providers.close();
  await platform.stop();
  await templates.remove();
  await seller.close();
}

async function picture(page, name) {
  const file = path.join(folder, `${name}.png`);
  await page.screenshot({ path: file, fullPage: true });
  console.log(file);
}

/** The front pages, and the callback page with nothing to finish. */
async function servers(context, take) {
  const page = await context.newPage();
  for (const [name, url] of [
    ['front', platform.server_url],
    ['provider-front', platform.demo_url],
    ['callback-error', `${platform.server_url}/oauth/callback?state=unknown`],
    ['connect-broken-link', `${platform.server_url}/connect`],
  ]) {
    await page.goto(url);
    await take(page, name);
  }
  await page.close();
}

/** The connect page before, during and after, with the popup's pages. */
async function connectPage(context, take) {
  const session = { end_user: { id: 'user-1' }, allowed_integrations: ['demo', 'bearer'] };
  const { data } = await platform.client().createConnectSession(session);
  const page = await context.newPage();
  await page.goto(data.connect_link);
  const demo = page.getByRole('listitem').filter({ hasText: 'Demo' });
  const bearer = page.getByRole('listitem').filter({ hasText: 'Private API' });
  await bearer.waitFor();
  await take(page, 'connect');

  const opened = page.waitForEvent('popup');
  await demo.getByRole('button', { name: 'Connect' }).click();
  const popup = await opened;
  await popup.getByRole('heading', { name: 'Sign in' }).waitFor();
  await take(popup, 'provider-login');
  await browsing.signIn(popup);
  await take(popup, 'provider-consent');
  // Success closes the window at once: its page is shown without its script.
  await context.route('**/oauth/callback.js', (route) => route.abort());
  await browsing.decide(popup, 'Allow');
  await popup.getByRole('heading', { name: 'Connected' }).waitFor();
  await take(popup, 'callback-success');
  await popup.close();
  await demo.getByText(/^Connected\./).waitFor();

  await bearer.getByRole('button', { name: 'Connect' }).click();
  await take(page, 'connect-form');
  await page.close();
}

/** A form with every kind of field, as it opens, with mistakes, and refused. */
async function connectForm(context, take) {
  const session = { end_user: { id: 'user-1' }, allowed_integrations: ['shop'] };
  const { data } = await platform.client().createConnectSession(session);
  const page = await context.newPage();
  await page.goto(data.connect_link);
  const submit = page.getByRole('button', { name: 'Connect' });
  await submit.waitFor();
  await take(page, 'connect-fields');
  await page.getByLabel('Subdomain').fill('Acme');
  await submit.click();
  await take(page, 'connect-mistakes');
  await page.getByLabel('Subdomain').fill('acme');
  await page.getByLabel('Region').selectOption('us');
  await page.getByLabel('State').fill('ny');
  await page.getByLabel('API Key').fill('wrong');
  await submit.click();
  await page.getByText('Not connected').waitFor();
  await take(page, 'connect-refused');
  await page.close();
}

/** The form of each mode that has one, with nothing entered and all missing. */
async function loginForms(context, take) {
  const logins = ['cc', 'two-step', 'jwt', 'bill', 'signature', 'tba', 'outbound'].map((mode) => `login-${mode}`);
  for (const integration of [...logins, 'unauthenticated', ...Object.keys(BUILT_IN)]) {
    const { data } = await platform.client().createConnectSession({
      end_user: { id: 'user-1' },
      allowed_integrations: [integration],
      integrations_config_defaults: {
        [integration]: { connection_config: integration === 'aws-sigv4' ? { external_id: 'linkspan-5f0c3d' } : {} },
      },
      overrides: { [integration]: { docs_connect: 'https://docs.example.com/connect' } },
    });
    const page = await context.newPage();
    await page.goto(data.connect_link);
    await page.getByRole('listitem').waitFor();
    const submit = page.locator('form:visible').getByRole('button', { name: 'Connect' });
    if (await submit.count()) await submit.click();
    await take(page, `connect-${integration}`);
    await page.close();
  }
}
