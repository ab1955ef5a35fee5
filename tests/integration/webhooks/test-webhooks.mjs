#!/usr/bin/env node
// Each webhook is verified with the library of Standard Webhooks; what the receiver answers is up to the test.
//
//   PORT      where the receiver listens; SECRET, SECRET2: what the gateway signs with

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { Webhook, WebhookVerificationError } from 'standardwebhooks';

import { eventually, run, test } from '../../fakes/tap.mjs';

const ATELIER = 'http://127.0.0.1:8080';
const { PORT, SECRET, SECRET2 } = process.env;
const RETRY_SECONDS = 5;

// What came, in its order: {path, headers, body (text), at}.
const received = [];
let answer = () => 204;
let server = null;

async function receive(req, res) {
  let body = '';
  for await (const part of req.setEncoding('utf8')) body += part;
  received.push({ path: req.url, method: req.method, headers: req.headers, body, at: Date.now() });
  const reply = answer(req.url, received.length);
  if (typeof reply === 'function') reply(res);
  else res.writeHead(reply).end();
}

async function listen() {
  server = createServer(receive).listen(Number(PORT), '127.0.0.1');
  await once(server, 'listening');
}

async function goAway() {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

function begin(reply = () => 204) {
  received.length = 0;
  answer = reply;
}

const shell = (...words) => execFileSync(words[0], words.slice(1), { encoding: 'utf8' });
const listed = name => JSON.parse(shell('atelierctl', '--json', 'webhooks', 'list')).endpoints.find(one => one.name === name);

let serial = 0;

async function submit(webhook, members = {}, headers = {}) {
  const response = await fetch(`${ATELIER}/v1/images/generations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async', 'x-atelier-webhook': webhook, ...headers },
    body: JSON.stringify({ model: 'sandbox', prompt: `webhook ${serial++}`, size: '64x64', ...members }),
  });
  return { status: response.status, body: await response.json() };
}

async function job(webhook, members, headers) {
  const { status, body } = await submit(webhook, members, headers);
  assert.equal(status, 202, JSON.stringify(body));
  return body.id;
}

const about = id => received.filter(({ body }) => JSON.parse(body).data.id === id);
const heard = (id, n = 1, deadlineMs = 20000) =>
  eventually(() => about(id).length, count => count >= n, { what: `${n} webhooks of ${id}`, deadlineMs });

const verify = ({ body, headers }, secret = SECRET) => new Webhook(secret).verify(body, headers);

test('the end of a job is told once, and the library verifies it', async () => {
  begin();
  const id = await job('shop');
  await heard(id);
  const [one] = about(id);
  assert.equal(one.method, 'POST');
  assert.equal(one.path, '/shop');
  assert.equal(one.headers['content-type'], 'application/json');
  const { type, timestamp, data } = verify(one);
  assert.equal(type, 'job.completed');
  assert.ok(Math.abs(new Date(timestamp) - Date.now()) < 60000, timestamp);
  assert.deepEqual([data.object, data.status, data.model, data.error], ['job', 'completed', 'sandbox', null]);
  assert.equal(data.images.length, 1);
  const image = await fetch(`${ATELIER}${data.images[0].url}`);
  assert.equal(image.status, 200);
  const shown = await (await fetch(`${ATELIER}${data.url}`)).json();
  assert.equal(shown.status, 'completed');
  await eventually(() => listed('shop').delivered, count => count >= 1, { what: 'its being recorded' });
  assert.equal(about(id).length, 1);
});

test('what was altered, or signed with another secret, is no webhook', async () => {
  begin();
  const id = await job('shop');
  await heard(id);
  const [one] = about(id);
  assert.throws(() => verify({ ...one, body: `${one.body} ` }), WebhookVerificationError);
  assert.throws(() => verify(one, SECRET2), WebhookVerificationError);
  const headers = { ...one.headers, 'webhook-id': `${one.headers['webhook-id']}x` };
  assert.throws(() => verify({ ...one, headers }), WebhookVerificationError);
});

test('while a secret takes the place of another both verify', async () => {
  begin();
  const id = await job('rotating');
  await heard(id);
  const [one] = about(id);
  assert.equal(verify(one, SECRET).data.id, id);
  assert.equal(verify(one, SECRET2).data.id, id);
});

test('a job that fails or is cancelled is told as well', async () => {
  begin();
  const failed = await job('shop', { model: 'never', size: 'auto' });
  await heard(failed);
  const { type, data } = verify(about(failed)[0]);
  assert.deepEqual([type, data.status, data.error.code], ['job.failed', 'failed', 'provider_unavailable']);

  shell('atelierctl', 'queue', 'pause');
  const cancelled = await job('shop');
  const gone = await fetch(`${ATELIER}/v1/jobs/${cancelled}`, { method: 'DELETE' });
  assert.ok(gone.ok, String(gone.status));
  shell('atelierctl', 'queue', 'resume');
  await heard(cancelled);
  assert.equal(verify(about(cancelled)[0]).type, 'job.cancelled');
});

test('what the cache answers, and what shares a picture under way, is told', async () => {
  begin();
  const first = await job('shop', { prompt: 'the same' });
  const shared = await job('shop', { prompt: 'the same' });
  await heard(first);
  await heard(shared);
  const hit = await job('shop', { prompt: 'the same' });
  await heard(hit);
  for (const id of [first, shared, hit]) assert.equal(verify(about(id)[0]).type, 'job.completed');
});

test('after an outage of its receiver it comes, under the same id', async () => {
  begin(() => 503);
  const id = await job('shop');
  await heard(id);
  await goAway();
  const while_away = await job('shop');
  await eventually(() => listed('shop').problem, problem => problem, { what: 'its trouble' });
  answer = () => 204;
  await listen();
  await heard(id, 2);
  await heard(while_away);
  const [before, after] = about(id);
  assert.equal(after.headers['webhook-id'], before.headers['webhook-id']);
  assert.ok(after.at - before.at >= RETRY_SECONDS * 1000, `${after.at - before.at} ms`);
  verify(before);
  verify(after);
  await eventually(() => listed('shop'), ({ pending, problem }) => pending === 0 && !problem, { what: 'its delivery' });
});

test('a worker that was killed delivers what it owed', async () => {
  begin(() => 503);
  const id = await job('shop');
  await heard(id);
  shell('systemctl', 'kill', '--signal=KILL', '--kill-whom=main', 'atelier-worker');
  answer = () => 204;
  await heard(id, 2);
  verify(about(id)[1]);
});

test('a worker that was stopped delivers at its next start', async () => {
  begin(() => 503);
  const id = await job('shop');
  await heard(id);
  shell('systemctl', 'stop', 'atelier-worker.service');
  answer = () => 204;
  shell('systemctl', 'start', 'atelier-worker.service');
  await heard(id, 2);
});

test('a receiver that stalls holds up none of the others', async () => {
  begin(path => (path === '/slow' ? () => {} : 204));
  for (let i = 0; i < 6; i++) await job('slow');
  const started = Date.now();
  const id = await job('shop');
  await heard(id);
  assert.ok(Date.now() - started < 1500, `${Date.now() - started} ms`);
  assert.ok(received.filter(({ path }) => path === '/slow').length <= 4);
});

test('of an answer nothing but its status is read', async () => {
  begin(() => res => {
    res.writeHead(200);
    const pour = () => {
      while (!res.destroyed && res.write(Buffer.alloc(65536, 'A')));
    };
    res.on('drain', pour);
    pour();
  });
  const id = await job('shop');
  await heard(id);
  await eventually(() => listed('shop').pending, pending => pending === 0, { what: 'its delivery' });
  assert.equal(about(id).length, 1);
});

test('a redirect is not followed', async () => {
  begin((path, n) => (n === 1 ? res => res.writeHead(302, { location: '/elsewhere' }).end() : 204));
  const id = await job('shop');
  await heard(id, 2);
  assert.deepEqual(about(id).map(({ path }) => path), ['/shop', '/shop']);
});

test('a receiver that is gone is left alone until an operator says otherwise', async () => {
  begin(() => 410);
  const id = await job('shop');
  await eventually(() => listed('shop').given_up, count => count === 1, { what: 'its being given up' });
  const other = await job('shop');
  assert.match(listed('shop').problem, /gone/);
  answer = () => 204;
  shell('atelierctl', 'webhooks', 'retry', 'shop');
  await heard(id, 2);
  await heard(other);
});

test('a webhook that nobody has configured is refused', async () => {
  const { status, body } = await submit('no-such');
  assert.deepEqual([status, body.error.code], [400, 'invalid_webhook']);
  assert.match(shell('atelierctl', 'webhooks', 'list'), /unready +.*a secret is missing/);
});

test('no secret is in the journal or the state', async () => {
  const search = 'journalctl --output=export >/run/journal && grep --text --recursive --count --fixed-strings';
  for (const secret of [SECRET, SECRET2]) {
    const words = ['-c', `${search} -e "$1" /run/journal /var/lib/atelier /etc/atelier`, 'bash', secret.slice('whsec_'.length)];
    assert.throws(() => execFileSync('bash', words, { stdio: 'ignore' }), { status: 1 });
  }
});

await listen();
await run();
server.closeAllConnections();
server.close();
