#!/usr/bin/env node
// The fake OpenAI service, held against what its users rely on. Prints TAP.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startFake } from './openai.mjs';
import { readPng } from './read-png.mjs';
import { run, test } from './tap.mjs';

const MODEL = 'gpt-image-2';
const SIZE = '816x816';

async function withFake(options, use) {
  const fake = await startFake(options);
  try {
    await use(new Caller(fake.url));
  } finally {
    await fake.close();
  }
}

class Caller {
  constructor(url) {
    this.url = url;
  }

  fetch(path, { method = 'POST', key = 'sk-test', headers = {}, body, ...options } = {}) {
    const authorization = key ? { authorization: `Bearer ${key}` } : {};
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const text =
      body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return fetch(`${this.url}${path}`, {
      method,
      headers: { ...authorization, ...type, ...headers },
      body: text,
      ...options,
    });
  }

  generate(members, options = {}) {
    const body = { model: MODEL, size: SIZE, ...members };
    return this.fetch('/v1/images/generations', { body, ...options });
  }

  // A request whose client can leave: by the socket, since fetch on Node 18 may lose an abort to the
  // collector.
  leave(prompt) {
    const headers = { authorization: 'Bearer sk-test', 'content-type': 'application/json' };
    const leaver = httpRequest(`${this.url}/v1/images/generations`, { method: 'POST', headers });
    leaver.on('error', () => {});
    leaver.end(JSON.stringify({ model: MODEL, size: SIZE, prompt }));
    return leaver;
  }

  async door(path, body) {
    const method = body === undefined ? 'GET' : 'POST';
    const response = await this.fetch(path, { method, body, key: null });
    return { status: response.status, ...(await response.json()) };
  }

  async violations() {
    return (await this.door('/_violations')).violations;
  }
}

// One behaviour to a test: name, prompt marker or members, and what comes back.
function testOne(name, use, options = {}) {
  test(name, () => withFake(options, use));
}

function testRefusal(what, members, { status = 400, code, param, ...options } = {}) {
  testOne(`${what} is refused and counted`, async caller => {
    const response = await caller.generate({ prompt: 'a fox', ...members }, options);
    const { error } = await response.json();
    assert.equal(response.status, status);
    assert.deepEqual([error.type, error.code, error.param], ['invalid_request_error', code, param]);
    assert.equal((await caller.violations()).length, 1);
    assert.equal((await caller.door('/_bill')).images, 0);
  });
}

async function onlyImage(response) {
  const { data } = await response.json();
  assert.equal(data.length, 1);
  return Buffer.from(data[0].b64_json, 'base64');
}

testOne(
  'a good request is answered with a picture of its size, its usage and the service headers',
  async caller => {
    const response = await caller.generate({
      prompt: 'a fox',
      quality: 'high',
      size: '1024x1024',
    });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('x-request-id'), /^req_[0-9a-f]{32}$/);
    assert.equal(response.headers.get('openai-version'), '2020-10-01');
    const { data, usage, quality, size } = await response.json();
    assert.deepEqual([quality, size], ['high', '1024x1024']);
    const bytes = Buffer.from(data[0].b64_json, 'base64');
    assert.deepEqual(readPng(bytes), { width: 1024, height: 1024 });
    assert.equal(bytes.subarray(-8).toString('hex'), '49454e44ae426082', 'every PNG ends so');
    assert.equal(usage.output_tokens, 7024);
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    assert.deepEqual(await caller.violations(), []);
  },
);

// [{name, ...data}] of a stream.
function readEvents(text) {
  return text
    .split('\n\n')
    .filter(Boolean)
    .map(event => {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(event);
      return { name, ...JSON.parse(data) };
    });
}

testOne('a stream brings its partial images, then the image and its usage', async caller => {
  const response = await caller.generate({
    prompt: 'a fox [fake:pause=5]',
    quality: 'high',
    size: '1024x1024',
    stream: true,
    partial_images: 2,
  });
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const events = readEvents(await response.text());
  assert.deepEqual(
    events.map(({ name }) => name),
    [...Array(2).fill('image_generation.partial_image'), 'image_generation.completed'],
  );
  assert.ok(events.every(({ name, type }) => name === type));
  assert.deepEqual(
    events.map(({ partial_image_index: index }) => index),
    [0, 1, undefined],
  );
  const images = events.map(({ b64_json: image }) => Buffer.from(image, 'base64'));
  images.forEach(bytes => assert.deepEqual(readPng(bytes), { width: 1024, height: 1024 }));
  assert.equal(new Set(images.map(String)).size, 3);
  assert.equal(events[2].usage.output_tokens, 7024 + 200);
  const bill = await caller.door('/_bill?finished=1');
  assert.deepEqual([bill.images, bill.images_sent], [1, 1]);
  assert.equal(bill.cost_micros, 7224 * 30 + events[2].usage.input_tokens * 5);
  assert.deepEqual(await caller.violations(), []);
});

