// Submitters at the worker's own socket, each with one call under way at a time: prints how many submissions were
// answered a second, and how many microseconds one of a hundred took at least.
//
//   submitters.mjs COUNT CONNECTIONS

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const SOCKET = '/run/atelier/io.atelier.Worker';
const [count, connections] = process.argv.slice(2).map(Number);
const REQUEST = { model: 'sandbox', prompt: 'many', size: '64x64' };
const latencies = [];
let sent = 0;

function submission() {
  const parameters = { request_id: randomBytes(16).toString('hex'), caller: { origin: 'member' }, request: REQUEST };
  return `${JSON.stringify({ method: 'io.atelier.Queue.Submit', parameters })}\0`;
}

function submitter() {
  return new Promise((resolve, reject) => {
    const socket = connect(SOCKET);
    let got = '';
    let asked;
    const next = () => {
      asked = performance.now();
      if (sent++ < count) socket.write(submission());
      else socket.end(resolve);
    };
    socket.setEncoding('utf8').on('error', reject);
    socket.on('data', chunk => {
      got += chunk;
      if (!got.endsWith('\0')) return;
      if (JSON.parse(got.slice(0, -1)).parameters.job?.status !== 'queued') reject(new Error(got));
      got = '';
      latencies.push(performance.now() - asked);
      next();
    });
    next();
  });
}

const began = performance.now();
await Promise.all(Array.from({ length: connections }, submitter));
const seconds = (performance.now() - began) / 1000;
const p99 = latencies.sort((a, b) => a - b)[Math.floor(count * 0.99)];
console.log(`${Math.round(count / seconds)} a second, p99 ${Math.round(p99 * 1000)} us`);
