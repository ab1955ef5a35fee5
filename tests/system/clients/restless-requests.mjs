// Requests of many kinds to daemons that are killed meanwhile: restless-requests.mjs COUNT CONNECTIONS, with a client's key in TOKEN. One that gets no answer, or a
// 5xx, is sent again, with the same Idempotency-Key, until it is answered; so each that is to become a job does, once. Prints as JSON
// how many of each kind there were, how often requests were sent again, and the ids of the jobs whose cancellation was answered.

import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [count, connections] = process.argv.slice(2).map(Number);
const KEY = { authorization: `Bearer ${process.env.TOKEN}` };
const agent = new Agent({ keepAlive: true, timeout: 60000 });
const TRIES_MAX = 400;
const PAUSE_MS = 25;
const seen = { jobs: 0, refused: 0, read: 0, cancelled: 0, again: 0, cancellations: [] };

function call(method, path, body, headers = {}) {
  const text = body ? JSON.stringify(body) : '';
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        agent, method, path, host: '127.0.0.1', port: 8080,
        headers: { ...KEY, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers },
      },
      answer => {
        let got = '';
        answer.setEncoding('utf8').on('data', chunk => (got += chunk));
        answer.on('end', () => (answer.complete ? resolve({ status: answer.statusCode, text: got }) : reject(new Error('cut'))));
        answer.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

async function ask(expected, ...what) {
  let last;
  for (let i = 0; i < TRIES_MAX; i++) {
    try {
      last = await call(...what);
      if (last.status < 500) break;
    } catch (error) {
      last = { status: 0, text: String(error) };
    }
    seen.again++;
    await sleep(PAUSE_MS);
  }
  if (!expected.includes(last.status)) throw new Error(`${last.status} to ${what.slice(0, 2).join(' ')}: ${last.text}`);
  return last;
}

const picture = number => ({ model: 'sandbox', prompt: `restless ${number}`, size: '64x64' });
const key = number => ({ 'idempotency-key': `restless-${number}` });
const generations = '/v1/images/generations';
const asynchronous = { prefer: 'respond-async' };

const KINDS = [
  async number => {
    await ask([200], 'POST', generations, picture(number), key(number));
    seen.jobs++;
  },
  async number => {
    const { text } = await ask([202], 'POST', generations, picture(number), { ...key(number), ...asynchronous });
    await ask([200], 'GET', `/v1/jobs/${JSON.parse(text).id}`);
    seen.jobs++;
    seen.read++;
  },
  // Too late for some: then it says so.
  async number => {
    const { text } = await ask([202], 'POST', generations, picture(number), { ...key(number), ...asynchronous });
    const { id } = JSON.parse(text);
    await ask([200, 404, 409], 'DELETE', `/v1/jobs/${id}`);
    seen.jobs++;
    seen.cancelled++;
    seen.cancellations.push(id);
  },
  async number => {
    await ask([400], 'POST', generations, { ...picture(number), size: '1x1' });
    seen.refused++;
  },
  async () => {
    await ask([401], 'GET', '/v1/models', null, { authorization: 'Bearer atl_0123456789abcdef_nobody' });
    seen.refused++;
  },
  async number => {
    await ask([200], 'POST', '/v1/images/quote', picture(number));
    seen.read++;
  },
];

let next = 0;
async function work() {
  while (next < count) {
    const number = next++;
    await KINDS[number % 10 < 5 ? 0 : (number % 10) - 4](number);
  }
}

await Promise.all(Array.from({ length: connections }, work));
console.log(JSON.stringify(seen));
