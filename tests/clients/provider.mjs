// Providers that misbehave, each below a path of one small server: what the
// platform's demo provider is too well behaved for.

import http from 'node:http';

/** What each one does when asked for consent, and when asked for a token. */
const WAYS = {
  /** Cuts its window off from the page that opened it, as some sign-in pages do. */
  coop: {
    authorize: (response, back) => {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      const href = back({ code: 'c' }).replaceAll('&', '&amp;');
      html(response, 200, `<h1>Consent</h1><a href="${href}">Continue</a>`);
    },
    token: (response) => json(response, 200, { access_token: 'a' }),
  },
  /** Shows a page of its own instead of coming back. */
  down: {
    authorize: (response) => html(response, 500, '<h1>Something went wrong</h1>'),
  },
  /** Comes back with an error. */
  refusing: {
    authorize: (response, back) => {
      const said = { error: 'server_error', error_description: 'Try <b>later</b>' };
      redirect(response, back(said));
    },
  },
  /** Answers with a page where tokens should be. */
  pages: {
    authorize: (response, back) => redirect(response, back({ code: 'c' })),
    token: (response) => html(response, 502, '<h1>Bad gateway</h1>'),
  },
};

function html(response, status, body) {
  response.writeHead(status, { 'content-type': 'text/html' }).end(`<!doctype html>${body}`);
}

function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function redirect(response, location) {
  response.writeHead(302, { location }).end();
}

/** Who signs in by name and password at `/basic/me`. */
const ANN = `Basic ${Buffer.from('ann:right').toString('base64')}`;

function serve(request, response) {
  const url = new URL(request.url, 'http://provider');
  if (url.pathname === '/basic/me') {
    json(response, request.headers.authorization === ANN ? 200 : 401, {});
    return;
  }
  const [, way, , step] = url.pathname.split('/');
  const back = (said) => {
    const to = new URL(url.searchParams.get('redirect_uri'));
    to.search = new URLSearchParams({ ...said, state: url.searchParams.get('state') });
    return to.href;
  };
  const act = WAYS[way]?.[step];
  if (!act) html(response, 404, 'Nothing here');
  else act(response, back);
}

/** @returns {Promise<{origin: string, close: () => Promise<void>}>} */
export async function serveProviders() {
  const server = http.createServer(serve);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
