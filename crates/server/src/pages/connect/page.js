// The plain connect page: lists what a connect session allows, and connects it
// by popup or by form. The session's token comes in the URL's fragment.

const status = document.getElementById('status');
const token = new URLSearchParams(location.hash.slice(1)).get('session_token');

/** The provider's word on what was entered. */
const ENTERED_WRONG = ['connection_test_failed', 'invalid_credentials'];

/** What the server refused, with the fields that it names. */
class Refused extends Error {
  constructor({ code, message, errors = [] }) {
    super(message ?? code);
    this.code = code;
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
function fieldsOf(provider, mode, preset, isReconnecting) {
  const hint = isReconnecting ? 'Leave it empty to keep what there is.' : '';
  const isShown = ([, schema]) => !schema.automated && !schema.hidden;
  const entered = credentialsOf(provider, mode).filter(isShown);
  const names = entered.map(([name]) => name);
  const config = Object.entries(provider.connection_config ?? {})
    .filter(isShown)
    .filter(([name]) => (preset[name] ?? '') === '' && !names.includes(name))
    .map(([name, schema]) => {
      const isRequired = !schema.optional && schema.default_value === undefined && !isReconnecting;
      return new Field('config', name, schema, { isRequired, hint });
    });
  const secrets = (group, fields) =>
    fields.map(([name, schema]) => new Field(group, name, schema, { isRequired: isAskedFor(schema, mode) }));
  const credentials = secrets('credentials', entered);
  const options = secrets('option', Object.entries(provider.assertion_option ?? {}).filter(isShown));
  return new Fields([...config, ...credentials, ...options], mode.isEither ? names : []);
}

/** One integration's entry in the list. */
class Entry {
  constructor(integration, provider, session) {
    this.key = integration.unique_key;
    this.provider = provider;
    this.mode = modeOf(provider);
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
    this.#help(integration.display_name);
    if (!this.mode) {
      this.button.hidden = true;
      this.say('Accounts of this kind cannot be connected on this page.', 'bad');
      return;
    }
    const preset = session.integrations_config_defaults?.[this.key]?.connection_config ?? {};
    this.fields = fieldsOf(provider, this.mode, preset, session.isReconnecting);
    this.#externalId(preset.external_id);
    this.form.querySelector('.fields').append(...this.fields.list.map((field) => field.element));
    this.button.addEventListener('click', () => (this.hasForm ? this.toggle() : this.connect()));
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.fields.check()) this.connect();
    });
    this.toggle(false);
  }

  /** Links the guide that the session names, or the provider's own. */
  #help(name) {
    const address = this.session.overrides?.[this.key]?.docs_connect ?? this.provider.docs;
    if (!/^https?:$/.test(URL.canParse(address) ? new URL(address).protocol : '')) return;
    const link = this.element.querySelector('.help a');
    link.href = address;
    link.textContent = `How to connect ${name}`;
    link.parentElement.hidden = false;
  }

  /** What an AWS role must ask for before it lets anybody in. */
  #externalId(id) {
    if (!id || this.provider.auth_mode !== 'AWS_SIGV4') return;
    const note = this.form.querySelector('.note');
    const code = Object.assign(document.createElement('code'), { textContent: id });
    note.append("Put this external ID into the role's trust policy (sts:ExternalId): ", code);
    note.hidden = false;
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
      const made = await connecting;
      this.form.reset();
      this.fields.reveal();
      this.toggle(false);
      this.#made(made);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#enable();
    }
  }

  #made({ id, isPending }) {
    const { display_name: name } = this.provider;
    const its = `The connection's id is ${id}.`;
    if (!isPending) {
      this.say(`Connected. ${its}`, 'good');
    } else if (this.mode === OUTBOUND) {
      this.say(`Prepared. Now install the app on ${name}'s own pages: that completes the connection. ${its}`);
    } else {
      this.say(`Waiting for ${name} to confirm. Somebody may have to approve the request there. ${its}`);
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
    const options = this.fields.values('option');
    const entered = this.fields.values('credentials');
    const body = JSON.stringify(Object.keys(options).length ? { ...entered, assertionOption: options } : entered);
    const path = flow(this.mode.path, this.key, this.fields.values('config'));
    const { connectionId: id, isPending } = await api(path, { method: 'POST', body });
    return { id, isPending };
  }

  #fail(error) {
    const errors = error.errors ?? [];
    const left = this.form.hidden ? errors : this.fields.blame(errors);
    if (errors.length && !left.length) {
      this.say('Not connected. See what is marked above.', 'bad');
      return;
    }
    const said = left.length ? left.map(({ message }) => sentence(message)).join(' ') : sentence(error.message);
    const isTheirs = !this.form.hidden && ENTERED_WRONG.includes(error.code);
    this.say(`Not connected. ${said}${isTheirs ? ' Check what you entered, and try again.' : ''}`, 'bad');
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
