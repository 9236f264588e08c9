// Runs `linkspan dev` as a person would: a child process, a ready file, Ctrl-C.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Nango } from '@nangohq/node';
import { freePort, isListening, until } from './conditions.mjs';
import { createDatabase, hasServer } from './database.mjs';

const BUILT = fileURLToPath(new URL('../../target/debug/linkspan', import.meta.url));
/** The program under test. */
export const program = process.env.LINKSPAN_TEST_BIN || BUILT;
/** A first start makes a cluster, and may fetch Postgres before. */
const START_SECONDS = 180;
const STOP_SECONDS = 60;
/** The ready file of an earlier run, in a test's words. */
export const STALE = 'stale';

/** A temporary folder for `dev` to keep its things in. */
export async function makeDataDir() {
  return mkdtemp(path.join(os.tmpdir(), 'linkspan-clients-'));
}

/** Removes it, and the cluster that root's `dev` keeps outside of it. */
export async function removeDataDir(dataDir) {
  const server = await realpath(path.join(dataDir, 'postgres/server')).catch(() => null);
  for (const dir of [server, dataDir]) {
    if (dir) await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Starts the platform on a database of its own, or, without a test server, on
 * its private Postgres. The result's `stop` also removes what it was given.
 * `more` are settings by their names in the environment.
 */
export async function startPlatform(more = {}) {
  const dataDir = await makeDataDir();
  const database = hasServer ? await createDatabase() : null;
  const environment = database
    ? { LINKSPAN_DATABASE_URL: database.url, LINKSPAN_DATABASE_DIRECT_URL: database.directUrl }
    : {};
  const clean = async () => {
    await database?.drop();
    await removeDataDir(dataDir);
  };
  try {
    const platform = await launch({ dataDir, environment: { ...environment, ...more } });
    return Object.assign(platform, { stop: () => platform.interrupt().finally(clean) });
  } catch (error) {
    await clean();
    throw error;
  }
}

/**
 * Runs `linkspan dev` in its own process group and waits for its ready file.
 * What LINKSPAN_… variables this process has are not passed on.
 */
export async function launch({
  dataDir,
  environment = {},
  readyFile: name = 'ready.json',
  port,
  demoPort,
}) {
  const advice = `there is no program at ${program}: build it, or name it in LINKSPAN_TEST_BIN`;
  assert.ok(existsSync(program), advice);
  const readyFile = path.join(dataDir, name);
  const args = ['dev', '--data-dir', dataDir, '--ready-file', readyFile];
  args.push('--port', port ?? (await freePort()), '--demo-port', demoPort ?? (await freePort()));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('LINKSPAN_'));
  const child = spawn(program, args, {
    env: { ...Object.fromEntries(inherited), ...environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const platform = new Platform(child, readyFile, dataDir);
  await platform.ready();
  return platform;
}

/** A running `linkspan dev`, with everything that its ready file says. */
export class Platform {
  #child;
  #exit;
  #output = '';
  #readyFile;
  #killed = () => killGroup(this.#child.pid);

  constructor(child, readyFile, dataDir) {
    this.#child = child;
    this.#readyFile = readyFile;
    /** Where it keeps its things. */
    this.dataDir = dataDir;
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
      child.once('error', (error) => resolve({ error }));
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#output += text));
    }
    // A test run that is cut short leaves nothing behind.
    process.once('exit', this.#killed);
  }

  async ready() {
    let ended = null;
    this.#exit.then((exit) => (ended = exit));
    const ready = await until(
      'the ready file is written',
      () => {
        assert.equal(ended, null, `linkspan dev ended before it was ready:\n${this.#output}`);
        return readFile(this.#readyFile, 'utf8').then(parsed, () => null);
      },
      { seconds: START_SECONDS },
    ).catch((error) => {
      this.#killed();
      throw error;
    });
    Object.assign(this, ready);
  }

  /** Everything the program has printed so far. */
  get output() {
    return this.#output;
  }

  /** The published client, with this platform's key or another. */
  client(options = {}) {
    return new Nango({ host: this.server_url, apiKey: this.api_key, ...options });
  }

  /** Creates an integration with the demo provider of this platform. */
  async createDemoIntegration(uniqueKey = 'demo', more = {}) {
    const { data } = await this.client().createIntegration({
      unique_key: uniqueKey,
      provider: 'demo',
      credentials: { type: 'OAUTH2', client_id: 'demo-client', client_secret: 'demo-secret' },
      integration_config: { baseUrl: this.demo_url },
      ...more,
    });
    return data;
  }

  /** The token of a new connect session. */
  async connectToken(props = {}) {
    const session = { end_user: { id: 'user-1' }, ...props };
    const { data } = await this.client().createConnectSession(session);
    return data.token;
  }

  /**
   * Presses Ctrl-C, waits for the end, and checks that it was a clean one.
   * Gives what the program has printed.
   */
  async interrupt(signal = 'SIGINT') {
    process.kill(-this.#child.pid, signal);
    let exit = null;
    this.#exit.then((ended) => (exit = ended));
    try {
      await until('linkspan dev has ended', () => exit, { seconds: STOP_SECONDS });
    } finally {
      this.#killed();
      process.removeListener('exit', this.#killed);
    }
    assert.deepEqual(exit, { code: 0, signal: null }, `an unclean end:\n${this.#output}`);
    for (const url of [this.server_url, this.demo_url]) {
      assert.equal(await isListening(url), false, `${url} is still listened on`);
    }
    return this.#output;
  }
}

/** What a ready file says; nothing while it is what a test left there. */
function parsed(text) {
  return text === STALE ? null : JSON.parse(text);
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Nobody is left in it: the usual case.
    if (error.code !== 'ESRCH') throw error;
  }
}