testOne('a stream that ends in an error is not charged, one that breaks off is', async caller => {
  const ask = prompt => caller.generate({ prompt, stream: true, partial_images: 1 });
  const [partial, failure] = readEvents(await (await ask('a fox [fake:stream=error]')).text());
  assert.equal(partial.partial_image_index, 0);
  assert.deepEqual([failure.name, failure.error.type], ['error', 'server_error']);
  assert.equal((await caller.door('/_bill?finished=1')).cost_micros, 0);

  const events = readEvents(await (await ask('a hen [fake:stream=no_image]')).text());
  assert.equal(events.length, 1);
  assert.ok((await caller.door('/_bill?finished=2')).cost_micros > 0);
});

testOne('the image of a stream can be held back', async caller => {
  const prompt = 'a fox [fake:hold_image]';
  const response = await caller.generate({ prompt, stream: true, partial_images: 1 });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.endsWith('\n\n')) text += (await reader.read()).value;
  assert.equal(readEvents(text).length, 1);
  await caller.door('/_release', {});
  text = '';
  for (let part; !(part = await reader.read()).done; ) text += part.value;
  assert.equal(readEvents(text)[0].name, 'image_generation.completed');
});

testOne('the bill holds who asked for what and its cost', async caller => {
  await caller.generate({ prompt: 'a fox', quality: 'low', n: 2, size: '1024x1536' });
  const bill = await caller.door('/_bill?finished=1');
  const { model, n, size, quality, images, cost_micros: cost, status, sent, key } = bill.requests[0];
  assert.deepEqual(
    { model, n, size, quality, images, status, sent },
    {
      model: MODEL,
      n: 2,
      size: '1024x1536',
      quality: 'low',
      images: 2,
      status: 200,
      sent: true,
    },
  );
  assert.equal(cost, 2 * 158 * 30 + 6 * 5);
  assert.match(key, /^[0-9a-f]{16}$/);
  assert.deepEqual([bill.count, bill.images, bill.images_sent, bill.cost_micros], [1, 2, 2, cost]);
});

testOne('no two pictures are the same, not even for the same prompt', async caller => {
  const replies = [
    await caller.generate({ prompt: 'a fox', n: 2 }),
    await caller.generate({ prompt: 'a fox' }),
  ];
  const bodies = await Promise.all(replies.map(reply => reply.json()));
  const images = bodies.flatMap(({ data }) => data.map(({ b64_json: image }) => image));
  assert.equal(new Set(images).size, 3);
  const bill = await caller.door('/_bill');
  assert.deepEqual([bill.repeated, bill.charged_twice], [['a fox'], ['a fox']]);
});

for (const [format, magic] of [
  ['jpeg', 'ffd8ff'],
  ['webp', '52494646'],
])
  testOne(`${format} is drawn too`, async caller => {
    const response = await caller.generate({ prompt: 'a fox', output_format: format });
    assert.ok((await onlyImage(response)).toString('hex').startsWith(magic));
  });

testOne(
  'a model sold by the image answers with an address, and is gone after its last day',
  async caller => {
    const members = { model: 'dall-e-3', prompt: 'a fox', size: '1792x1024', style: 'natural' };
    const { data, usage } = await (await caller.generate(members)).json();
    assert.equal(usage, undefined);
    const file = await fetch(data[0].url);
    assert.equal(file.headers.get('content-type'), 'image/png');
    assert.deepEqual(readPng(Buffer.from(await file.arrayBuffer())), {
      width: 1792,
      height: 1024,
    });
    assert.equal((await caller.door('/_bill')).cost_micros, 80000);
    await withFake({}, async late => assert.equal((await late.generate(members)).status, 404));
  },
  { day: '2026-01-01' },
);

