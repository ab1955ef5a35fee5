#!/usr/bin/env node
// A fake of the OpenAI images service for tests: it checks all it is sent, draws a picture for it, keeps a
// bill, and misbehaves when asked to (behaviours.mjs). It listens on the loopback only and prints its port
// first.
//
//   openai.mjs [--port N] [--keys KEY,KEY] [--day YYYY-MM-DD] [--bill FILE] [--tls-cert FILE --tls-key FILE]
//
//   POST /v1/images/generations   POST /v1/images/edits   GET /v1/models   GET /v1/models/ID   GET /files/NAME (of a `url`)
//   GET  /_bill[?requests=N][&finished=N][&timeout=MS]   the bill once so many are in (done), else 504
//   GET  /_violations             what a well-made client would never have sent
//   POST /_control                {"rules": [{"match": TEXT, "next": N, "act": "late=3000 status=500"}]};
//                                 with "models": true for GET /v1/models
//   POST /_release                let the held requests go on, and those to come
//   POST /_reset                  forget everything

import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { Rules, actOfPrompt, imageCount, insteadOf, spoilBody, spoilImage } from './behaviours.mjs';
import { Bill, keyHash } from './bill.mjs';
import { deliver } from './deliver.mjs';
import { EDIT_BYTES_MAX, checkEdit } from './edits.mjs';
import { generate } from './generation.mjs';
import { modelDescription, modelList } from './models.mjs';
import { streamEvents } from './streams.mjs';
import {
  Refusal,
  checkGeneration,
  checkKey,
  checkMethod,
  checkModel,
  readBody,
  remarksOnHeaders,
} from './validate.mjs';

const DAY = '2026-11-22';
const KEEP_ALIVE_MS = 60000;
const FILES_MAX = 1024;

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function jsonReply(status, body) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { status, type: 'application/json', body: text };
}

class Fake {
  #options;
  #bill;
  #rules = new Rules();
  #violations = [];
  #files = new Map();
  #gate = new EventEmitter().setMaxListeners(0);
  #gateOpen = false;

  constructor(options) {
    this.#options = { day: DAY, keys: new Set(), ...options };
    this.#bill = new Bill(options.bill);
  }

