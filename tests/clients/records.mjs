// Records as a sync would save them: by the store itself, which needs the
// database and the root key, and not by a route, which there is none of.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { program } from './platform.mjs';

/** The program that saves them, which is built with the tests. */
const saver = path.join(path.dirname(program), 'linkspan-test-records');

/**
 * Does `what` ('save', 'update' or 'delete') with records of a connection, given
 * as values or as the text of an array. Gives what became of each.
 */
export async function store(platform, what, { connectionId, model, variant }, records) {
  const args = [what, '--database-url', platform.database_url, '--connection', connectionId];
  args.push('--root-key-file', path.join(platform.dataDir, 'root-key'), '--model', model);
  if (variant) args.push('--variant', variant);
  const child = spawn(saver, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(typeof records === 'string' ? records : JSON.stringify(records));
  const ended = new Promise((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  const printed = await text(child.stdout);
  assert.equal(await ended, 0, `${saver} failed`);
  return JSON.parse(printed);
}
