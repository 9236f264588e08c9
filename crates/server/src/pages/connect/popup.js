// The window in which a provider asks for consent, and the websocket that says
// how it ended.

/** How often it is looked whether the window is still there, in milliseconds. */
const LOOK = 500;

/**
 * Opens the window, which must happen inside the click or the browser blocks it.
 * It gets its address when the websocket has told us its id.
 *
 * A provider's page may cut its window off, which then looks closed from here and
 * is not: `onClosed` is called, and the result is waited for all the same.
 * @param {(channel: string) => string} address of the flow
 * @returns {{result: Promise<{id: string, isPending: boolean}>, abandon: () => void}} the connection
 */
function popup(websocketsPath, address, onClosed) {
  const left = Math.max((screen.width - 500) / 2, 0);
  const top = Math.max((screen.height - 600) / 2, 0);
  const opened = window.open('', '_blank', `width=500,height=600,left=${left},top=${top}`);
  if (!opened) {
    const blocked = 'The browser blocked the window. Allow popups for this page and try again.';
    return { result: Promise.reject(new Error(blocked)), abandon() {} };
  }
  const socket = new WebSocket(new URL(websocketsPath, location.href.replace(/^http/, 'ws')));
  let isEnded = false;
  const looking = setInterval(() => {
    if (!opened.closed) return;
    clearInterval(looking);
    onClosed();
  }, LOOK);
  const abandon = () => {
    isEnded = true;
    clearInterval(looking);
    socket.close();
  };
  const result = new Promise((resolve, reject) => {
    const fail = (reason) => {
      if (isEnded) return;
      abandon();
      reject(new Error(reason));
    };
    const lost = 'The connection to the server was lost. Close the window and try again.';
    socket.addEventListener('error', () => fail(lost));
    socket.addEventListener('close', () => fail(lost));
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(data);
      if (message.message_type === 'connection_ack') {
        opened.location = address(message.ws_client_id);
      } else if (message.message_type === 'success') {
        abandon();
        resolve({ id: message.connection_id, isPending: message.is_pending });
      } else {
        fail(message.error_desc);
      }
    });
  });
  return { result, abandon };
}
