// What a person enters in each auth mode, and where it goes.

/** The provider's own pages ask, in a window. */
const POPUP = { own: {} };

/** Something is installed on the provider's own pages, and its webhook completes the connection. */
const OUTBOUND = { path: '/auth/oauth-outbound', own: {} };

const USERNAME = { title: 'Username' };
const PASSWORD = { title: 'Password', secret: true };

/**
 * By the template's `auth_mode`: where credentials are sent, and the mode's own
 * fields with what is shown where the template says nothing of them. A template
 * of a mode that `isDescribed` has its own fields in their place, if it has any;
 * with `isEither`, one of the fields is enough.
 */
const MODES = {
  OAUTH1: POPUP,
  OAUTH2: POPUP,
  APP: POPUP,
  CUSTOM: POPUP,
  INSTALL_PLUGIN: POPUP,
  MCP_OAUTH2: POPUP,
  MCP_OAUTH2_GENERIC: POPUP,
  NONE: { path: '/auth/unauthenticated', own: {} },
  API_KEY: { path: '/api-auth/api-key', own: { apiKey: { title: 'API key', secret: true } } },
  BASIC: { path: '/api-auth/basic', own: { username: USERNAME, password: PASSWORD }, isEither: true },
  OAUTH2_CC: {
    path: '/oauth2/auth',
    own: { client_id: { title: 'Client ID' }, client_secret: { title: 'Client secret', secret: true } },
    isDescribed: true,
  },
  TWO_STEP: { path: '/auth/two-step', own: {}, isDescribed: true },
  JWT: { path: '/auth/jwt', own: {}, isDescribed: true },
  TBA: {
    path: '/auth/tba',
    own: {
      token_id: { title: 'Token ID' },
      token_secret: { title: 'Token secret', secret: true },
      oauth_client_id_override: {
        title: 'Consumer key',
        description: 'Only if the token belongs to an integration record of your own.',
        optional: true,
      },
      oauth_client_secret_override: { title: 'Consumer secret', secret: true, optional: true },
    },
  },
  BILL: {
    path: '/auth/bill',
    own: {
      username: USERNAME,
      password: PASSWORD,
      organization_id: { title: 'Organization ID' },
      dev_key: { title: 'Developer key', secret: true },
    },
  },
  SIGNATURE: { path: '/auth/signature', own: { username: USERNAME, password: PASSWORD } },
  AWS_SIGV4: {
    path: '/auth/aws-sigv4',
    own: {
      role_arn: { title: 'Role ARN', example: 'arn:aws:iam::123456789012:role/name' },
      region: { title: 'Region', example: 'us-east-1', optional: true },
    },
  },
};

/** The mode of a provider; nothing for one that this page does not know. */
function modeOf(provider) {
  const isOutbound = provider.auth_mode === 'OAUTH2' && provider.installation === 'outbound';
  return isOutbound ? OUTBOUND : MODES[provider.auth_mode];
}

/** A mode's fields as the provider's template has them, in pairs of name and schema. */
function credentialsOf(provider, mode) {
  const described = Object.entries(provider.credentials ?? {});
  if (mode.isDescribed && described.length) return described;
  return Object.entries(mode.own).map(([name, schema]) => {
    const told = provider.credentials?.[name] ?? provider.connection_config?.[name];
    return [name, { ...schema, ...told, title: told?.title || schema.title }];
  });
}
