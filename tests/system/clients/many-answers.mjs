// Asks for many large images at once and judges every answer.
//
//   many-answers.mjs COUNT url|b64_json MODEL SIZE
//
// All requests are under way before one answer is read: nobody reads before the last answer has begun. With url the
// images are then fetched, some at a time, and each has to hash to the name it goes by. Every picture has to be whole,
// and another one. Prints {"answers", "images", "bytes"}, or throws.

import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';

import { readPng } from '../../fakes/read-png.mjs';

const HOST = { host: '127.0.0.1', port: 8080 };
const FETCHED_AT_ONCE = 4;

const [count, format, model, size] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, timeout: 60000 }); // without one it does not heed Keep-Alive
// Connections of their own: those that were answered idle until the api closes them, which may be while one is taken up again.
const fetching = new Agent({ keepAlive: true, maxSockets: FETCHED_AT_ONCE });

// Resolves with the answer when it begins; nothing of its body is read yet.
function ask(path, body) {
  return new Promise((resolve, reject) => {
    const options = { ...HOST, agent: body ? agent : fetching, path, method: body ? 'POST' : 'GET' };
    if (body) options.headers = { 'content-type': 'application/json' };
    request(options, resolve).on('error', reject).end(body);
  });
}

async function read(answer) {
  const parts = [];
  for await (const part of answer) parts.push(part);
  const body = Buffer.concat(parts);
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${body.toString().slice(0, 500)}`);
  return body;
}

function hash(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

async function fetched(url) {
  const { pathname } = new URL(url);
  const bytes = await read(await ask(pathname));
  if (!pathname.includes(hash(bytes))) throw new Error(`${pathname} has another hash`);
  return bytes;
}

// Its hash and size.
function judge(bytes) {
  const { width, height } = readPng(bytes);
  if (`${width}x${height}` !== size) throw new Error(`a picture of ${width}x${height}`);
  return [hash(bytes), bytes.length];
}

async function image(answer) {
  const [{ url, b64_json: base64 }] = JSON.parse(await read(answer)).data;
  return judge(format === 'url' ? await fetched(url) : Buffer.from(base64, 'base64'));
}

const requests = Array.from({ length: Number(count) }, (_, i) =>
  ask(
    '/v1/images/generations',
    JSON.stringify({ model, size, prompt: `lighthouse ${i}`, ...(format === 'url' ? { response_format: 'url' } : {}) }),
  ),
);
const answers = await Promise.all(requests);
const images = new Map();
const readers = Array.from({ length: FETCHED_AT_ONCE }, async () => {
  for (let answer = answers.pop(); answer; answer = answers.pop()) images.set(...(await image(answer)));
});
await Promise.all(readers);
if (images.size !== Number(count)) throw new Error(`${images.size} different images, not ${count}`);
agent.destroy();
fetching.destroy();
const bytes = [...images.values()].reduce((sum, size) => sum + size, 0);
process.stdout.write(`${JSON.stringify({ answers: Number(count), images: images.size, bytes })}\n`);
