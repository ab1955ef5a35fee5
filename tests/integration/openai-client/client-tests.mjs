// What the official OpenAI client must find behind its baseURL. Each function registers tests; the entries
// in this folder choose among them. Settings come from the environment:
//
//   ATELIER_URL   where the gateway listens, http://127.0.0.1:8080 unless set
//   FAKE_URL      where the fake OpenAI listens, for the tests that misuse it and read its bill
//   MODEL, SIZES  what to ask for; the entry has its own defaults

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';

import OpenAI from 'openai';

import { readPng } from '../../fakes/read-png.mjs';
import { eventually, test } from '../../fakes/tap.mjs';

const CLIENT_TIMEOUT_MS = 50000;
const CLOCK_SLACK_SECONDS = 300;
const LATE_MS = 300000; // longer than any deadline a test machine gives its provider

export function settings({ model, sizes }) {
  return {
    url: process.env.ATELIER_URL ?? 'http://127.0.0.1:8080',
    fakeUrl: process.env.FAKE_URL,
    model: process.env.MODEL ?? model,
    sizes: (process.env.SIZES ?? sizes).split(','),
  };
}

// Every prompt is new, so that no cache answers and the bill can be read prompt by prompt.
export function newPrompt(text) {
  return `${text} ${randomUUID()}`;
}

// Where the tests of one run meet: the client, and what was delivered to it.
export class Session {
  delivered = [];

  constructor({ url, fakeUrl, model, sizes }) {
    Object.assign(this, { url, fakeUrl, model, sizes });
    this.client = new OpenAI({
      apiKey: 'sk-nothing-behind-it',
      baseURL: `${url}/v1`,
      maxRetries: 0,
      timeout: CLIENT_TIMEOUT_MS,
    });
  }

  generate(members) {
    return this.client.images.generate({ model: this.model, size: this.sizes[0], ...members });
  }

  // Checks a picture and books it as delivered.
  accept(prompt, bytes, size) {
    const { width, height } = readPng(bytes);
    assert.equal(`${width}x${height}`, size);
    this.delivered.push({ prompt, sha256: createHash('sha256').update(bytes).digest('hex') });
  }

  async door(path, method = 'GET') {
    const response = await fetch(`${this.fakeUrl}${path}`, { method });
    assert.equal(response.status, 200, path);
    return response.json();
  }
}

async function bytesOf(image, format) {
  if (format === 'b64_json') {
    assert.equal(image.url, undefined);
    return Buffer.from(image.b64_json, 'base64');
  }
  assert.equal(image.b64_json, undefined);
  const response = await fetch(image.url);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'image/png');
  return Buffer.from(await response.arrayBuffer());
}

export async function checkReply(session, { prompt, size, n, format }, reply) {
  assert.ok(Math.abs(reply.created - Date.now() / 1000) < CLOCK_SLACK_SECONDS, `created ${reply.created}`);
  assert.equal(reply.data.length, n);
  for (const image of reply.data) session.accept(prompt, await bytesOf(image, format), size);
  const mine = session.delivered.filter(one => one.prompt === prompt).map(({ sha256 }) => sha256);
  assert.equal(new Set(mine).size, n, 'the pictures of one request differ');
}

function testGeneration(session, { format, size, n }) {
  test(`${session.model}: ${n} of ${size}, ${format ?? 'no response_format'}`, async () => {
    const prompt = newPrompt('a lighthouse at dusk');
    const asked = format ? { response_format: format } : {};
    const reply = await session.generate({ prompt, size, n, ...asked });
    await checkReply(session, { prompt, size, n, format: format ?? 'b64_json' }, reply);
  });
}

// `formats` are sent as response_format; null sends none and expects base64, as GPT image models answer.
export function testGenerations(session, formats) {
  for (const format of formats)
    for (const size of session.sizes) for (const n of [1, 2]) testGeneration(session, { format, size, n });
}

