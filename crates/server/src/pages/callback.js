// Tells the page that opened this popup how the flow ended, and closes the
// popup after a success. The websocket is the authority; this is only faster.
(() => {
  const outcome = document.getElementById('outcome');
  const errorType = outcome.dataset.kind;
  const message = document.getElementById('reason').textContent;
  const isError = errorType !== '';
  const isDebug = new URLSearchParams(location.search).get('nango_debug') === '1';
  if (isError) {
    document.getElementById('details').hidden = false;
    window.__nangoOAuthError = { message, errorType };
  }
  const result = isError
    ? { type: 'nango_oauth_callback_error', payload: { message, errorType } }
    : { type: 'nango_oauth_callback_success' };

  // Only to the origin that waits on the websocket: with none, to nobody.
  const origin = outcome.dataset.origin;
  if (origin && window.opener) {
    window.opener.postMessage(result, origin);
  }
  if (isDebug) {
    const debug = document.getElementById('debug');
    document.getElementById('details').open = true;
    debug.textContent = [
      `Opener: ${window.opener ? 'still there' : 'gone, or none'}.`,
      `Told by message: ${origin && window.opener ? origin : 'nobody'}.`,
      `This page: ${location.origin}${location.pathname}.`,
    ].join(' ');
    debug.hidden = false;
  }
  const channel = new BroadcastChannel('nango-oauth-callback');
  channel.postMessage(result);
  // With nango_debug=1 the window stays, to be read.
  if (isDebug) return;
  const close = (event) => {
    if (event.data && event.data.type === 'nango_oauth_callback_ack') window.close();
  };
  channel.addEventListener('message', close);
  window.addEventListener('message', close);
  if (isError) return;
  setTimeout(() => {
    window.close();
    // Still here: the provider's pages cut this window off from its opener.
    setTimeout(() => {
      document.getElementById('text').textContent =
        'The account is connected. You can close this window.';
    }, 500);
  }, 500);
})();