testOne('the models of the day are listed', async caller => {
  const { data } = await (await caller.fetch('/v1/models', { method: 'GET' })).json();
  assert.ok(data.some(({ id }) => id === MODEL) && !data.some(({ id }) => id === 'dall-e-3'));
  const one = await (await caller.fetch(`/v1/models/${MODEL}`, { method: 'GET' })).json();
  assert.deepEqual([one.id, one.object], [MODEL, 'model']);
  assert.equal((await caller.fetch('/v1/models/none', { method: 'GET' })).status, 404);
  assert.deepEqual(await caller.violations(), []);
});

testRefusal('an unknown member', { colour: 'red' }, { code: 'unknown_parameter', param: 'colour' });
testRefusal(
  'response_format for a GPT image model',
  { response_format: 'b64_json' },
  { code: 'unknown_parameter', param: 'response_format' },
);
testRefusal(
  'style for a GPT image model',
  { style: 'vivid' },
  { code: 'unknown_parameter', param: 'style' },
);
testRefusal(
  'complexity before 2.6',
  { complexity: 'low' },
  { code: 'unknown_parameter', param: 'complexity' },
);
testRefusal('no prompt', { prompt: undefined }, { code: 'missing_required_parameter', param: 'prompt' });
testRefusal('no model', { model: undefined }, { code: 'missing_required_parameter', param: 'model' });
testRefusal('an empty prompt', { prompt: '' }, { code: 'empty_string', param: 'prompt' });
testRefusal(
  'a prompt of 32001 characters',
  { prompt: 'x'.repeat(32001) },
  { code: 'string_above_max_length', param: 'prompt' },
);
testRefusal('n as text', { n: '1' }, { code: 'invalid_type', param: 'n' });
testRefusal('n as a fraction', { n: 1.5 }, { code: 'invalid_type', param: 'n' });
testRefusal('n of 11', { n: 11 }, { code: 'integer_above_max_value', param: 'n' });
testRefusal('n of 0', { n: 0 }, { code: 'integer_below_min_value', param: 'n' });
testRefusal('a quality of another model', { quality: 'hd' }, { code: 'invalid_value', param: 'quality' });
testRefusal(
  'an edge that is no multiple of 16',
  { size: '1000x1000' },
  { code: 'invalid_value', param: 'size' },
);
testRefusal('too few pixels', { size: '512x512' }, { code: 'invalid_value', param: 'size' });
testRefusal('too many pixels', { size: '3840x2176' }, { code: 'invalid_value', param: 'size' });
testRefusal('too long an edge', { size: '3856x1600' }, { code: 'invalid_value', param: 'size' });
testRefusal('too flat a picture', { size: '3072x1008' }, { code: 'invalid_value', param: 'size' });
testRefusal(
  'a free size for an older model',
  { model: 'gpt-image-1.5', size: SIZE },
  { code: 'invalid_value', param: 'size' },
);
testRefusal(
  'transparency in a jpeg',
  { background: 'transparent', output_format: 'jpeg' },
  { code: 'invalid_value', param: 'background' },
);
testRefusal(
  'a compressed png',
  { output_compression: 50 },
  { code: 'invalid_value', param: 'output_compression' },
);
testRefusal(
  'partial images without a stream',
  { partial_images: 2 },
  { code: 'invalid_value', param: 'partial_images' },
);
testRefusal(
  'several images in a stream',
  { stream: true, n: 2 },
  { code: 'invalid_value', param: 'n' },
);
testRefusal('no key', {}, { status: 401, code: null, param: null, key: null });
testRefusal(
  'another content type',
  {},
  { code: 'unsupported_content_type', param: null, headers: { 'content-type': 'text/plain' } },
);

for (const [name, body] of [
  ['cut JSON', '{"prompt":"a'],
  ['wrong UTF-8', Buffer.from('7b22ff223a317d', 'hex')],
  ['an array', '[]'],
])
  testOne(`a body of ${name} is refused and counted`, async caller => {
    assert.equal((await caller.fetch('/v1/images/generations', { body })).status, 400);
    assert.equal((await caller.violations()).length, 1);
  });

testOne('another method and another path are refused and counted', async caller => {
  assert.equal((await caller.fetch('/v1/images/generations', { method: 'GET' })).status, 405);
  assert.equal((await caller.fetch('/v1/images/painting')).status, 404);
  assert.equal((await caller.violations()).length, 2);
});

