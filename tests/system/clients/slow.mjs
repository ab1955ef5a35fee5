// Clients that take their time. Each is to be cut off no sooner and no later than said.
//
//   slow.mjs silent|head|body|kept|unread FROM-MS TO-MS
//   slow.mjs flood          never ends its head
//   slow.mjs patient        sends in pieces, but in time

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { Connection, exchange, generation } from './raw-http.mjs';

const DRIP_MS = 200;
const PIECES = 8;
const FLOOD_BYTES_MAX = 16 * 1024 * 1024;
const LIVE = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n';
const SMALL = JSON.stringify({ prompt: 'slow', size: '64x64' });

async function drip(connection, bytes) {
  for (const byte of bytes) {
    if (!(await connection.write(Buffer.of(byte)))) return;
    await sleep(DRIP_MS);
    if (connection.ended) return;
  }
}

// More bytes than sockets hold on their way.
const LARGE = JSON.stringify({ prompt: 'large', size: '2048x2048', n: 10, response_format: 'b64_json' });

const METRICS = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';

// The api has no connection but the one that asks.
async function untilAlone() {
  while (!(await exchange(METRICS)).body.includes('\ngenai_api_connections 1\n')) await sleep(100);
}

const clients = {
  async silent(connection) {
    await connection.closed();
  },

  async head(connection) {
    await drip(connection, Buffer.from(LIVE.replace('\r\n\r\n', `\r\nX: ${'y'.repeat(1000)}`)));
    await connection.closed();
  },

  async body(connection) {
    const request = generation(SMALL + ' '.repeat(1000));
    const head = request.indexOf('{');
    await connection.write(request.subarray(0, head));
    await drip(connection, request.subarray(head));
    await connection.closed();
  },

  async kept(connection) {
    await connection.write(LIVE);
    assert.equal((await connection.answer()).status, 200);
    return { from: Date.now(), done: connection.closed() };
  },

  async unread(connection) {
    await connection.write(generation(LARGE));
    await connection.began();
    connection.pause();
    return { from: Date.now(), done: untilAlone() };
  },
};

async function cutOff(mode, fromMs, toMs) {
  const connection = new Connection();
  await connection.opened;
  const start = Date.now();
  const { from, done } = (await clients[mode](connection)) ?? { from: start };
  await done;
  const took = Date.now() - from;
  console.log(`closed after ${took} ms`);
  assert.ok(took >= fromMs && took <= toMs, `not from ${fromMs} to ${toMs} ms`);
}

async function flood() {
  const connection = new Connection();
  await connection.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ');
  let sent = 0;
  while (sent < FLOOD_BYTES_MAX && (await connection.write('y'.repeat(65536)))) sent += 65536;
  const { status } = await connection.answer();
  assert.ok(status === 431 || status === 0, `answered with ${status}`);
  await connection.closed();
  assert.ok(sent < FLOOD_BYTES_MAX, `${sent} bytes were taken`);
}

async function patient() {
  const connection = new Connection();
  const request = generation(SMALL);
  for (let piece = 0; piece < PIECES; piece++) {
    const size = Math.ceil(request.length / PIECES);
    await connection.write(request.subarray(piece * size, (piece + 1) * size));
    await sleep(DRIP_MS);
  }
  assert.equal((await connection.answer()).status, 200);
  connection.close();
}

const [mode, from, to] = process.argv.slice(2);
if (mode === 'flood') await flood();
else if (mode === 'patient') await patient();
else await cutOff(mode, Number(from), Number(to));
