// What the Node client passes on when the server refuses.

import assert from 'node:assert/strict';

/** The answer must be an error of this status and code; gives the error. */
export async function assertFails(promise, status, code) {
  const failure = await promise.then(
    (value) => assert.fail(`no failure but ${JSON.stringify(value)}`),
    (error) => error,
  );
  assert.ok(failure.response, `not an answer: ${failure}`);
  const { error } = failure.response.data;
  assert.deepEqual([failure.response.status, error.code], [status, code], JSON.stringify(error));
  assert.ok(error.message.length > 10, 'the message says something');
  return error;
}

/** The one field that an `invalid_…` error names. */
export function onlyField(error) {
  assert.equal(error.errors.length, 1, JSON.stringify(error));
  return error.errors[0];
}