testOne(
  'a key that is not one of ours and a model that is gone are refused, but nobody is blamed',
  async caller => {
    const wrong = await caller.generate({ prompt: 'a fox' }, { key: 'sk-other' });
    assert.deepEqual([wrong.status, (await wrong.json()).error.code], [401, 'invalid_api_key']);
    const gone = await caller.generate({ prompt: 'a fox', model: 'dall-e-3' });
    assert.deepEqual([gone.status, (await gone.json()).error.code], [404, 'model_not_found']);
    assert.deepEqual(await caller.violations(), []);
  },
  { keys: new Set(['sk-test']) },
);

testOne('what a gateway must not pass on is answered but counted', async caller => {
  const headers = { cookie: 'a=b', 'x-forwarded-for': '192.0.2.1' };
  const body = `{"model":"${MODEL}","prompt":"one","prompt":"two","size":"${SIZE}"}`;
  assert.equal((await caller.fetch('/v1/images/generations', { headers, body })).status, 200);
  assert.deepEqual((await caller.violations()).map(({ what }) => what).sort(), [
    'repeated member "prompt"',
    "unexpected header 'cookie'",
    "unexpected header 'x-forwarded-for'",
  ]);
});

testOne('a prompt that talks of members and braces is not a repeated member', async caller => {
  await caller.generate({ prompt: 'say "size": or {"size":1} \\" : and "prompt":' });
  assert.deepEqual(await caller.violations(), []);
});

const STATUSES = {
  400: [400, 'invalid_request_error'],
  moderation_blocked: [400, 'image_generation_user_error'],
  401: [401, 'invalid_request_error'],
  403: [403, 'invalid_request_error'],
  404: [404, 'invalid_request_error'],
  408: [408, 'server_error'],
  409: [409, 'server_error'],
  413: [413, 'invalid_request_error'],
  429: [429, 'requests'],
  slow_down: [429, 'rate_limit_error'],
  insufficient_quota: [429, 'insufficient_quota'],
  credit_balance_exhausted: [429, 'insufficient_quota'],
  500: [500, 'server_error'],
  503: [503, 'service_unavailable_error'],
};

for (const [name, [status, type]] of Object.entries(STATUSES))
  testOne(`status=${name} is answered with its error and not charged`, async caller => {
    const response = await caller.generate({ prompt: `a fox [fake:status=${name}]` });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.type], [status, type]);
    assert.deepEqual(Object.keys(error).slice(0, 4), ['message', 'type', 'param', 'code']);
    const bill = await caller.door('/_bill?finished=1');
    assert.deepEqual([bill.count, bill.images, bill.requests[0].status], [1, 0, status]);
    assert.deepEqual(await caller.violations(), []);
  });

testOne('a proxy answers in HTML', async caller => {
  const response = await caller.generate({ prompt: '[fake:status=502]' });
  assert.deepEqual([response.status, response.headers.get('content-type')], [502, 'text/html']);
});

testOne('Retry-After and its relatives are sent when asked for', async caller => {
  const marker = '[fake:status=429 retry_after=7 retry_after_ms=7000 should_retry=false]';
  const { headers } = await caller.generate({ prompt: marker });
  assert.deepEqual(
    ['retry-after', 'retry-after-ms', 'x-should-retry'].map(name => headers.get(name)),
    ['7', '7000', 'false'],
  );
  assert.equal((await caller.generate({ prompt: '[fake:status=429]' })).headers.get('retry-after'), null);
});

testOne('an act with times=1 spoils only the first request of its prompt', async caller => {
  const prompt = 'a fox [fake:status=500 times=1]';
  assert.equal((await caller.generate({ prompt })).status, 500);
  assert.equal((await caller.generate({ prompt })).status, 200);
  assert.deepEqual((await caller.door('/_bill')).charged_twice, []);
});

testOne('a rule spoils the next requests that match', async caller => {
  await caller.door('/_control', { rules: [{ match: 'fox', next: 1, act: 'status=503' }] });
  assert.equal((await caller.generate({ prompt: 'a cat' })).status, 200);
  assert.equal((await caller.generate({ prompt: 'a fox' })).status, 503);
  assert.equal((await caller.generate({ prompt: 'a fox' })).status, 200);
});

