// Requests of every kind, chosen by a seed, to the HTTP API: models and their aliases, sizes, qualities, numbers, streams,
// edits, batches, refusals, retries, cancellations, what the cache answers and what an idempotency key does.
//
//   mixed-requests.mjs COUNT CONNECTIONS SEED
//
// What a provider charges without telling how much is left out: here both sides know what every request came to.
// Prints how many requests there were of each kind and how many ended with each status, and fails when one of another
// status comes back.

import { Agent, request } from 'node:http';

import { drawImage } from '../../fakes/image.mjs';

const [count, connections, seed] = process.argv.slice(2).map(Number);
const agent = new Agent({ keepAlive: true, timeout: 60000 }); // without one it does not heed Keep-Alive
const MODELS = ['gpt-image-2', 'gpt-image-2.5-flare', 'gpt-image-1.5', 'dall-e-3', 'dall-e-2'];
const EDIT_MODELS = ['gpt-image-2', 'gpt-image-2.5-flare', 'gpt-image-1.5'];
const SIZES = {
  'dall-e-3': ['1024x1024', '1792x1024', '1024x1792'],
  'dall-e-2': ['512x512', '1024x1024'],
  default: ['1024x1024', '1536x1024', '1024x1536', 'auto'],
};
const QUALITIES = { 'dall-e-3': ['standard', 'hd'], 'dall-e-2': ['standard'], default: ['low', 'medium', 'high', 'auto'] };
const ACTS = ['', '', '', '', 'status=400', 'status=moderation_blocked', 'times=1 status=500', 'times=1 status=429'];
const EXPECTED = new Set([200, 202, 400]);
const REMEMBERED = 64; // requests that may be made again
const BOUNDARY = 'a-form-of-these-requests';

// mulberry32, so that a run can be repeated.
let state = seed >>> 0;
function random(below) {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

const choose = list => list[random(list.length)];
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const pictures = [64, 600, 1100].map(width => drawImage({ width, height: 64, seed: `picture ${width}` }));
const masks = [64, 600, 1100].map(width => drawImage({ width, height: 64, seed: `mask ${width}`, transparent: true }));

function call(method, path, bytes = '', headers = {}) {
  return new Promise((resolve, reject) => {
    const options = {
      agent,
      method,
      path,
      host: '127.0.0.1',
      port: 8080,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes), ...headers },
    };
    const sent = request(options, answer => {
      let got = '';
      answer.setEncoding('utf8').on('data', chunk => (got.length < 4096 ? (got += chunk) : got));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: got }));
      answer.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(bytes);
  });
}

const seen = {};
const count1 = what => (seen[what] = (seen[what] ?? 0) + 1);

async function expect(method, path, bytes, headers) {
  const answer = await call(method, path, bytes, headers);
  if (!EXPECTED.has(answer.status)) throw new Error(`${answer.status} to ${method} ${path} ${bytes}: ${answer.text}`);
  count1(answer.status);
  if (answer.headers['x-atelier-cache']) count1(answer.headers['x-atelier-cache']);
  return answer;
}

const generate = (body, headers) => expect('POST', '/v1/images/generations', JSON.stringify(body), headers);
const promptOf = (number, act) => `mixed ${seed} ${number} ${'é'.repeat(random(20))}${act && `[fake:${act}]`}`;

function describe(number, models = MODELS) {
  const model = choose(models);
  const alias = model.startsWith('dall-e');
  const act = choose(ACTS);
  const body = {
    model,
    prompt: promptOf(number, act),
    size: choose(SIZES[model] ?? SIZES.default),
    quality: choose(QUALITIES[model] ?? QUALITIES.default),
    n: alias ? 1 : 1 + random(3),
  };
  if (!alias && !act && random(5) === 0) Object.assign(body, { n: 1, stream: true, partial_images: random(4) });
  return body;
}

function describePart(name, value) {
  const file = Buffer.isBuffer(value) ? '; filename="picture.png"\r\nContent-Type: image/png' : '';
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
  return [Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')];
}

function form(parts) {
  return Buffer.concat([...parts.flatMap(([name, value]) => describePart(name, value)), Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

const dataUrl = bytes => ({ image_url: `data:image/png;base64,${bytes.toString('base64')}` });

// What was asked for, the latest in the place of the oldest.
const remembered = [];

const KINDS = {
  async generation(number) {
    const body = describe(number);
    await generate(body);
    if (!body.stream) remembered[number % REMEMBERED] = body;
  },

  // What was there already costs nothing more, unless it failed.
  async again(number) {
    await generate(choose(remembered.filter(Boolean).concat(describe(number))));
  },

  async together(number) {
    const body = { ...describe(number), stream: undefined, partial_images: undefined };
    await Promise.all([generate(body), generate(body), generate(body)]);
  },

  async replay(number) {
    const body = { ...describe(number), stream: false, partial_images: undefined };
    const headers = { 'idempotency-key': `mixed ${seed} ${number}` };
    await Promise.all([generate(body, headers), generate(body, headers)]);
    await generate(body, headers);
  },

  async edit(number) {
    const { prompt, stream, partial_images: partials, ...rest } = describe(number, EDIT_MODELS);
    const which = random(pictures.length);
    const several = random(3) === 0 ? [pictures[which], choose(pictures)] : [pictures[which]];
    const mask = random(3) === 0 ? masks[which] : null;
    const streamed = stream ? { stream, partial_images: partials } : {};
    if (random(3) === 0) {
      const body = { prompt, ...rest, ...streamed, images: several.map(dataUrl), ...(mask && { mask: dataUrl(mask) }) };
      await expect('POST', '/v1/images/edits', JSON.stringify(body));
      return;
    }
    const fields = Object.entries({ prompt, ...rest, ...streamed }).map(([name, value]) => [name, String(value)]);
    const files = several.map(bytes => [several.length > 1 ? 'image[]' : 'image', bytes]);
    const bytes = form([...fields, ...files, ...(mask ? [['mask', mask]] : [])]);
    await expect('POST', '/v1/images/edits', bytes, { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` });
  },

  // At once, or when it may be under way.
  async cancellation(number) {
    const { headers } = await generate({ ...describe(number), stream: undefined, partial_images: undefined }, { prefer: 'respond-async' });
    await pause(random(2) * random(50));
    const { status, text } = await call('DELETE', headers.location);
    count1(status === 200 ? (JSON.parse(text).status ?? 'deleted') : `cancel ${status}`);
  },

  async batch(number) {
    const requests = Array.from({ length: 2 + random(6) }, (_, i) => {
      const { stream, partial_images: partials, ...body } = describe(`${number}.${i}`);
      return void stream, void partials, body;
    });
    const { headers } = await expect('POST', '/v1/batches', JSON.stringify({ requests }));
    if (random(3) > 0) return;
    await pause(random(50));
    count1(`cancel batch ${(await call('POST', `${headers.location}/cancel`)).status}`);
  },
};

const SHARES = { generation: 55, again: 9, together: 3, replay: 5, edit: 15, cancellation: 10, batch: 3 };
const draw = Object.entries(SHARES).flatMap(([kind, share]) => Array(share).fill(kind));

let next = 0;
const worker = async () => {
  while (next < count) {
    const kind = choose(draw);
    count1(kind);
    await KINDS[kind](next++);
  }
};
await Promise.all(Array.from({ length: connections }, worker));
console.log(JSON.stringify(seen));
process.exit(0);
