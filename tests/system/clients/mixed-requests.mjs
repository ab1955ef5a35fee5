// Requests of every kind, chosen by a seed, to the HTTP API: models and their aliases, sizes, qualities, numbers,
// streams, refusals, retries, cancellations.
//
//   mixed-requests.mjs COUNT CONNECTIONS SEED
//
// What a provider charges without telling how much is left out: here both sides know what every request came to.
// Prints how many requests ended with each status, and fails when one of another kind comes back.

import { Agent, request } from 'node:http';

const [count, connections, seed] = process.argv.slice(2).map(Number);
const agent = new Agent({ keepAlive: true });
const MODELS = ['gpt-image-2', 'gpt-image-2.5-flare', 'gpt-image-1.5', 'dall-e-3', 'dall-e-2'];
const SIZES = {
  'dall-e-3': ['1024x1024', '1792x1024', '1024x1792'],
  'dall-e-2': ['512x512', '1024x1024'],
  default: ['1024x1024', '1536x1024', '1024x1536', 'auto'],
};
const QUALITIES = { 'dall-e-3': ['standard', 'hd'], 'dall-e-2': ['standard'], default: ['low', 'medium', 'high', 'auto'] };
const ACTS = ['', '', '', '', 'status=400', 'status=moderation_blocked', 'times=1 status=500', 'times=1 status=429'];
const EXPECTED = new Set([200, 202, 400]);

// mulberry32, so that a run can be repeated.
let state = seed >>> 0;
function random(below) {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

const choose = list => list[random(list.length)];

function call(method, path, body, headers = {}) {
  const text = body ? JSON.stringify(body) : '';
  return new Promise((resolve, reject) => {
    const options = {
      agent,
      method,
      path,
      host: '127.0.0.1',
      port: 8080,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers },
    };
    const sent = request(options, answer => {
      let got = '';
      answer.setEncoding('utf8').on('data', chunk => (got.length < 4096 ? (got += chunk) : got));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: got }));
      answer.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

function describe(number) {
  const model = choose(MODELS);
  const alias = model.startsWith('dall-e');
  const act = choose(ACTS);
  const body = {
    model,
    prompt: `mixed ${seed} ${number} ${'é'.repeat(random(20))}${act && `[fake:${act}]`}`,
    size: choose(SIZES[model] ?? SIZES.default),
    quality: choose(QUALITIES[model] ?? QUALITIES.default),
    n: alias ? 1 : 1 + random(3),
  };
  if (!alias && !act && random(5) === 0) Object.assign(body, { n: 1, stream: true, partial_images: random(4) });
  return body;
}

const seen = {};

async function one(number) {
  const body = describe(number);
  const cancelled = !body.stream && random(10) === 0;
  const answer = await call('POST', '/v1/images/generations', body, cancelled ? { prefer: 'respond-async' } : {});
  if (!EXPECTED.has(answer.status)) throw new Error(`${answer.status} to ${JSON.stringify(body)}: ${answer.text}`);
  seen[answer.status] = (seen[answer.status] ?? 0) + 1;
  if (answer.status === 202) await call('DELETE', answer.headers.location);
}

let next = 0;
const worker = async () => {
  while (next < count) await one(next++);
};
await Promise.all(Array.from({ length: connections }, worker));
console.log(JSON.stringify(seen));
process.exit(0);
