#!/usr/bin/env node
// A fake of the servers that people run themselves, one at a time: each refuses what it does not know in its own words, and draws a
// picture for the rest. It listens on the loopback only and prints its port first.
//
//   compatible.mjs SERVER [--port N]      SERVER: localai, stable-diffusion.cpp, vllm-omni, sglang, mistral.rs
//
//   POST /v1/images/generations   GET /v1/models   GET /_requests: the bodies that came
//
// A prompt with `fail` in it fails as the server fails.

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { drawImage } from './image.mjs';
import { readBody } from './validate.mjs';

const text = value => typeof value === 'string' && value.length > 0;
const count = value => Number.isInteger(value) && value >= 1 && value <= 10;
const size = value => /^[1-9]\d*x[1-9]\d*$/.test(value);
const edge = value => Number.isInteger(value) && value > 0;
const format = value => ['png', 'jpeg', 'webp'].includes(value);
const base64 = value => value === 'b64_json';
const percent = value => Number.isInteger(value) && value >= 0 && value <= 100;
const common = { model: text, prompt: text, n: count };

// What each knows, how it refuses, and what stands around its images.
const SERVERS = {
  localai: {
    fields: { ...common, size, quality: text, response_format: base64, user: text },
    needs: ['response_format'],
    refuse: message => [500, { error: { code: 500, message, type: '' } }],
    reply: images => ({
      id: 'fake',
      created: 1,
      data: images.map((b64_json, index) => ({ index, b64_json })),
      usage: { prompt_tokens: 0, total_tokens: 0 },
    }),
  },
  'stable-diffusion.cpp': {
    fields: { ...common, size, output_format: format, output_compression: percent },
    needs: [],
    refuse: message => [400, { error: message }],
    reply: (images, body) => ({ created: 1, data: images.map(b64_json => ({ b64_json })), output_format: body.output_format ?? 'png' }),
  },
  'vllm-omni': {
    fields: { ...common, size, output_format: format, response_format: base64, user: text },
    needs: ['response_format'],
    refuse: message => [422, { detail: [{ loc: ['body'], msg: message, type: 'value_error' }] }],
    reply: images => ({ created: 1, data: images.map(b64_json => ({ b64_json, url: null, revised_prompt: null })), size: null }),
  },
  sglang: {
    fields: { ...common, size, output_format: format, response_format: base64 },
    needs: ['response_format'],
    refuse: message => [400, { detail: message }],
    reply: images => ({ created: 1, data: images.map(b64_json => ({ b64_json })) }),
  },
  'mistral.rs': {
    fields: { ...common, width: edge, height: edge, response_format: base64 },
    needs: ['response_format'],
    refuse: message => [500, { message }],
    reply: images => ({ created: 1, data: images.map(image => ({ b64_json: `data:image/png;base64,${image}`, url: null })) }),
  },
};

function complaint({ fields, needs }, body) {
  for (const [name, value] of Object.entries(body)) {
    if (!fields[name]) return `unknown field ${name}`;
    if (!fields[name](value)) return `${name} is ${JSON.stringify(value)}`;
  }
  const missing = ['prompt', ...needs].find(name => !(name in body));
  if (missing) return `${missing} is missing`;
  return body.prompt.includes('fail') ? 'the model is out of memory' : null;
}

function draw(body, serial) {
  const [width, height] = body.width ? [body.width, body.height] : (body.size ?? '512x512').split('x').map(Number);
  return Array.from({ length: body.n ?? 1 }, (_, i) =>
    drawImage({ width, height, format: body.output_format ?? 'png', transparent: false, seed: `${serial} ${i}` }).toString('base64'),
  );
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { port: { type: 'string' } } });
const server = SERVERS[positionals[0]];
const requests = [];

async function answer(req) {
  if (req.url === '/_requests') return [200, requests];
  if (req.url === '/v1/models') return [200, { data: [] }];
  if (req.url !== '/v1/images/generations') return [404, { error: 'not here' }];
  const body = JSON.parse(await readBody(req));
  requests.push(body);
  const wrong = complaint(server, body);
  return wrong ? server.refuse(wrong) : [200, server.reply(draw(body, requests.length), body)];
}

createServer(async (req, res) => {
  const [status, body] = await answer(req);
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}).listen(Number(values.port ?? 0), '127.0.0.1', function () {
  process.stdout.write(`${this.address().port}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
