// Tells the page that opened this popup how the flow ended, and closes the
// popup after a success. The websocket is the authority; this is only faster.
(() => {
  const outcome = document.getElementById('outcome');
  const errorType = outcome.dataset.kind;
  const message = document.getElementById('reason').textContent;
  const isError = errorType !== '';
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
  const channel = new BroadcastChannel('nango-oauth-callback');
  channel.postMessage(result);
  const close = (event) => {
    if (event.data && event.data.type === 'nango_oauth_callback_ack') window.close();
  };
  channel.addEventListener('message', close);
  window.addEventListener('message', close);
  if (!isError) setTimeout(() => window.close(), 500);
})();
