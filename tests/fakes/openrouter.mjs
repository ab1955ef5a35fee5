#!/usr/bin/env node
// A fake of OpenRouter for tests: its images route and its chat route. It checks all it is sent, draws a picture for it,
// charges odd fractions of a dollar, and tells what it charged as decimal text of many forms. It listens on the loopback
// only and prints its port first.
//
//   openrouter.mjs [--port N] [--keys KEY,KEY]
//
//   POST /api/v1/images   POST /api/v1/chat/completions   GET /api/v1/key
//   GET  /_bill           what it was asked for, and what it charged, rounded up to micro-dollars for each request
//   GET  /_violations     what a well-made client would never have sent
//   POST /_reset          forget everything
//
// A marker in the prompt, `[router:WORD]`, has it misbehave: a status of ERRORS, a word of ACTS, or `ok_STATUS` for that
// error with status 200.

import { randomBytes, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { Bill, keyHash } from './bill.mjs';
import { drawImage } from './image.mjs';
import { readBody } from './validate.mjs';

// Prices in units of a billionth of a billionth of a dollar, so that no number of them is a round one.
const UNIT_DIGITS = 18;
const UNITS_PER_MICRO = 10n ** 12n;
export const ROUTER_MODELS = {
  'black-forest-labs/flux.2-pro': { route: 'images', price: 39_123_456_700_000_001n, modalities: null },
  'openai/gpt-image-2': { route: 'images', price: 52_680_000_000_000_000n, streams: true },
  'google/gemini-2.5-flash-image': { route: 'chat', price: 38_700_000_000_001_000n, modalities: 'image,text' },
  'bytedance-seed/seedream-4.5': { route: 'chat', price: 40_000_000_000_000_000n, modalities: 'image' },
};
const CHAT_PIXELS = { '1:1': [1024, 1024], '16:9': [1344, 768], '2:3': [832, 1248] };
const IMAGE_FIELDS = ['model', 'prompt', 'n', 'size', 'quality', 'output_format', 'background', 'output_compression', 'stream'];
const CHAT_FIELDS = ['model', 'messages', 'modalities', 'image_config'];
const HEADERS = [
  'host', 'authorization', 'content-type', 'content-length', 'accept', 'accept-encoding', 'user-agent', 'connection',
  'http-referer', 'x-openrouter-title', 'expect',
];

const failure = (code, message, metadata) => ({ error: { code, message, ...(metadata ? { metadata } : {}) }, user_id: 'user_fake' });

const ERRORS = {
  400: failure(400, 'The prompt was refused.', { error_type: 'content_policy_violation' }),
  401: failure(401, 'No auth credentials found'),
  402: failure(402, 'Insufficient credits. Add more at https://openrouter.ai/settings/credits'),
  403: failure(403, 'Your input was flagged', { reasons: ['violence'], flagged_input: 'a lig...', provider_name: 'Fake' }),
  404: failure(404, 'No endpoints found for this model.', { error_type: 'not_found' }),
  429: failure(429, 'Provider returned error', { error_type: 'rate_limit_exceeded' }),
  500: failure(500, 'Internal Server Error'),
  502: failure(502, 'Provider returned error', { error_type: 'provider_unavailable' }),
  503: failure(503, 'No instances available', { error_type: 'provider_overloaded' }),
  529: failure(529, 'Provider overloaded', { error_type: 'provider_overloaded' }),
};

class Refusal extends Error {
  constructor(status, message, ordinary = false) {
    super(message);
    Object.assign(this, { status, ordinary });
  }
}

const refuse = message => {
  throw new Refusal(400, message);
};

function only(object, names, where) {
  for (const name of Object.keys(object)) if (!names.includes(name)) refuse(`${where} has an unknown member '${name}'`);
}

function oneOf(value, values, name) {
  if (value !== undefined && !values.includes(value)) refuse(`${name} is '${value}'; expected ${values}`);
}

function checkImages(body, model) {
  only(body, IMAGE_FIELDS, 'the body');
  if (typeof body.prompt !== 'string' || body.prompt === '') refuse('prompt is missing');
  const n = body.n ?? 1;
  if (!Number.isInteger(n) || n < 1 || n > 10) refuse(`n is ${n}`);
  if (body.size !== undefined && !/^([1-9]\d{2,3}x[1-9]\d{2,3}|512|[124]K)$/.test(body.size)) refuse(`size is '${body.size}'`);
  oneOf(body.quality, ['auto', 'low', 'medium', 'high'], 'quality');
  oneOf(body.output_format, ['png', 'jpeg', 'webp'], 'output_format');
  oneOf(body.background, ['auto', 'transparent', 'opaque'], 'background');
  oneOf(body.stream, [true, false], 'stream');
  const [width, height] = (body.size ?? '1024x1024').split('x').map(Number);
  return { prompt: body.prompt, n, width, height, format: body.output_format ?? 'png', stream: body.stream && model.streams };
}

function checkChat(body, model) {
  only(body, CHAT_FIELDS, 'the body');
  const [message] = body.messages ?? refuse('messages are missing');
  if (body.messages.length !== 1) refuse('expected one message');
  only(message, ['role', 'content'], 'the message');
  if (message.role !== 'user' || typeof message.content !== 'string' || message.content === '') refuse('no text of a user');
  if (String(body.modalities) !== model.modalities) refuse(`modalities are '${body.modalities}'; expected ${model.modalities}`);
  const config = body.image_config ?? {};
  only(config, ['aspect_ratio', 'image_size'], 'image_config');
  oneOf(config.aspect_ratio, Object.keys(CHAT_PIXELS), 'aspect_ratio');
  oneOf(config.image_size, ['1K', '2K', '4K'], 'image_size');
  const [width, height] = CHAT_PIXELS[config.aspect_ratio ?? '1:1'];
  return { prompt: message.content, n: 1, width, height, format: 'png' };
}

// The same number in several ways to write it: plain, with zeros behind, with an exponent.
export function decimalText(units, form) {
  const digits = units.toString().padStart(UNIT_DIGITS + 1, '0');
  const plain = `${digits.slice(0, -UNIT_DIGITS)}.${digits.slice(-UNIT_DIGITS)}`;
  if (form % 3 === 0) return plain.replace(/0+$/, '').replace(/\.$/, '');
  if (form % 3 === 1) return `${plain}00`;
  const bare = units.toString();
  return `${bare[0]}${bare.length > 1 ? `.${bare.slice(1)}` : ''}e${bare.length - 1 - UNIT_DIGITS}`;
}

const inMicros = units => Number((units + UNITS_PER_MICRO - 1n) / UNITS_PER_MICRO);

class Router {
  #keys;
  #bill = new Bill();
  #violations = [];

  constructor(keys) {
    this.#keys = keys;
  }

  #checkKey(req) {
    const [, key] = /^Bearer ([\x21-\x7e]+)$/.exec(req.headers.authorization ?? '') ?? [];
    if (!key) throw new Refusal(401, 'No auth credentials found');
    if (this.#keys.size > 0 && !this.#keys.has(key)) throw new Refusal(401, 'User not found.', true);
    return key;
  }

  #remarks(req) {
    for (const name of Object.keys(req.headers))
      if (!HEADERS.includes(name)) this.#violations.push({ what: `unexpected header '${name}'` });
  }

  // JSON with the cost as a number of as many digits as it takes.
  #withCost(body, cost) {
    return JSON.stringify(body).replace('"@COST@"', cost);
  }

  #usage(act) {
    if (act === 'no_cost') return { prompt_tokens: 0, completion_tokens: 4175, total_tokens: 4175 };
    return { prompt_tokens: 0, completion_tokens: 4175, total_tokens: 4175, cost: '@COST@', is_byok: false };
  }

  #costText(act, units, serial) {
    if (act === 'text_cost') return '"0.04"';
    if (act === 'negative_cost') return '-0.04';
    if (act === 'huge_cost') return '4e300';
    return decimalText(units, serial);
  }

  #imagesReply(drawn, job, usage) {
    const data = drawn.map(bytes => ({ b64_json: bytes.toString('base64'), media_type: `image/${job.format}` }));
    return { created: Math.floor(Date.now() / 1000), data, usage };
  }

  #chatReply(act, drawn, job, usage) {
    const url = act === 'link' ? 'https://example.com/picture.png' : `data:image/png;base64,${drawn[0].toString('base64')}`;
    const message = { role: 'assistant', content: 'Here it is.', images: [{ type: 'image_url', image_url: { url } }] };
    // A page that the model cites has its link as deep as an image.
    message.annotations = [{ type: 'url_citation', url_citation: { url: 'https://example.com/' } }];
    if (act === 'text_only') delete message.images;
    const choice = { index: 0, message, finish_reason: 'stop' };
    if (act === 'choice_error') Object.assign(choice, { finish_reason: 'error', error: ERRORS[502].error });
    return { id: `gen-${randomBytes(8).toString('hex')}`, model: job.model, choices: [choice], usage };
  }

  #events(drawn, job, usage, act) {
    const image = drawn[0].toString('base64');
    const event = body => `data: ${JSON.stringify(body)}\n\n`;
    const events = [
      ': OPENROUTER PROCESSING\n\n',
      event({ type: 'image_generation.partial_image', partial_image_index: 0, b64_json: image }),
      event({ type: 'image_generation.text_chunk', text: 'thinking of it', phase: 'reasoning' }),
    ];
    if (act === 'stream_error') events.push(event({ type: 'error', ...ERRORS[502] }));
    else events.push(event({ type: 'image_generation.completed', b64_json: image, media_type: 'image/png', created: 1, usage }));
    return [...events, 'data: [DONE]\n\n'].join('');
  }

  #answer(job, serial) {
    const { act } = job;
    const known = /^(ok_)?(\d+)$/.exec(act ?? '');
    if (known) return { status: known[1] ? 200 : Number(known[2]), body: JSON.stringify(ERRORS[known[2]]) };
    if (act === 'html524') return { status: 524, type: 'text/html', body: '<html>A timeout occurred</html>' };

    const units = job.price * BigInt(job.n);
    const seed = i => `${job.prompt}\0${serial}\0${i}`;
    const drawn = Array.from({ length: job.n }, (_, i) => drawImage({ ...job, transparent: false, seed: seed(i) }));
    const free = ['choice_error', 'stream_error'].includes(act);
    if (!free)
      this.#bill.charge(serial, {
        images: job.n,
        cost_micros: inMicros(units),
        sha256: drawn.map(bytes => createHash('sha256').update(bytes).digest('hex')),
      });
    const usage = free ? undefined : this.#usage(act);
    const cost = this.#costText(act, units, serial);
    if (job.stream) {
      const body = this.#events(drawn, job, usage, act).replace('"@COST@"', cost);
      return { status: 200, type: 'text/event-stream', body };
    }
    const reply = job.route === 'chat' ? this.#chatReply(act, drawn, job, usage) : this.#imagesReply(drawn, job, usage);
    return { status: 200, body: this.#withCost(reply, cost) };
  }

  async #generate(req, route) {
    const entry = { prompt: null, route };
    let serial, reply;
    try {
      const bytes = await readBody(req);
      if (req.method !== 'POST') throw new Refusal(405, 'Method Not Allowed');
      this.#remarks(req);
      entry.key = keyHash(this.#checkKey(req));
      const body = JSON.parse(bytes);
      const model = ROUTER_MODELS[body.model];
      if (model?.route !== route) throw new Refusal(404, `No endpoints found for ${body.model}.`, true);
      const job = { ...model, model: body.model, ...(route === 'chat' ? checkChat(body, model) : checkImages(body, model)) };
      Object.assign(entry, { prompt: job.prompt, model: body.model, n: job.n });
      serial = this.#bill.open(entry);
      reply = this.#answer({ ...job, act: /\[router:(\w+)\]/.exec(job.prompt)?.[1] }, serial);
    } catch (error) {
      const status = error.status ?? 400;
      if (!error.ordinary) this.#violations.push({ what: `${status} ${error.message}`, prompt: entry.prompt });
      serial ??= this.#bill.open(entry);
      reply = { status, body: JSON.stringify(failure(status, error.message)) };
    }
    this.#bill.close(serial, { status: reply.status, sent: true });
    return { ...reply, headers: { 'x-generation-id': `gen-${serial}-${randomBytes(6).toString('hex')}` } };
  }

  #keyReply(req) {
    try {
      this.#checkKey(req);
      return { status: 200, body: JSON.stringify({ data: { label: 'fake', limit: null, usage: 0 } }) };
    } catch (error) {
      return { status: error.status, body: JSON.stringify(failure(error.status, error.message)) };
    }
  }

  #reset() {
    this.#bill.clear();
    this.#violations = [];
    return {};
  }

  async reply(req) {
    const json = body => ({ status: 200, body: JSON.stringify(body) });
    switch (`${req.method} ${req.url}`) {
      case 'GET /_bill':
        return json(this.#bill.summary());
      case 'GET /_violations':
        return json({ violations: this.#violations });
      case 'POST /_reset':
        return json(this.#reset());
      case 'GET /api/v1/key':
        return this.#keyReply(req);
      case 'POST /api/v1/images':
        return this.#generate(req, 'images');
      case 'POST /api/v1/chat/completions':
        return this.#generate(req, 'chat');
      default:
        this.#violations.push({ what: `nobody should ask for ${req.method} ${req.url}` });
        return { status: 404, body: JSON.stringify(failure(404, 'Not Found')) };
    }
  }
}

// Resolves to {port, url, close()}.
export async function startRouter({ port = 0, keys = new Set() } = {}) {
  const router = new Router(keys);
  const server = createServer(async (req, res) => {
    const { status, type = 'application/json', body, headers } = await router.reply(req);
    res.writeHead(status, { 'content-type': type, ...headers });
    res.end(body);
  });
  server.keepAliveTimeout = 60000;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: { port: { type: 'string' }, keys: { type: 'string' } } });
  const keys = new Set(values.keys?.split(','));
  const fake = await startRouter({ port: Number(values.port ?? 0), keys });
  process.stdout.write(`${fake.port}\n`);
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
}
