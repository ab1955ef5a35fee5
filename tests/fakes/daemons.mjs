// The four daemons' Varlink sockets, with answers that a test has written down.
//
//   daemons.mjs FOLDER        listens on FOLDER/io.atelier.Api and so on; prints "ready"
//
// FOLDER/answers.json says what each method answers: { METHOD: { replies: [PARAMETERS...], error: NAME, hangUps: N } }.
// With `more` all of `replies` are sent, otherwise the last; `error` takes the last one as its parameters. The first N
// calls find the connection closed instead; where `replies` ends with null or is empty, the last answer never comes.
// Each call is appended to FOLDER/calls, a line of JSON.

import { appendFileSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const folder = process.argv[2];
const hungUp = {}; // calls, by their script

function answer(socket, { method, parameters = {}, more = false }) {
  appendFileSync(`${folder}/calls`, `${JSON.stringify({ method, parameters, more })}\n`);
  const send = reply => socket.writable && socket.write(`${JSON.stringify(reply)}\0`);
  const script = JSON.parse(readFileSync(`${folder}/answers.json`))[method];
  if (!script) return send({ error: 'org.varlink.service.MethodNotFound', parameters: { method } });

  const { replies = [{}], error, hangUps = 0 } = script;
  const key = JSON.stringify(script);
  hungUp[key] = (hungUp[key] ?? 0) + 1;
  if (hungUp[key] <= hangUps) return socket.destroy();
  const last = replies.at(-1);
  for (const reply of more ? replies.slice(0, -1) : []) send({ parameters: reply, continues: true });
  if (last) send({ parameters: last, ...(error && { error }) });
}

function serve(socket) {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('error', () => {});
  socket.on('data', part => {
    text += part;
    const messages = text.split('\0');
    text = messages.pop();
    for (const message of messages) answer(socket, JSON.parse(message));
  });
}

for (const name of ['Api', 'Worker', 'Scheduler', 'Alerter'])
  await new Promise(resolve => createServer(serve).listen(`${folder}/io.atelier.${name}`, resolve));
console.log('ready');