export function testModels(session) {
  test('models.list has the model', async () => {
    const models = [];
    for await (const model of session.client.models.list()) models.push(model);
    const found = models.find(({ id }) => id === session.model);
    assert.ok(found, `${session.model} is not among ${models.map(({ id }) => id)}`);
    assert.equal(found.object, 'model');
    assert.equal(typeof found.owned_by, 'string');
  });
}

// What programs written for the old models ask for, and what the provider must hear instead.
const OLD_REQUESTS = [
  ['dall-e-3', {}, '1024x1024', { size: '1024x1024', quality: 'medium' }],
  ['dall-e-3', { size: '1792x1024', quality: 'hd' }, '1792x1024', { size: '1792x1024', quality: 'high' }],
  ['dall-e-3', { size: '1024x1792', style: 'natural' }, '1024x1792', { size: '1024x1792', quality: 'medium' }],
  ['dall-e-2', { size: '1024x1024' }, '1024x1024', { size: '1024x1024', quality: 'low' }],
  ['dall-e-2', { size: '256x256', n: 2 }, '816x816', { size: '816x816', quality: 'low' }],
];

function testOldRequest(session, [model, members, size, sent], format) {
  const title = `${model} ${JSON.stringify(members)}, ${format ?? 'no response_format'}`;
  test(`${title}: goes on as gpt-image-2`, async () => {
    const prompt = newPrompt('a lighthouse of long ago');
    const asked = format ? { response_format: format } : {};
    const reply = await session.client.images.generate({ model, prompt, ...members, ...asked });
    const n = members.n ?? 1;
    await checkReply(session, { prompt, size, n, format: format ?? 'url' }, reply);
    assert.equal(reply.size, members.size ?? '1024x1024');
    assert.equal(reply.quality, members.quality ?? 'standard');

    const heard = (await session.door('/_bill')).requests.filter(one => one.prompt === prompt);
    const facts = heard.map(({ model, n, size, quality }) => ({ model, n, size, quality }));
    assert.deepEqual(facts, [{ model: 'gpt-image-2', n, ...sent }]);
  });
}

// Through the aliases as they are shipped.
export function testOldModels(session) {
  for (const format of [null, 'b64_json', 'url'])
    for (const one of OLD_REQUESTS) testOldRequest(session, one, format);

  test('what an old model did not take is refused in its words', async () => {
    const members = { model: 'dall-e-3', prompt: newPrompt('a lighthouse'), quality: 'high' };
    const error = await session.client.images.generate(members).then(
      () => assert.fail('it answered'),
      thrown => thrown,
    );
    assert.ok(error instanceof OpenAI.BadRequestError, error.message);
    assert.deepEqual([error.code, error.param], ['invalid_value', 'quality']);
    assert.match(error.message, /'auto', 'standard' or 'hd'/);
  });
  test('a model that was shut down names the one to use', async () => {
    const error = await session.client.images
      .generate({ model: 'gpt-image-1', prompt: newPrompt('a lighthouse') })
      .then(
        () => assert.fail('it answered'),
        thrown => thrown,
      );
    assert.ok(error instanceof OpenAI.NotFoundError, error.message);
    assert.equal(error.code, 'model_not_found');
    assert.match(error.message, /was shut down on 2026-10-23\. Use 'gpt-image-2' instead\./);
  });
}

export function testUsage(session) {
  test('usage comes through as the provider counted it', async () => {
    const prompt = newPrompt('a lighthouse');
    const size = session.sizes[0];
    const reply = await session.generate({ prompt, size });
    await checkReply(session, { prompt, size, n: 1, format: 'b64_json' }, reply);
    const { input_tokens: input, output_tokens: output, total_tokens: total } = reply.usage;
    assert.ok(input > 0 && output > 0 && total === input + output, JSON.stringify(reply.usage));
  });
}

