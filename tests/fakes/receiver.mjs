#!/usr/bin/env node
// A receiver of alerts for tests: Slack's incoming webhook at /slack, a plain one at /webhook. It checks what
// it is sent as Slack would, and more strictly, writes each delivery down before it answers, and misbehaves
// when asked to. It listens on the loopback only and prints its port first.
//
//   receiver.mjs --log FILE [--port N] [--mode MODE]
//
//   FILE         a line of JSON for each delivery that is answered 200: { path, at, key, body }
//   MODE         "ok", "500", "429" (with Retry-After: 1), "404", "hang" (no answer), "drop" (closes the connection)
//   PUT /_mode   the body is the mode from now on; a hanging request is let go

import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const BODY_BYTES_MAX = 64 * 1024;
const SLACK_TEXT_BYTES_MAX = 4000;
const COLOURS = ['#36a64f', '#ff9900', '#ff0000'];
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

class Refusal extends Error {}

function require(truth, what) {
  if (!truth) throw new Refusal(what);
}

const isText = value => typeof value === 'string';
// Slack takes a bare & < > as markup.
const isEscaped = text => isText(text) && !/[<>]|&(?!amp;|lt;|gt;)/.test(text);

export function checkSlack(body) {
  require(Object.keys(body).join() === 'attachments' && body.attachments.length === 1, 'invalid_payload');
  const [{ color, title, fallback, text, fields, ts, mrkdwn_in }] = body.attachments;
  require(COLOURS.includes(color), 'color');
  require(/^(🚨|✅) GenAI Alert - (INFO|WARNING|CRITICAL|RESOLVED)( \(TEST\))?$/u.test(title), 'title');
  require(isEscaped(fallback) && fallback, 'fallback');
  require(isEscaped(text) && Buffer.byteLength(text) <= SLACK_TEXT_BYTES_MAX, 'text');
  require([0, 2].includes(text.split('```').length - 1), 'code block');
  require(fields.every(field => isText(field.title) && isEscaped(field.value)), 'fields');
  require(Number.isInteger(ts) && ts > 1.5e9, 'ts');
  require(mrkdwn_in.join() === 'text', 'mrkdwn_in');
}

export function checkWebhook(body, key) {
  const { version, receiver, status, alert } = body;
  require(version === 1 && isText(receiver) && ['firing', 'resolved'].includes(status), 'envelope');
  require(['id', 'name', 'severity', 'state', 'source', 'summary'].every(name => isText(alert[name])), 'alert');
  require(/^[0-9a-f]{32}$/.test(alert.id) && alert.lines.every(isText) && alert.lines.length <= 20, 'alert');
  require(STAMP.test(alert.fired_at) && STAMP.test(alert.updated_at), 'times');
  require(key === `${alert.id}-${receiver}-${status}`, 'Idempotency-Key');
}

function check(request, text) {
  require(request.method === 'POST' && request.headers['content-type'] === 'application/json', 'invalid_payload');
  require(text.length <= BODY_BYTES_MAX, 'too long');
  const body = JSON.parse(text);
  const key = request.headers['idempotency-key'];
  if (request.url === '/slack') checkSlack(body);
  else if (request.url === '/webhook') checkWebhook(body, key);
  else throw new Refusal('no_service');
  return { path: request.url, at: Date.now(), key, body };
}

class Receiver {
  #log;
  #mode;
  #hanging = new Set();

  constructor({ log, mode }) {
    this.#log = log;
    this.#mode = mode;
  }

  #setMode(mode) {
    this.#mode = mode;
    for (const answer of this.#hanging) answer.destroy();
    this.#hanging.clear();
  }

  #take(request, text, answer) {
    const plain = (status, body, headers = {}) =>
      answer.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(body);
    const patience = this.#mode === '429' ? { 'retry-after': '1' } : {};
    if (request.url === '/_mode') return this.#setMode(text) ?? plain(200, 'ok');
    if (this.#mode === 'hang') return this.#hanging.add(answer);
    if (this.#mode === 'drop') return answer.destroy();
    if (this.#mode !== 'ok') return plain(Number(this.#mode), 'as told', patience);
    try {
      appendFileSync(this.#log, `${JSON.stringify(check(request, text))}\n`);
      return plain(200, 'ok');
    } catch (error) {
      return plain(400, error.message);
    }
  }

  serve(request, answer) {
    const parts = [];
    request.on('data', part => parts.push(part));
    request.on('end', () => this.#take(request, Buffer.concat(parts).toString(), answer));
  }
}

function main() {
  const { values } = parseArgs({
    options: {
      log: { type: 'string' },
      port: { type: 'string', default: '0' },
      mode: { type: 'string', default: 'ok' },
    },
  });
  appendFileSync(values.log, '');
  const receiver = new Receiver(values);
  const server = createServer((request, answer) => receiver.serve(request, answer));
  server.listen(Number(values.port), '127.0.0.1', () => console.log(server.address().port));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main();
