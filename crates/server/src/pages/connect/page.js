// The plain connect page: lists what a connect session allows, and connects it
// by popup or by form. The session's token comes in the URL's fragment.

const status = document.getElementById('status');
const token = new URLSearchParams(location.hash.slice(1)).get('session_token');

/** Where each mode's credentials go, and which fields they are. */
const MODES = {
  OAUTH2: { credentials: [] },
  API_KEY: { path: '/api-auth/api-key', credentials: ['apiKey'] },
  BASIC: { path: '/api-auth/basic', credentials: ['username', 'password'], isEither: true },
  NONE: { path: '/auth/unauthenticated', credentials: [] },
};

/** Shown for credentials that a template says nothing of. */
const UNTOLD = {
  apiKey: { title: 'API key', secret: true },
  username: { title: 'Username' },
  password: { title: 'Password', secret: true },
};

/** What the server refused, with the fields that it names. */
class Refused extends Error {
  constructor({ code, message, errors = [] }) {
    super(message ?? code);
    this.errors = errors;
  }
}

async function api(path, options = {}) {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const response = await fetch(path, { ...options, headers }).catch(() => {
    throw new Error('The server could not be reached. Try again.');
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(body.error ?? { code: `The server answered with status ${response.status}.` });
  return body;
}

/** A sentence of its own: the server's texts begin small and end without a stop. */
function sentence(text) {
  const ended = /[.!?]$/.test(text) ? text : `${text}.`;
  return ended[0].toUpperCase() + ended.slice(1);
}

/** The address of a flow, with the configuration that was entered. */
function flow(path, key, config, extra = {}) {
  const params = Object.entries(config).map(([name, value]) => [`params[${name}]`, value]);
  const query = new URLSearchParams([['connect_session_token', token], ...params, ...Object.entries(extra)]);
  return `${path}/${encodeURIComponent(key)}?${query}`;
}

/** Whether the server asks for it: of a name and a password, one may be empty. */
function isAskedFor(schema, mode) {
  const hasForm = schema.pattern || schema.format || schema.enum;
  if (schema.optional || schema.default_value !== undefined) return false;
  return mode.isEither ? Boolean(hasForm) : true;
}

/** The fields that a person fills in for an integration. */
function fieldsOf(integration, provider, mode, session) {
  const preset = session.integrations_config_defaults?.[integration.unique_key]?.connection_config ?? {};
  const hint = session.isReconnecting ? 'Leave it empty to keep what there is.' : '';
  const isShown = ([, schema]) => !schema.automated && !schema.hidden;
  const config = Object.entries(provider.connection_config ?? {})
    .filter(isShown)
    .filter(([name]) => (preset[name] ?? '') === '')
    .map(([name, schema]) => {
      const isRequired = !schema.optional && schema.default_value === undefined && !session.isReconnecting;
      return new Field('config', name, schema, { isRequired, hint });
    });
  const credentials = mode.credentials
    .map((name) => [name, provider.credentials?.[name] ?? UNTOLD[name]])
    .filter(isShown)
    .map(([name, schema]) => new Field('credentials', name, schema, { isRequired: isAskedFor(schema, mode) }));
  return new Fields([...config, ...credentials], mode.isEither ? mode.credentials : []);
}

/** One integration's entry in the list. */
class Entry {
  constructor(integration, provider, session) {
    this.key = integration.unique_key;
    this.mode = MODES[provider.auth_mode];
    this.session = session;
    this.element = document.getElementById('integration').content.cloneNode(true).firstElementChild;
    [this.button, this.submit] = this.element.querySelectorAll('button');
    this.form = this.element.querySelector('form');
    this.result = this.element.querySelector('.result');
    const heading = this.element.querySelector('h2');
    heading.textContent = integration.display_name;
    heading.id = `integration-${(numbered += 1)}`;
    this.button.setAttribute('aria-describedby', heading.id);
    this.form.setAttribute('aria-labelledby', heading.id);
    if (!this.mode) {
      this.button.hidden = true;
      this.say('Accounts of this kind cannot be connected on this page.', 'bad');
      return;
    }
    this.fields = fieldsOf(integration, provider, this.mode, session);
    this.form.querySelector('.fields').append(...this.fields.list.map((field) => field.element));
    this.button.addEventListener('click', () => (this.hasForm ? this.toggle() : this.connect()));
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.fields.check()) this.connect();
    });
    this.toggle(false);
  }

  get hasForm() {
    return this.fields?.list.length > 0;
  }

  toggle(isOpen = this.form.hidden) {
    this.form.hidden = !isOpen;
    this.button.textContent = isOpen ? 'Cancel' : 'Connect';
    this.button.classList.toggle('quiet', isOpen);
    if (this.hasForm) this.button.setAttribute('aria-expanded', String(isOpen));
    if (isOpen) this.fields.list.find((field) => !field.element.hidden)?.input.focus();
  }

  say(text, kind = '') {
    this.result.hidden = !text;
    this.result.textContent = text;
    this.result.className = `result ${kind}`;
  }

  async connect() {
    this.attempt?.abandon();
    this.#enable(false);
    try {
      // The window must open before anything is waited for.
      const connecting = this.mode.path ? this.#send() : this.#authorise();
      this.say('Connecting…');
      const id = await connecting;
      this.form.reset();
      this.toggle(false);
      this.say(`Connected. The connection's id is ${id}.`, 'good');
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#enable();
    }
  }

  #authorise() {
    const config = this.fields.values('config');
    this.attempt = popup(
      this.session.websocketsPath,
      (channel) => flow('/oauth/connect', this.key, config, { ws_client_id: channel }),
      () => {
        this.#enable();
        this.say('The window was closed before the account was connected. If it is still open, go on there.', 'bad');
      },
    );
    return this.attempt.result;
  }

  #enable(isEnabled = true) {
    this.button.disabled = this.submit.disabled = !isEnabled;
  }

  async #send() {
    const body = JSON.stringify(this.fields.values('credentials'));
    const path = flow(this.mode.path, this.key, this.fields.values('config'));
    return (await api(path, { method: 'POST', body })).connectionId;
  }

  #fail(error) {
    const errors = error.errors ?? [];
    const left = this.form.hidden ? errors : this.fields.blame(errors);
    if (errors.length && !left.length) {
      this.say('Not connected. See what is marked above.', 'bad');
      return;
    }
    const said = left.length ? left.map(({ message }) => sentence(message)).join(' ') : sentence(error.message);
    this.say(`Not connected. ${said}`, 'bad');
  }
}

/** Each provider once, however many integrations use it. */
function loader() {
  const loading = new Map();
  return (slug) => {
    if (!loading.has(slug)) loading.set(slug, api(`/providers/${encodeURIComponent(slug)}`));
    return loading.get(slug).then(({ data }) => data);
  };
}

async function start() {
  if (!token) {
    throw new Error('This link is incomplete: it carries no session token. Ask for a new one.');
  }
  // One after the other: of a token that is not valid, the first says why.
  const { data: session } = await api('/connect/session');
  const { data: integrations } = await api('/integrations');
  const provider = loader();
  const entries = await Promise.all(
    integrations.map(async (integration) => new Entry(integration, await provider(integration.provider), session)),
  );
  document.getElementById('integrations').append(...entries.map((entry) => entry.element));
  if (!entries.length) {
    status.textContent = 'There is nothing to connect yet: the environment has no integrations.';
    return;
  }
  status.textContent = session.isReconnecting
    ? 'Connect the account again. You can close this page when you are done.'
    : 'Choose what to connect. You can close this page when you are done.';
  const [only, ...others] = entries;
  if (only.hasForm && !others.length) only.toggle(true);
}

start().catch((error) => {
  status.textContent = error.message;
  status.className = 'bad';
});