testOne('a rule for the models spoils their list and nothing else', async caller => {
  await caller.door('/_control', { rules: [{ models: true, next: 1, act: 'status=500' }] });
  assert.equal((await caller.generate({ prompt: 'a fox' })).status, 200);
  assert.equal((await caller.fetch('/v1/models', { method: 'GET' })).status, 500);
  assert.equal((await caller.fetch('/v1/models', { method: 'GET' })).status, 200);
});

testOne('a misspelt behaviour is a fault of the test, and shows', async caller => {
  assert.equal((await caller.generate({ prompt: '[fake:lat=3]' })).status, 400);
  assert.equal((await caller.generate({ prompt: '[fake:status=huge]' })).status, 400);
  assert.equal((await caller.door('/_control', { rules: [{ act: 'sleep' }] })).status, 400);
  assert.equal((await caller.violations()).length, 2);
});

testOne('late waits, drips trickle, and the whole arrives', async caller => {
  const started = Date.now();
  const image = await onlyImage(await caller.generate({ prompt: '[fake:late=200 drips=2000/5]' }));
  readPng(image);
  assert.ok(Date.now() - started >= 200 + 5);
});

testOne('held requests wait for the release, and are charged though the client has gone', async caller => {
  const left = caller.leave('left [fake:hold]');
  const stayed = caller.generate({ prompt: 'stayed [fake:hold]' });
  assert.equal((await caller.door('/_bill?requests=2')).in_flight, 2);
  left.destroy();
  const bill = await caller.door('/_bill?finished=1');
  const { images, sent } = bill.requests.find(({ prompt }) => prompt.startsWith('left'));
  assert.deepEqual([images, sent], [1, false]);
  await caller.door('/_release', {});
  readPng(await onlyImage(await stayed));
  const after = await caller.door('/_bill?finished=2');
  assert.deepEqual([after.images, after.images_sent, after.in_flight, after.in_flight_max], [2, 1, 0, 2]);
});

testOne('waiting for requests that do not come ends with 504', async caller => {
  assert.equal((await caller.door('/_bill?requests=1&timeout=50')).status, 504);
});

const SPOILT_BODIES = {
  truncated: text => assert.throws(() => JSON.parse(text)),
  garbage: text => assert.throws(() => JSON.parse(text)),
  empty: text => assert.equal(text, ''),
  html: text => assert.match(text, /^<!doctype/),
  array: text => assert.ok(Array.isArray(JSON.parse(text))),
  error: text => assert.equal(JSON.parse(text).error.type, 'server_error'),
  nulls: text => assert.equal(JSON.parse(text).data, null),
  null_image: text => assert.deepEqual(JSON.parse(text).data, [null]),
  null_base64: text => assert.equal(JSON.parse(text).data[0].b64_json, null),
  no_data: text => assert.ok(!('data' in JSON.parse(text)) && 'usage' in JSON.parse(text)),
  empty_data: text => assert.deepEqual(JSON.parse(text).data, []),
  trailing: text => assert.throws(() => JSON.parse(text)),
  escaped: text => assert.ok(text.includes('\\/') && JSON.parse(text).data.length === 1),
};

for (const [name, check] of Object.entries(SPOILT_BODIES))
  testOne(`body=${name} is a charged reply of status 200`, async caller => {
    const response = await caller.generate({ prompt: `[fake:body=${name}]` });
    assert.equal(response.status, 200);
    check(await response.text());
    assert.equal((await caller.door('/_bill')).images, 1);
  });

const SPOILT_IMAGES = {
  bad_base64: /!\*$/,
  cut_base64: /^iVBOR/,
  data_url: /^data:image\/png;base64,iVBOR/,
  not_image: /^dGhpc/,
  empty: /^$/,
  truncated: /^iVBOR/,
  bad_crc: /^iVBOR/,
  wrong_size: /^iVBOR/,
  wrong_format: /^\/9j\//,
  bomb: /^iVBOR/,
};

for (const [name, form] of Object.entries(SPOILT_IMAGES))
  testOne(`image=${name} spoils the picture`, async caller => {
    const { data } = await (await caller.generate({ prompt: `[fake:image=${name}]` })).json();
    assert.match(data[0].b64_json, form);
    const bytes = Buffer.from(data[0].b64_json, 'base64');
    if (name === 'wrong_size') assert.deepEqual(readPng(bytes), { width: 408, height: 816 });
    else assert.throws(() => readPng(bytes));
  });