// Partial images in their order, then the image, as the client's own types have them.
export async function checkStream(session, { prompt, size, partials }) {
  const stream = await session.generate({ prompt, size, stream: true, partial_images: partials });
  const indexes = [];
  let completed = null;
  for await (const event of stream) {
    assert.equal(completed, null, 'the image comes last');
    assert.equal(event.size, size);
    assert.equal(event.output_format, 'png');
    assert.ok(Math.abs(event.created_at - Date.now() / 1000) < CLOCK_SLACK_SECONDS);
    for (const name of ['quality', 'background']) assert.equal(typeof event[name], 'string', name);
    const bytes = Buffer.from(event.b64_json, 'base64');
    if (event.type === 'image_generation.completed') {
      completed = event;
      session.accept(prompt, bytes, size);
    } else {
      assert.equal(event.type, 'image_generation.partial_image');
      const { width, height } = readPng(bytes);
      assert.equal(`${width}x${height}`, size);
      indexes.push(event.partial_image_index);
    }
  }
  assert.deepEqual(indexes, [...Array(partials).keys()]);
  assert.equal(typeof completed.usage.total_tokens, 'number');
}

export function testStreams(session) {
  for (const size of session.sizes)
    for (const partials of [0, 1, 3])
      test(`${session.model}: a stream of ${size} with ${partials} partial images`, () =>
        checkStream(session, { prompt: newPrompt('a lighthouse at dawn'), size, partials }));
}

export function testSpoiltStreams(session) {
  const [size] = session.sizes;
  for (const act of ['pause=50', 'drips=20000/1', 'stream=data_only', 'stream=crlf'])
    test(`a stream survives ${act}`, () =>
      checkStream(session, { prompt: newPrompt(`a lighthouse [fake:${act}]`), size, partials: 2 }));

  for (const act of ['stream=error', 'stream=no_image', 'stream=garbage', 'image=not_image', 'image=wrong_size'])
    test(`a stream with ${act} throws`, async () => {
      const prompt = newPrompt(`a lighthouse [fake:${act}]`);
      const stream = await session.generate({ prompt, size, stream: true, partial_images: 1 });
      const types = [];
      await assert.rejects(async () => {
        for await (const { type } of stream) types.push(type);
      }, OpenAI.APIError);
      assert.deepEqual(types, ['image_generation.partial_image']);
    });
}

// What the provider answers with a status of its own, and the error the client must throw for it.
const STATUS_ERRORS = [
  ['status=400', OpenAI.BadRequestError, [400]],
  ['status=moderation_blocked', OpenAI.BadRequestError, [400], 'moderation_blocked'],
  ['status=403', OpenAI.PermissionDeniedError, [403]],
  ['status=404', OpenAI.NotFoundError, [404]],
  ['status=429', OpenAI.RateLimitError, [429]],
  ['status=500', OpenAI.InternalServerError, [500, 502]],
  ['status=503', OpenAI.InternalServerError, [502, 503]],
  ['status=html503', OpenAI.InternalServerError, [502, 503]],
  ['status=502', OpenAI.InternalServerError, [502]],
];

// What the provider says of the key it was asked with. Behind a gateway that key is the operator's: the client is told of
// a fault on the gateway's side, and the provider is left alone until the operator has the key tried again.
const KEY_ERRORS = [
  {
    words: 'status=401',
    direct: [OpenAI.AuthenticationError, [401]],
    gateway: [OpenAI.InternalServerError, [503], 'provider_key_refused'],
  },
  {
    words: 'status=insufficient_quota',
    direct: [OpenAI.RateLimitError, [429], 'insufficient_quota'],
    gateway: [OpenAI.InternalServerError, [503], 'provider_quota_exhausted'],
  },
];

