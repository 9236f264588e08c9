// graphile-worker on jobs that do nothing; `cargo xtask bench jobs` starts it, with
// NO_LOG_SUCCESS set, since its line for each job would cost more than the job.
// Prints one JSON object.
import { performance } from 'node:perf_hooks';
import { makeWorkerUtils, run, runMigrations } from 'graphile-worker';
import pg from 'pg';

const [what, connectionString, number] = process.argv.slice(2);
const count = Number(number);

// What follows is from its own performance test.
const JOBS = 24;
const fast = {
  localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
const preset = (more) => ({
  worker: { connectionString, concurrentJobs: JOBS, maxPoolSize: JOBS + 1, ...more },
});

const measures = {
  add,
  queue: () => work(fast),
  plain: () => work({}),
  latency,
};

/** Jobs added, 500 in a statement, by four connections. */
async function add() {
  await runMigrations({ preset: preset() });
  const utils = await makeWorkerUtils({ preset: preset() });
  const begun = performance.now();
  const share = count / 4;
  await Promise.all([0, 1, 2, 3].map(async (writer) => {
    for (let n = 0; n < share; n += 500) {
      const jobs = Array.from({ length: Math.min(500, share - n) }, (_, i) =>
        ({ identifier: 'noop', payload: { id: writer * share + n + i } }));
      await utils.addJobs(jobs);
    }
  }));
  const enqueued = (count * 1000) / (performance.now() - begun);
  await utils.release();
  const pool = new pg.Pool({ connectionString });
  await pool.query('VACUUM ANALYZE graphile_worker._private_jobs');
  await pool.query('CHECKPOINT');
  await pool.end();
  return { enqueued_per_s: enqueued };
}

/** From starting a worker until so many jobs have run and it has stopped. */
async function work(more) {
  const epoch = () => performance.timeOrigin + performance.now();
  let ran = 0;
  let done;
  const enough = new Promise((resolve) => { done = resolve; });
  const began = epoch();
  const runner = await run({
    preset: preset(more),
    taskList: { noop: () => { if (++ran === count) done(); } },
  });
  await enough;
  await runner.stop();
  return { began_ms: began, ended_ms: epoch(), ran };
}

/** From adding a job to its start, one after the other; the local queue would wait. */
async function latency() {
  await runMigrations({ preset: preset() });
  let started;
  const runner = await run({
    preset: preset({}),
    taskList: { wait: ({ id }) => started(id) },
  });
  const pool = new pg.Pool({ connectionString });
  const client = await pool.connect();
  const took = [];
  for (let id = 0; id < count + 20; id++) {
    const start = new Promise((resolve) => { started = resolve; });
    const begun = performance.now();
    await client.query(
      "SELECT graphile_worker.add_job('wait', json_build_object('id', $1::int))", [id]);
    await start;
    if (id >= 20) took.push(performance.now() - begun);
    await new Promise((resolve) => setTimeout(resolve, (id * 7) % 17));
  }
  client.release();
  await pool.end();
  await runner.stop();
  took.sort((a, b) => a - b);
  const at = (percent) => took[Math.min(took.length - 1, Math.floor(took.length * percent / 100))];
  return { p50_ms: at(50), p99_ms: at(99) };
}

console.log(JSON.stringify(await measures[what]()));
process.exit(0);