  #note(what, req, prompt) {
    this.#violations.push({ what, request: `${req.method} ${req.url}`, prompt });
  }

  #refusalReply(error, req, prompt) {
    if (!(error instanceof Refusal)) {
      this.#note(`the test is wrong: ${error.message}`, req, prompt);
      return jsonReply(400, { error: { message: error.message } });
    }
    if (!error.ordinary) this.#note(`${error.status} ${error.message}`, req, prompt);
    return jsonReply(error.status, error.body);
  }

  #serviceHeaders(started) {
    return {
      'x-request-id': `req_${randomBytes(16).toString('hex')}`,
      'openai-processing-ms': String(Date.now() - started),
      'openai-version': '2020-10-01',
      'openai-organization': 'org-fake',
      'x-ratelimit-limit-requests': '500',
      'x-ratelimit-remaining-requests': '499',
      'x-ratelimit-reset-requests': '120ms',
    };
  }

  #keepFile(bytes, format) {
    const name = `${sha256(bytes)}.${format}`;
    this.#files.set(name, { bytes, format });
    if (this.#files.size > FILES_MAX) this.#files.delete(this.#files.keys().next().value);
    return name;
  }

  // The reply to a checked request, charged; the act decides how much of it is true.
  #generate({ serial, model, request, act, origin }) {
    const made = generate(model, request, imageCount(act, request.n), serial);
    const drawn = made.draw();
    this.#bill.charge(serial, {
      images: drawn.length,
      cost_micros: made.cost_micros,
      sha256: drawn.map(sha256),
    });
    const byAddress = request.response_format === 'url';
    const revised = model.revisesPrompt ? { revised_prompt: `${request.prompt}.` } : {};
    const data = drawn.map((bytes, i) => ({
      ...(byAddress
        ? { url: `${origin}/files/${this.#keepFile(bytes, request.output_format)}` }
        : { b64_json: spoilImage(act, bytes, made.pictures[i]) }),
      ...revised,
    }));
    return jsonReply(200, spoilBody(act, made.body(data)));
  }

  // The same as a stream. An error in it takes the place of the image, and nothing is charged then.
  #stream({ serial, model, request, act }) {
    const made = generate(model, request, 1, serial);
    const [bytes] = made.draw();
    if (act.stream !== 'error')
      this.#bill.charge(serial, { images: 1, cost_micros: made.cost_micros, sha256: [sha256(bytes)] });
    const drawn = spoilImage(act, bytes, made.pictures[0]);
    const events = streamEvents(made, drawn, act, request);
    return { status: 200, type: 'text/event-stream; charset=utf-8', body: events.join(''), events };
  }

  async #hold(res) {
    if (this.#gateOpen || res.destroyed) return;
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    await once(this.#gate, 'open', { signal: gone.signal }).catch(() => {});
  }

  // Judges the request and enters it in the bill: {serial, act} and the reply that refuses it, or else
  // {model, request}.
  async #admit(req, isEdit) {
    const entry = {
      method: req.method,
      key: null,
      prompt: null,
      idempotency_key: req.headers['idempotency-key'] ?? null,
    };
    let job = null;
    try {
      const bytes = await readBody(req, isEdit ? EDIT_BYTES_MAX : undefined);
      checkMethod(req, 'POST');
      entry.key = keyHash(checkKey(req, this.#options.keys));
      job = (isEdit ? checkEdit : checkGeneration)(req, bytes, this.#options.day);
      const { model, prompt, n, size, quality, uploads } = job.request;
      Object.assign(entry, { model, prompt, n, size, quality, ...(uploads ? { uploads } : {}) });
      job.remarks.forEach(what => this.#note(what, req, prompt));
      const act = { ...this.#rules.takeForPrompt(prompt), ...actOfPrompt(prompt) };
      return { ...job, serial: this.#bill.open(entry), act: this.#inTime(act, prompt) };
    } catch (error) {
      const reply = this.#refusalReply(error, req, job?.request.prompt);
      return { serial: this.#bill.open(entry), act: {}, reply };
    }
  }

  // An act with `times` is spent once its prompt has been seen so often.
  #inTime(act, prompt) {
    return this.#bill.seen(prompt) > (act.times ?? Infinity) ? {} : act;
  }

  async #generation(req, res, isEdit = false) {
    const started = Date.now();
    const { reply: refused, ...job } = await this.#admit(req, isEdit);
    if (job.act.hold) await this.#hold(res);

    const origin = `http://${req.headers.host}`;
    const streams = job.request?.stream && !job.act.plain;
    const make = () => (streams ? this.#stream(job) : this.#generate({ ...job, origin }));
    const reply = refused ?? insteadOf(job.act) ?? make();
    const headers = { ...this.#serviceHeaders(started), ...reply.headers };
    const hold = () => this.#hold(res);
    const sent = await deliver(res, { ...reply, headers, hold }, job.act);
    this.#bill.close(job.serial, { status: reply.status, sent });
  }

  async #models(req, res, path) {
    const started = Date.now();
    let reply;
    try {
      checkMethod(req, 'GET');
      checkKey(req, this.#options.keys);
      const id = decodeURIComponent(path.slice('/v1/models/'.length));
      const { day } = this.#options;
      if (id) checkModel(id, day);
      reply = jsonReply(200, id ? modelDescription(id) : modelList(day));
    } catch (error) {
      reply = this.#refusalReply(error, req);
    }
    const act = this.#rules.takeForModels();
    const headers = this.#serviceHeaders(started);
    await deliver(res, { headers, ...(insteadOf(act) ?? reply) }, act);
  }

  #file(name) {
    const file = this.#files.get(name);
    return file
      ? { status: 200, type: `image/${file.format}`, body: file.bytes }
      : { status: 404, type: 'text/plain', body: 'expired\n' };
  }

  #reset() {
    this.#bill.clear();
    this.#rules.set([]);
    this.#violations = [];
    this.#files.clear();
    this.#gate.emit('open');
    this.#gateOpen = false;
    return jsonReply(200, {});
  }

  #release() {
    this.#gateOpen = true;
    this.#gate.emit('open');
    return jsonReply(200, {});
  }

  async #control(req) {
    try {
      this.#rules.set(JSON.parse(await readBody(req)).rules);
      return jsonReply(200, {});
    } catch (error) {
      return jsonReply(400, { error: { message: error.message } });
    }
  }

  async #readBill(query) {
    const wanted = Object.fromEntries([...query].map(([name, value]) => [name, Number(value)]));
    const reached = await this.#bill.reach(wanted);
    return jsonReply(reached ? 200 : 504, this.#bill.summary());
  }

  // The tests' own door: no check, no bill.
  async #testDoor(req, url) {
    switch (`${req.method} ${url.pathname}`) {
      case 'GET /_bill':
        return this.#readBill(url.searchParams);
      case 'GET /_violations':
        return jsonReply(200, { violations: this.#violations });
      case 'POST /_control':
        return this.#control(req);
      case 'POST /_release':
        return this.#release();
      case 'POST /_reset':
        return this.#reset();
      default:
        this.#note('nobody should come here', req);
        return jsonReply(404, { error: { message: 'not one of the test doors' } });
    }
  }

  async handle(req, res) {
    const url = new URL(req.url, 'http://localhost');
    if (url.pathname.startsWith('/_')) return deliver(res, await this.#testDoor(req, url), {});
    if (url.pathname.startsWith('/files/'))
      return deliver(res, this.#file(url.pathname.slice('/files/'.length)), {});

    remarksOnHeaders(req).forEach(what => this.#note(what, req));
    if (url.search) this.#note('a query in the address', req);
    if (url.pathname === '/v1/images/generations') return this.#generation(req, res);
    if (url.pathname === '/v1/images/edits') return this.#generation(req, res, true);
    if (url.pathname === '/v1/models' || url.pathname.startsWith('/v1/models/'))
      return this.#models(req, res, url.pathname);

    const unknown = new Refusal(404, `Invalid URL (${req.method} ${req.url})`);
    return deliver(res, this.#refusalReply(unknown, req), {});
  }

  malformed(error, socket) {
    if (error.code === 'ECONNRESET' || !socket.writable) return;
    this.#violations.push({ what: `malformed HTTP: ${error.message}` });
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  }
}

// Resolves to {port, url, close()}.
export async function startFake({ port = 0, tls = null, ...options } = {}) {
  const fake = new Fake(options);
  const server = tls ? createTlsServer(tls) : createPlainServer();
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.on('request', (req, res) =>
    fake.handle(req, res).catch(error => {
      process.stderr.write(`${req.method} ${req.url}: ${error.stack}\n`);
      res.destroy();
    }),
  );
  server.on('clientError', (error, socket) => fake.malformed(error, socket));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function main() {
  const { values } = parseArgs({
    options: Object.fromEntries(
      ['port', 'keys', 'day', 'bill', 'tls-cert', 'tls-key'].map(name => [name, { type: 'string' }]),
    ),
  });
  const fake = await startFake({
    port: Number(values.port ?? 0),
    tls: values['tls-cert']
      ? { cert: readFileSync(values['tls-cert']), key: readFileSync(values['tls-key']) }
      : null,
    ...(values.keys ? { keys: new Set(values.keys.split(',')) } : {}),
    ...(values.day ? { day: values.day } : {}),
    bill: values.bill,
  });
  process.stdout.write(`${fake.port}\n`);
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
