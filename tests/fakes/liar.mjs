#!/usr/bin/env node
// A provider for each lie of lies.mjs, told by the path: http://127.0.0.1:PORT/NAME/v1. Prints its port first.
// It speaks no TLS, which is a lie as well where https is dialled.

import { createServer } from 'node:net';

import { LIES } from './lies.mjs';

const TLS_HELLO = '\x16';
const REQUEST_BYTES_MAX = 1024 * 1024;

function answer(socket, request) {
  const path = /^[A-Z]+ (\S+)/.exec(request)?.[1] ?? '';
  const name = path.split('/')[1];
  const key = /^authorization: bearer (\S+)/im.exec(request)?.[1] ?? 'none';
  if (!Object.hasOwn(LIES, name)) return socket.end('HTTP/1.0 404 No such lie\r\n\r\n');
  return LIES[name]({ socket, key });
}

// A request is whole with its body, whose length is given.
function read(socket) {
  let text = '';
  const take = data => {
    text += data;
    const end = text.indexOf('\r\n\r\n');
    const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
    if (text.length > REQUEST_BYTES_MAX) return socket.destroy();
    if (text.startsWith(TLS_HELLO)) return socket.end('HTTP/1.0 400 Not here\r\n\r\n');
    if (end < 0 || text.length < end + 4 + length) return null;
    socket.off('data', take).resume();
    return answer(socket, text);
  };
  socket.setEncoding('latin1').on('data', take);
  socket.on('error', () => {});
}

const server = createServer(read).listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
