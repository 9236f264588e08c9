// A database of its own for each platform under test.

import { randomUUID } from 'node:crypto';
import pg from 'pg';

/** Where databases are made and dropped: always the server itself. */
const ADMIN_URL = process.env.LINKSPAN_TEST_DATABASE_ADMIN_URL;
/** Where the program connects: the server, or a pooler before it. */
const APP_URL = process.env.LINKSPAN_TEST_DATABASE_URL || ADMIN_URL;

/** Whether there is a server to make databases on. */
export const hasServer = Boolean(ADMIN_URL);

/**
 * Makes an empty database on the test server.
 * @returns {Promise<{url: string, directUrl: string, drop: () => Promise<void>}>}
 *   `url` as the program connects, `directUrl` past any pooler.
 */
export async function createDatabase() {
  const name = `clients_${randomUUID().replaceAll('-', '')}`;
  await query(ADMIN_URL, `CREATE DATABASE ${name}`);
  return {
    url: withDatabase(APP_URL, name),
    directUrl: withDatabase(ADMIN_URL, name),
    drop: async () => {
      await query(ADMIN_URL, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

/** Runs one statement on a connection of its own, and gives its rows. */
export async function query(url, sql) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

function withDatabase(server, name) {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}
