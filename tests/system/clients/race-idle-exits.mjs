// Sends requests one after another, each on a connection of its own, so that they arrive while the daemons that served
// the one before are about to exit, exit, or have just exited. Prints each answer that is not what it should be; exits 0
// when there was none.
//
//   race-idle-exits.mjs REQUESTS PAUSE-MAX-MS

import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const ANSWER_TIMEOUT_MS = 30000;
const WAYS = [{ host: '127.0.0.1', port: 8080 }, { socketPath: '/run/atelier/api.sock' }, { host: '::1', port: 8080 }];

// In turn: one that api answers itself, one that it asks the worker, one that the worker works for.
const KINDS = [
  { method: 'GET', path: '/health/live' },
  { method: 'GET', path: '/v1/models' },
  { method: 'POST', path: '/v1/images/generations' },
];

function ask(number) {
  const { method, path } = KINDS[number % KINDS.length];
  const way = WAYS[Math.floor(number / KINDS.length) % WAYS.length];
  const body = method === 'POST' ? JSON.stringify({ model: 'sandbox', prompt: `race ${number}`, size: '64x64' }) : '';

  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', 'content-type': 'application/json', 'content-length': body.length };
    const call = request({ ...way, method, path, headers, agent: false, timeout: ANSWER_TIMEOUT_MS }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, text }));
      answer.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error(`no answer in ${ANSWER_TIMEOUT_MS} ms`)));
    call.on('error', reject);
    call.end(body);
  });
}

const [requests, pauseMax] = process.argv.slice(2).map(Number);
let failed = 0;
for (let number = 0; number < requests; number++) {
  const { method, path } = KINDS[number % KINDS.length];
  try {
    const { status, text } = await ask(number);
    if (status !== 200) throw new Error(`${status} ${text}`);
  } catch (error) {
    console.log(`request ${number}, ${method} ${path}: ${error.message}`);
    failed++;
  }
  await sleep(Math.random() * pauseMax);
}
process.exit(failed > 0 ? 1 : 0);