// What a provider does when it is ill: the gateway says so, with a status from its own side.
const BROKEN_REPLIES = [
  [`late=${LATE_MS}`, OpenAI.InternalServerError, [504]],
  ...[
    'cut=headers',
    'cut=body',
    'cut=reset',
    'length=100',
    'redirect=302',
    'body=garbage',
    'body=truncated',
    'body=empty',
    'body=html',
    'body=array',
    'body=error',
    'body=nulls',
    'body=null_image',
    'body=null_base64',
    'body=no_data',
    'body=empty_data',
    'body=empty_image',
    'image=bad_base64',
    'image=not_image',
    'image=empty',
    'image=truncated',
    'image=bomb',
    'image=wrong_size',
    'fewer=1',
  ].map(words => [words, OpenAI.InternalServerError, [502]]),
];

// Odd but complete replies that a client of the service must take.
const ODD_REPLIES = [
  'drips=20000/2',
  'chunked',
  'cut=after',
  'body=extra',
  'body=escaped',
  'body=pretty',
  'image=data_url',
  'usage=none',
];

function testError(session, [words, ErrorType, statuses, code], throughGateway) {
  test(`the provider's ${words} is a ${ErrorType.name} (${statuses.join(' or ')})`, async () => {
    const prompt = newPrompt(`a lighthouse [fake:${words}]`);
    const error = await session.generate({ prompt }).then(
      () => assert.fail('it answered'),
      thrown => thrown,
    );
    assert.ok(error instanceof ErrorType, `${error.constructor.name}: ${error.message}`);
    assert.ok(statuses.includes(error.status), `status ${error.status}`);
    if (code) assert.equal(error.code, code);
    if (!throughGateway) return;
    assert.ok(error.requestID, 'it has an x-request-id');
    assert.equal(typeof error.error?.message, 'string');
    assert.equal(typeof error.type, 'string');
  });
}

export function testStatusErrors(session, { throughGateway }) {
  for (const one of STATUS_ERRORS) testError(session, one, throughGateway);
}

export function testKeyErrors(session, { throughGateway }) {
  for (const { words, direct, gateway } of KEY_ERRORS) {
    testError(session, [words, ...(throughGateway ? gateway : direct)], throughGateway);
    if (!throughGateway) continue;
    test(`after ${words} the key is good again once the worker was reloaded`, async () => {
      await assert.rejects(session.generate({ prompt: newPrompt('a lighthouse') }), { code: gateway[2] });
      execFileSync('atelierctl', ['reload', 'worker']);
      const prompt = newPrompt('a lighthouse');
      const reply = await session.generate({ prompt });
      await checkReply(session, { prompt, size: session.sizes[0], n: 1, format: 'b64_json' }, reply);
    });
  }
}

export function testBrokenReplies(session) {
  for (const one of BROKEN_REPLIES) testError(session, one, true);
}

export function testOddReplies(session) {
  for (const words of ODD_REPLIES)
    test(`a reply with ${words} is taken`, async () => {
      const prompt = newPrompt(`a lighthouse [fake:${words}]`);
      const size = session.sizes[0];
      const reply = await session.generate({ prompt });
      await checkReply(session, { prompt, size, n: 1, format: 'b64_json' }, reply);
    });
}

// Register it first: the bill of the run starts here.
export function testEmptyBill(session) {
  test('the bill starts empty', async () => {
    await session.door('/_reset', 'POST');
    assert.equal((await session.door('/_bill')).count, 0);
  });
}

// Register it last: holds the bill against all that was delivered.
export function testBill(session) {
  test('the bill equals the images delivered, and nothing was paid twice', async () => {
    const bill = await session.door('/_bill');
    assert.deepEqual(bill.charged_twice, []);
    const delivered = new Set(session.delivered.map(({ prompt }) => prompt));
    const charged = bill.requests.filter(({ prompt, images }) => images > 0 && delivered.has(prompt));
    const billed = charged.flatMap(({ prompt, sha256 }) => sha256.map(sum => `${sum} ${prompt}`));
    assert.deepEqual(billed.sort(), session.delivered.map(one => `${one.sha256} ${one.prompt}`).sort());

    const plain = bill.requests.filter(({ prompt }) => prompt && !prompt.includes('[fake:'));
    assert.deepEqual(
      plain.filter(({ prompt }) => !delivered.has(prompt)),
      [],
    );
    assert.ok(plain.every(({ sent }) => sent));
  });
  test('the provider was sent nothing it does not allow', async () => {
    assert.deepEqual((await session.door('/_violations')).violations, []);
  });
}

