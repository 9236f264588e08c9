// Headless Chromium, and a product's page in it that uses the frontend client.

import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Longest wait for anything in a page, in milliseconds. */
const PATIENCE = 20_000;

export async function launchBrowser() {
  const executablePath = process.env.LINKSPAN_TEST_CHROMIUM || NAMES.map(inPath).find(Boolean);
  if (!executablePath) {
    throw new Error('there is no Chromium in PATH: name its path in LINKSPAN_TEST_CHROMIUM');
  }
  // Popups stay blocked outside of a click, as they are for everybody.
  const ignoreDefaultArgs = ['--disable-popup-blocking'];
  return chromium.launch({ executablePath, args: ARGS, ignoreDefaultArgs });
}

/** A fresh browser profile, without cookies. */
export async function newContext(browser, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  return context;
}

function inPath(name) {
  try {
    return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

const FRONTEND = fileURLToPath(new URL('.', import.meta.resolve('@nangohq/frontend')));
const PAGE = new URL('./product-page.html', import.meta.url);

/**
 * Serves a product's page, and the published frontend client as it is, from an
 * origin of its own: neither the server's nor the provider's.
 * @returns {Promise<{origin: string, close: () => Promise<void>}>}
 */
export async function serveProduct() {
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://product');
    const file = pathname === '/' ? PAGE : path.join(FRONTEND, path.basename(pathname));
    try {
      const content = await readFile(file);
      const type = pathname === '/' ? 'text/html' : 'text/javascript';
      response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The product's page, told what its button does. */
export class ProductPage {
  #page;

  constructor(page) {
    this.#page = page;
  }

  /** `call` is {host, connectSessionToken, integration, options}. */
  static async open(context, product, call) {
    const page = await context.newPage();
    await page.goto(`${product.origin}/#${encodeURIComponent(JSON.stringify(call))}`);
    await page.getByRole('button', { name: 'Connect' }).and(page.locator(':enabled')).waitFor();
    return new ProductPage(page);
  }

  /** Clicks, and gives the popup that the click opens. */
  async clickForPopup() {
    const popup = this.#page.waitForEvent('popup');
    await this.click();
    return popup;
  }

  async click() {
    await this.#page.getByRole('button', { name: 'Connect' }).click();
  }

  /** How the client's promise ended: `{resolved}` or `{rejected}`. */
  async outcome() {
    const outcome = this.#page.locator('#outcome:not(:empty)');
    return JSON.parse(await outcome.textContent());
  }
}

/** Signs in at the demo provider, up to its consent page. */
export async function signIn(popup) {
  await popup.getByLabel('Name').fill('demo');
  await popup.getByLabel('Password').fill('demo');
  await popup.getByRole('button', { name: 'Sign in' }).click();
  await popup.getByRole('heading', { name: 'Allow access?' }).waitFor();
}

/** Presses a button of the consent page: `Allow` or `Deny`. */
export async function decide(popup, button) {
  // The popup may be gone before the click is reported as done.
  await popup.getByRole('button', { name: button }).click({ noWaitAfter: true });
}

/** Waits until a window is closed. */
export async function closed(popup) {
  if (!popup.isClosed()) await popup.waitForEvent('close');
}