testOne('fewer and more images than asked for are charged as drawn', async caller => {
  const fewer = await (await caller.generate({ prompt: '[fake:fewer=1]', n: 3 })).json();
  const more = await (await caller.generate({ prompt: '[fake:more=1]' })).json();
  assert.deepEqual([fewer.data.length, more.data.length, (await caller.door('/_bill')).images], [2, 2, 4]);
});

testOne('usage can be missing or odd', async caller => {
  const usage = async name =>
    (await (await caller.generate({ prompt: `[fake:usage=${name}]` })).json()).usage;
  assert.equal(await usage('none'), undefined);
  assert.equal((await usage('zero')).total_tokens, 0);
  assert.ok((await usage('negative')).output_tokens < 0);
});

for (const cut of ['headers', 'body', 'reset'])
  testOne(`cut=${cut} is charged and not sent whole`, async caller => {
    const whole = caller.generate({ prompt: `[fake:cut=${cut}]` }).then(response => response.text());
    await assert.rejects(whole);
    const { images, sent } = (await caller.door('/_bill?finished=1')).requests[0];
    assert.deepEqual([images, sent], [1, false]);
  });

testOne('cut=after closes only once all is sent', async caller => {
  readPng(await onlyImage(await caller.generate({ prompt: '[fake:cut=after]' })));
  assert.equal((await caller.door('/_bill?finished=1')).requests[0].sent, true);
});

testOne('a Content-Length that promises too much is not kept', async caller => {
  const whole = caller.generate({ prompt: '[fake:length=10]' }).then(response => response.text());
  await assert.rejects(whole);
});

testOne('a Content-Length that promises too little leaves bytes on the wire', async caller => {
  const text = await (await caller.generate({ prompt: '[fake:length=-10]' })).text();
  assert.throws(() => JSON.parse(text));
});

testOne('an endless body ends at its bound, with a cut', async caller => {
  const response = await caller.generate({ prompt: '[fake:endless=1000000]' });
  let bytes = 0;
  await assert.rejects(async () => {
    for await (const part of response.body) bytes += part.length;
  });
  assert.ok(bytes >= 1000000 && bytes < 1200000, `${bytes} bytes`);
});

testOne('chunked sends no Content-Length', async caller => {
  const response = await caller.generate({ prompt: '[fake:chunked]' });
  assert.equal(response.headers.get('content-length'), null);
  readPng(await onlyImage(response));
});

testOne('who follows a redirect is caught', async caller => {
  const prompt = '[fake:redirect=302]';
  assert.equal((await caller.generate({ prompt }, { redirect: 'manual' })).status, 302);
  assert.deepEqual(await caller.violations(), []);
  await caller.generate({ prompt });
  assert.equal((await caller.violations())[0].request, 'GET /_trap');
});

testOne('malformed HTTP is refused and counted', async caller => {
  const socket = connect(new URL(caller.url).port, '127.0.0.1');
  socket.end('POST /v1/images/generations HTTP/1.1\r\nno colon here\r\n\r\n');
  socket.resume();
  await once(socket, 'close');
  assert.match((await caller.violations())[0].what, /^malformed HTTP/);
});

test('the bill in a file outlives the fake', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fake-bill-'));
  const bill = join(folder, 'bill');
  try {
    await withFake({ bill }, async caller => {
      await caller.generate({ prompt: 'before' });
      await caller.door('/_bill?finished=1');
    });
    await withFake({ bill }, async caller => {
      await caller.generate({ prompt: 'after' });
      const { requests } = await caller.door('/_bill?finished=2');
      assert.deepEqual(
        requests.map(({ serial, prompt, sent }) => [serial, prompt, sent]),
        [
          [1, 'before', true],
          [2, 'after', true],
        ],
      );
      await caller.door('/_reset', {});
    });
    await withFake({ bill }, async caller => assert.equal((await caller.door('/_bill')).count, 0));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

testOne('a client that leaves in mid-body is seen', async caller => {
  const left = caller.leave('[fake:drips=1000/50]');
  await once(left, 'response');
  left.destroy();
  const bill = await caller.door('/_bill?finished=1');
  assert.equal(bill.requests[0].sent, false);
});

await run();