// One HTTP exchange without the client's comfort: {status, headers, body}.
function exchange(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const type = body ? { 'content-type': 'application/json' } : {};
    const request = httpRequest(url, { method, headers: { ...type, ...headers } }, async response => {
      let text = '';
      response.setEncoding('utf8');
      for await (const part of response) text += part;
      resolve({
        status: response.statusCode,
        headers: response.headers,
        body: text ? JSON.parse(text) : null,
      });
    });
    request.on('error', reject);
    request.end(body ? JSON.stringify(body) : undefined);
  });
}

function submit(session, members) {
  return exchange(`${session.url}/v1/images/generations`, {
    method: 'POST',
    headers: { prefer: 'respond-async' },
    body: { model: session.model, ...members },
  });
}

function finished(session, location) {
  return eventually(
    () => exchange(new URL(location, session.url)),
    ({ body }) => !['queued', 'in_progress'].includes(body.status),
    { what: 'the end of the job' },
  );
}

export function testJobs(session) {
  const size = session.sizes[0];

  test('Prefer: respond-async is answered 202 with the job and its place', async () => {
    const prompt = newPrompt('a lighthouse in the rain');
    const accepted = await submit(session, { prompt, size, response_format: 'b64_json' });
    assert.equal(accepted.status, 202);
    assert.equal(accepted.headers['preference-applied'], 'respond-async');
    assert.equal(accepted.headers.location, `/v1/jobs/${accepted.body.id}`);
    assert.match(accepted.body.id, /^job_/);
    assert.equal(accepted.body.object, 'job');
    assert.ok(['queued', 'in_progress', 'completed'].includes(accepted.body.status));

    const { status, body: job } = await finished(session, accepted.headers.location);
    assert.equal(status, 200);
    assert.deepEqual([job.id, job.status, job.error], [accepted.body.id, 'completed', null]);
    assert.ok(job.created_at <= job.started_at && job.started_at <= job.completed_at, JSON.stringify(job));
    // A job is small and may be listed: its pictures are links, whatever form was asked for.
    await checkReply(session, { prompt, size, n: 1, format: 'url' }, job.result);

    const { body: list } = await exchange(`${session.url}/v1/jobs`);
    assert.equal(list.object, 'list');
    assert.equal(typeof list.has_more, 'boolean');
    assert.ok(list.data.some(({ id }) => id === job.id));
  });

  test('an unknown job is a 404 with an error object', async () => {
    const { status, body } = await exchange(`${session.url}/v1/jobs/job_00000000000000000000000000000000`);
    assert.equal(status, 404);
    assert.deepEqual(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type']);
  });
}

export function testFailedJob(session) {
  test('a job that fails says why', async () => {
    const accepted = await submit(session, {
      prompt: newPrompt('a lighthouse [fake:status=400]'),
    });
    assert.equal(accepted.status, 202);
    const { body: job } = await finished(session, accepted.headers.location);
    assert.equal(job.status, 'failed');
    assert.equal(typeof job.error.message, 'string');
    assert.equal(job.result ?? null, null);
  });
}

function atelierctl(...words) {
  return JSON.parse(execFileSync('atelierctl', ['--json', ...words]));
}

async function assertKeyRefused(client) {
  await assert.rejects(client.models.list(), error => {
    assert.ok(error instanceof OpenAI.AuthenticationError, String(error));
    assert.deepEqual([error.status, error.code, error.type], [401, 'invalid_api_key', 'invalid_request_error']);
    return true;
  });
}

// From here on the gateway asks for a key: these come last.
export function testKeys(session) {
  test('with a key made for it the client draws, with another or none it is refused', async () => {
    const { key, token } = atelierctl('keys', 'create', 'the client');
    const client = session.client.withOptions({ apiKey: token });
    await assertKeyRefused(session.client);
    await assertKeyRefused(session.client.withOptions({ apiKey: `${token}0` }));

    const prompt = newPrompt('a lighthouse behind a gate');
    const [size] = session.sizes;
    const reply = await client.images.generate({ model: session.model, size, prompt, response_format: 'b64_json' });
    await checkReply(session, { prompt, size, n: 1, format: 'b64_json' }, reply);

    atelierctl('keys', 'revoke', key.id);
    await assertKeyRefused(client);
  });
}

const RATE = 30; // a minute: one comes back every 2 s

export function testRates(session) {
  test('the client waits as long as it is told, and is served then', async () => {
    const { key, token } = atelierctl('keys', 'create', 'a hasty client', `--requests-per-minute=${RATE}`);
    const client = session.client.withOptions({ apiKey: token, maxRetries: 0 });
    const body = { model: session.model, size: session.sizes.at(-1), prompt: newPrompt('again and again') };
    const refusals = [];
    while (refusals.length === 0)
      await client.images.generate(body).catch(error => refusals.push(error));

    const [refused] = refusals;
    assert.ok(refused instanceof OpenAI.RateLimitError, String(refused));
    assert.deepEqual([refused.code, refused.type], ['rate_limit_exceeded', 'requests']);
    assert.equal(refused.headers.get('x-ratelimit-remaining-requests'), '0');
    const milliseconds = Number(refused.headers.get('retry-after-ms'));
    assert.ok(milliseconds > 0 && milliseconds <= 60000 / RATE, String(milliseconds));

    const began = Date.now();
    const { data } = await client.withOptions({ maxRetries: 2 }).images.generate(body);
    assert.equal(data.length, 1);
    assert.ok(Date.now() - began < 60000 / RATE + 1500, 'it waited longer than it was told');
    atelierctl('keys', 'revoke', key.id);
  });
}

// Fetches without a key, as a browser would, and compares with the hash in the name.
async function checkLink(link) {
  const { pathname } = new URL(link);
  const response = await fetch(link);
  assert.equal(response.status, 200, link);
  const sum = createHash('sha256').update(Buffer.from(await response.arrayBuffer())).digest('hex');
  assert.equal(pathname, `/v1/images/${sum}.png`);
}

async function assertRefused(link, status, code) {
  const response = await fetch(link);
  assert.equal(response.status, status, link);
  assert.equal((await response.json()).error.code, code);
}

// From here on the gateway asks for a key.
export function testLinks(session, models) {
  for (const model of models)
    test(`${model}: response_format url gives links that need no key`, async () => {
      const { token } = atelierctl('keys', 'create', 'who hands out links');
      const client = session.client.withOptions({ apiKey: token });
      const prompt = newPrompt('a lighthouse on a postcard');
      const [size] = session.sizes;
      const reply = await client.images.generate({ model, prompt, size, n: 2, response_format: 'url' });
      await checkReply(session, { prompt, size, n: 2, format: 'url' }, reply);

      for (const { url } of reply.data) {
        await checkLink(url);
        await assertRefused(url.split('?')[0], 401, 'invalid_api_key');
        await assertRefused(url.replace(/.$/, last => (last === '0' ? '1' : '0')), 403, 'link_invalid');
      }
      // The client's own way to routes that it has no method for.
      const [, name] = reply.data[0].url.match(/([0-9a-f]{64})[.]png/);
      const { url, expires_at } = await client.post(`/images/${name}/link`, { body: { expires_in: 600 } });
      assert.ok(Math.abs(expires_at - 600 - Date.now() / 1000) < CLOCK_SLACK_SECONDS);
      await checkLink(url);
    });
}
