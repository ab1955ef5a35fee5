#!/usr/bin/env node
// The client against the gateway whose provider is OpenRouter, which is a fake: the images route and the chat route.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';

import OpenAI from 'openai';

import { run, test } from '../../fakes/tap.mjs';
import {
  Session,
  checkReply,
  checkStream,
  newPrompt,
  settings,
  testBill,
  testEmptyBill,
  testGenerations,
  testModels,
} from './client-tests.mjs';

const session = new Session(settings({ model: 'flux', sizes: '1024x1024,1536x1024' }));

function asModel(model, sizes) {
  return Object.assign(Object.create(session), { model, sizes });
}

const routed = asModel('routed-gpt', ['1024x1024']);
const CHATS = [
  ['gemini', '1344x768'],
  ['gemini', '1024x1024'],
  ['seedream', '832x1248'],
];

testEmptyBill(session);
testModels(session);
testGenerations(session, [null, 'b64_json', 'url']);

for (const quality of ['auto', 'low', 'medium', 'high'])
  test(`routed-gpt: ${quality}`, async () => {
    const prompt = newPrompt('a lighthouse');
    const reply = await routed.generate({ prompt, quality });
    await checkReply(routed, { prompt, size: '1024x1024', n: 1, format: 'b64_json' }, reply);
  });

test('routed-gpt: a stream', () =>
  checkStream(routed, { prompt: newPrompt('a lighthouse at dawn'), size: '1024x1024', partials: 1 }));

for (const [model, size] of CHATS)
  for (const format of [null, 'b64_json', 'url'])
    test(`${model}: ${size}, ${format ?? 'no response_format'}`, async () => {
      const chat = asModel(model, [size]);
      const prompt = newPrompt('a lighthouse in words');
      const reply = await chat.generate({ prompt, size, ...(format ? { response_format: format } : {}) });
      await checkReply(chat, { prompt, size, n: 1, format: format ?? 'b64_json' }, reply);
    });

for (const output_format of ['jpeg', 'webp'])
  test(`flux: ${output_format}`, async () => {
    const prompt = newPrompt('[fake:] a lighthouse');
    const reply = await session.generate({ prompt, output_format });
    const bytes = Buffer.from(reply.data[0].b64_json, 'base64');
    const magic = { jpeg: 'ffd8ff', webp: '52494646' }[output_format];
    assert.ok(bytes.toString('hex').startsWith(magic), bytes.subarray(0, 4).toString('hex'));
  });

test('a chat model makes one image a request', async () => {
  const error = await asModel('gemini', ['auto'])
    .generate({ prompt: newPrompt('a lighthouse'), n: 2 })
    .then(
      () => assert.fail('it answered'),
      thrown => thrown,
    );
  assert.ok(error instanceof OpenAI.BadRequestError, String(error));
  assert.equal(error.param, 'n');
});

// What it answers, with a status of an error and with one of success, and what the client must throw.
const ERRORS = [
  ['400', OpenAI.BadRequestError, 400],
  ['ok_400', OpenAI.BadRequestError, 400],
  ['403', OpenAI.PermissionDeniedError, 403],
  ['ok_403', OpenAI.PermissionDeniedError, 403],
  ['404', OpenAI.NotFoundError, 404],
  ['429', OpenAI.RateLimitError, 429],
  ['ok_429', OpenAI.RateLimitError, 429],
  ['500', OpenAI.InternalServerError, 500],
  ['502', OpenAI.InternalServerError, 502],
  ['ok_502', OpenAI.InternalServerError, 502],
  ['503', OpenAI.InternalServerError, 503],
  ['529', OpenAI.InternalServerError, 502],
  ['html524', OpenAI.InternalServerError, 502],
  ['401', OpenAI.InternalServerError, 503],
  ['402', OpenAI.InternalServerError, 503],
];

for (const [word, ErrorType, status] of ERRORS)
  test(`OpenRouter's ${word} is a ${ErrorType.name} (${status})`, async () => {
    const error = await session.generate({ prompt: newPrompt(`[fake:] a lighthouse [router:${word}]`) }).then(
      () => assert.fail('it answered'),
      thrown => thrown,
    );
    assert.ok(error instanceof ErrorType, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.status, status);
    if (['401', '402'].includes(word)) execFileSync('atelierctl', ['reload', 'worker']);
  });

testBill(session);
await run();
