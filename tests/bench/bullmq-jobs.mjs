// BullMQ's side of the jobs benchmark: prints `ready`, then for each line {"jobs": N, "tag": TEXT} on its
// input adds N jobs from as many adders as Atelier has connections, works them off, and prints {"seconds",
// "p50_us", "p99_us"}.
//
// The work is nothing, and nothing is kept of it: what is measured is the queue. Adding and completing are
// both durable, since Redis syncs its log on every write.

import { createInterface } from 'node:readline';

import { Queue, Worker } from 'bullmq';

import { percentile } from './percentile.mjs';

const ADDERS = 64;
const WORKERS_AT_ONCE = 64;
const NAME = 'bench';

const connection = { host: '127.0.0.1', port: Number(process.argv[2]), maxRetriesPerRequest: null };
const queue = new Queue(NAME, { connection });
const worker = new Worker(NAME, async () => null, { connection, concurrency: WORKERS_AT_ONCE });

// From the call that adds a job until the worker knows it completed.
async function runJobs(count, tag) {
  const began = new Map();
  const latencies = [];
  let next = 0;
  const done = new Promise(resolve => {
    worker.on('completed', job => {
      latencies.push(process.hrtime.bigint() - began.get(job.data.prompt));
      if (latencies.length === count) resolve();
    });
  });

  const start = process.hrtime.bigint();
  const adders = Array.from({ length: ADDERS }, async () => {
    while (next < count) {
      const prompt = `a lighthouse, ${tag}, number ${next++}`;
      began.set(prompt, process.hrtime.bigint());
      await queue.add('image', { model: 'sandbox', prompt, size: '64x64' });
    }
  });
  await Promise.all([...adders, done]);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  worker.removeAllListeners('completed');

  const microseconds = latencies.map(latency => Number(latency / 1000n));
  return { seconds, p50_us: percentile(microseconds, 50), p99_us: percentile(microseconds, 99) };
}

await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const { jobs, tag } = JSON.parse(line);
  console.log(JSON.stringify(await runJobs(jobs, tag)));
}
await worker.close();
await queue.close();
