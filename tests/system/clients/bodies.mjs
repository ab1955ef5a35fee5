// Bodies of sizes that need care.
//
//   bodies.mjs announced SIZE          only says that so many bytes will come: 413 must be the answer to that alone
//   bodies.mjs chunked SIZE STATUS     a good request, filled up with blanks, in chunks; STATUS cut: it is cut off

import assert from 'node:assert/strict';

import { Connection, generation } from './raw-http.mjs';

const CHUNK_BYTES = 64 * 1024;
const REQUEST = '{"prompt": "x", "size": "64x64"}';

// What sockets may hold on their way beside the bounds of the server.
const SOCKETS_BYTES_MAX = 16 * 1024 * 1024;
const DRAIN_BYTES_MAX = 2 * 1024 * 1024;

function assertTooLarge(answer) {
  assert.equal(answer.status, 413);
  assert.equal(answer.json().error.code, 'body_too_large');
  assert.match(answer.headers.get('x-request-id'), /^[0-9a-f]{32}$/);
}

async function announced(size) {
  const connection = new Connection();
  const head = generation('').toString().replace('Content-Length: 0', `Content-Length: ${size}`);
  await connection.write(head);
  assertTooLarge(await connection.answer());
  await connection.closed();
}

function chunkOf(text) {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

async function chunked(size, wanted) {
  const connection = new Connection();
  const head = generation('').toString().replace('Content-Length: 0', 'Transfer-Encoding: chunked');
  let sent = REQUEST.length;
  let open = await connection.write(head + chunkOf(REQUEST));
  while (open && sent < size) {
    const blanks = Math.min(CHUNK_BYTES, size - sent);
    open = await connection.write(chunkOf(' '.repeat(blanks)));
    sent += blanks;
  }
  if (open) await connection.write('0\r\n\r\n');

  const answer = await connection.answer();
  if (wanted === 'cut') {
    assert.equal(answer.status, 0);
    assert.ok(sent < DRAIN_BYTES_MAX + SOCKETS_BYTES_MAX, `${sent} bytes were taken`);
  } else if (wanted === '413') assertTooLarge(answer);
  else assert.equal(answer.status, Number(wanted), answer.body.toString());
  connection.close();
}

const [mode, size, wanted] = process.argv.slice(2);
await (mode === 'announced' ? announced(Number(size)) : chunked(Number(size), wanted));
