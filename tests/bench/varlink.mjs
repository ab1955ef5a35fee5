// One Varlink call over a Unix socket: a JSON object and a NUL there, a JSON object and a NUL back.

import { connect } from 'node:net';

export async function call(socketPath, method, parameters = {}) {
  const socket = connect(socketPath);
  socket.setEncoding('utf8');
  socket.write(`${JSON.stringify({ method, parameters })}\0`);
  let text = '';
  for await (const part of socket) {
    text += part;
    if (text.endsWith('\0')) break; // leaving the loop closes the socket
  }
  if (!text.endsWith('\0')) throw new Error(`${method}: the connection ended before the reply`);
  const reply = JSON.parse(text.slice(0, -1));
  if (reply.error) throw new Error(`${method}: ${reply.error} ${JSON.stringify(reply.parameters)}`);
  return reply.parameters ?? {};
}
