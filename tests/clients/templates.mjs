// Provider templates of the tests' own, with every kind of field.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

const HEAD = `categories: [other]
integration_config:
  baseUrl: { type: string, title: Address }
`;

const TEMPLATES = {
  shop: `display_name: Shop
auth_mode: API_KEY
proxy:
  base_url: \${integrationConfig.baseUrl}
  headers: { authorization: 'Bearer \${apiKey}' }
  verification: { endpoints: [/key-api/me] }
credentials:
  apiKey: { type: string, title: API Key, description: You find it in the settings., secret: true }
connection_config:
  subdomain:
    type: string
    title: Subdomain
    description: The part of the shop's address that is yours.
    example: acme
    pattern: ^[a-z]+$
    prefix: https://
    suffix: .shop.example
    order: 1
  region: { type: string, title: Region, enum: [eu, us], order: 2 }
  state: { type: string, title: State, visible_when: { field: region, equals: us }, order: 3 }
  appKey: { type: string, title: App Key, secret: true, optional: true, order: 4 }
  code: { type: string, title: Code, pattern: (?i)^x+$, optional: true, order: 5 }
  version: { type: string, title: Version, default_value: v2, order: 6 }
  found: { type: string, title: Found, automated: true }
`,
  desk: `display_name: Desk
auth_mode: BASIC
proxy:
  base_url: \${integrationConfig.baseUrl}
  verification: { endpoints: [/basic/me] }
`,
  tenant: `display_name: Tenant
auth_mode: OAUTH2
authorization_url: \${integrationConfig.baseUrl}/oauth/authorize
token_url: \${integrationConfig.baseUrl}/oauth/token
default_scopes: [items.read]
proxy:
  base_url: \${integrationConfig.baseUrl}
connection_config:
  tenant: { type: string, title: Tenant, format: hostname }
`,
};

/**
 * Writes them, and `more` by their slugs; the result's `environment` is for the
 * program that reads them.
 */
export async function writeTemplates(more = {}) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'linkspan-templates-'));
  const own = Object.entries(TEMPLATES).map(([slug, yaml]) => [slug, HEAD + yaml]);
  for (const [slug, yaml] of [...own, ...Object.entries(more)]) {
    await writeFile(path.join(folder, `${slug}.yaml`), yaml);
  }
  return {
    environment: { LINKSPAN_PROVIDERS_DIR: folder },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Creates an integration with each of them, and one without credentials. */
export async function integrateAll(platform, providers) {
  const client = { type: 'OAUTH2', client_id: 'demo-client', client_secret: 'demo-secret' };
  const baseUrl = platform.demo_url;
  for (const integration of [
    { provider: 'shop', integration_config: { baseUrl } },
    { provider: 'desk', integration_config: { baseUrl: providers.origin } },
    { provider: 'tenant', integration_config: { baseUrl }, credentials: client },
    { provider: 'unauthenticated' },
  ]) {
    await platform.client().createIntegration({ unique_key: integration.provider, ...integration });
  }
}
