// Opens COUNT streams of a large picture and reads nothing of them until a line comes in; prints a line once all are
// sent, then reads them to their ends and prints for each the names of its events.
//
//   unread-streams.mjs COUNT SIZE

import { request } from 'node:http';
import { createInterface } from 'node:readline';

const [count, size] = process.argv.slice(2);

function open(number) {
  const body = JSON.stringify({
    model: 'sandbox',
    prompt: `unread ${number}`,
    size,
    stream: true,
    partial_images: 3,
  });
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request('http://127.0.0.1:8080/v1/images/generations', { method: 'POST', headers, agent: false });
    sent.on('response', response => resolve(response.pause())).on('error', reject);
    sent.end(body);
  });
}

async function names(response) {
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return [...text.matchAll(/^event: image_generation\.(.*)$/gm)].map(([, name]) => name).join(' ');
}

const responses = await Promise.all(Array.from({ length: Number(count) }, (_, i) => open(i)));
console.log('sent');
for await (const _ of createInterface({ input: process.stdin })) break;
for (const line of await Promise.all(responses.map(names))) console.log(line);
process.exit(0);
