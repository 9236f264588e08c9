// Waiting for what another process does: until it is so, with a deadline.

import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Looks again and again until `look` gives something truthy, and gives that.
 * @param {string} what what is waited for, for the failure's message
 * @param {() => unknown} look may be async; what it throws ends the wait
 */
export async function until(what, look, { seconds = 30 } = {}) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still not: ${what}`);
    await pause(25);
  }
}

/** A port on loopback that was free a moment ago. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether anybody listens where a URL points to. */
export function isListening(url) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = net.connect({ host: hostname, port: Number(port) });
    const settle = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}
