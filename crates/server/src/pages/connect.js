// The plain connect page: lists what a connect session allows, and connects it
// by popup or by form. The session's token comes in the URL's fragment.
(() => {
  const status = document.getElementById('status');
  const token = new URLSearchParams(location.hash.slice(1)).get('session_token');
  const say = (element, text, kind) => {
    element.hidden = false;
    element.textContent = text;
    element.className = `result ${kind}`;
  };

  async function api(path, options = {}) {
    const response = await fetch(path, {
      ...options,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    });
    const body = await response.json();
    if (!response.ok) {
      const field = body.error.errors?.[0]?.message;
      throw new Error(field ?? body.error.message ?? body.error.code);
    }
    return body;
  }

  const flow = (path, key, extra = {}) =>
    `${path}/${encodeURIComponent(key)}?${new URLSearchParams({ connect_session_token: token, ...extra })}`;

  // The window opens inside the click, or the browser blocks it; it gets its
  // address when the websocket has told us its id.
  function popup(key, websocketsPath) {
    const left = Math.max((screen.width - 500) / 2, 0);
    const top = Math.max((screen.height - 600) / 2, 0);
    const opened = window.open('', '_blank', `width=500,height=600,left=${left},top=${top}`);
    return new Promise((resolve, reject) => {
      if (!opened) {
        reject(new Error('The browser blocked the window. Allow popups for this page and try again.'));
        return;
      }
      const socket = new WebSocket(new URL(websocketsPath, location.href.replace(/^http/, 'ws')));
      const closed = setInterval(() => {
        if (opened.closed) finish(reject, new Error('The window was closed before the account was connected.'));
      }, 500);
      const finish = (settle, value) => {
        clearInterval(closed);
        socket.close();
        settle(value);
      };
      socket.addEventListener('error', () => finish(reject, new Error('The connection to the server was lost.')));
      socket.addEventListener('message', ({ data }) => {
        const message = JSON.parse(data);
        if (message.message_type === 'connection_ack') {
          opened.location = flow('/oauth/connect', key, { ws_client_id: message.ws_client_id });
        } else if (message.message_type === 'success') {
          finish(resolve, message.connection_id);
        } else {
          finish(reject, new Error(message.error_desc));
        }
      });
    });
  }

  async function save(key, form) {
    const body = JSON.stringify(Object.fromEntries(new FormData(form)));
    const saved = await api(flow('/api-auth/api-key', key), { method: 'POST', body });
    return saved.connectionId;
  }

  function show(integration, mode, websocketsPath) {
    const item = document.getElementById('integration').content.cloneNode(true).firstElementChild;
    const [button] = item.getElementsByTagName('button');
    const [form] = item.getElementsByTagName('form');
    const result = item.querySelector('.result');
    item.querySelector('h2').textContent = integration.display_name;
    const run = async (connecting) => {
      button.disabled = true;
      say(result, 'Connecting…', '');
      try {
        say(result, `Connected. The connection's id is ${await connecting}.`, 'good');
        form.hidden = true;
      } catch (error) {
        say(result, error.message, 'bad');
      } finally {
        button.disabled = false;
      }
    };
    if (mode === 'API_KEY') {
      button.addEventListener('click', () => {
        form.hidden = !form.hidden;
        if (!form.hidden) form.elements.apiKey.focus();
      });
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        run(save(integration.unique_key, form));
      });
    } else if (mode === 'OAUTH2') {
      button.addEventListener('click', () => run(popup(integration.unique_key, websocketsPath)));
    } else {
      button.hidden = true;
      say(result, 'This page cannot connect this integration yet.', 'bad');
    }
    document.getElementById('integrations').append(item);
  }

  async function start() {
    if (!token) {
      throw new Error('This link is incomplete: it carries no session token. Ask for a new one.');
    }
    const session = (await api('/connect/session')).data;
    const integrations = (await api('/integrations')).data;
    for (const integration of integrations) {
      const provider = (await api(`/providers/${encodeURIComponent(integration.provider)}`)).data;
      show(integration, provider.auth_mode, session.websocketsPath);
    }
    status.textContent = integrations.length
      ? 'Choose what to connect. You can close this page when you are done.'
      : 'There is nothing to connect yet: the environment has no integrations.';
  }

  start().catch((error) => {
    status.textContent = error.message;
    status.className = 'bad';
  });
})();
