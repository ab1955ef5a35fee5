// Edits, as the official client asks for them: files, masks, streams; and what a JSON body may say instead.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import OpenAI, { toFile } from 'openai';

import { drawImage } from '../../fakes/image.mjs';
import { readPng } from '../../fakes/read-png.mjs';
import { test } from '../../fakes/tap.mjs';
import { checkReply, newPrompt } from './client-tests.mjs';

const TYPES = { png: 'image/png', jpeg: 'image/jpeg', webp: 'image/webp' };
const SIZE = { width: 96, height: 64 };
const MIB = 1024 * 1024;

function picture(format, seed, members = {}) {
  return drawImage({ ...SIZE, format, seed, ...members });
}

function fileOf(bytes, format = 'png', name = `picture.${format}`) {
  return toFile(bytes, name, { type: TYPES[format] });
}

const maskBytes = picture('png', 'mask', { transparent: true });
const sums = pictures => pictures.map(bytes => createHash('sha256').update(bytes).digest('hex'));

// What the provider was sent of it, where there is a fake.
async function checkHeard(session, prompt, pictures, facts = {}) {
  if (!session.fakeUrl) return;
  const [heard, ...more] = (await session.door('/_bill')).requests.filter(one => one.prompt === prompt);
  assert.deepEqual(more, []);
  assert.deepEqual(
    heard.uploads.map(({ sha256 }) => sha256),
    sums(pictures),
  );
  for (const [name, value] of Object.entries(facts)) assert.equal(heard[name], value, name);
}

// `pictures`: [bytes, format]
function testEdit(session, what, pictures, members = {}) {
  test(`${session.model}: an edit of ${what}`, async () => {
    const prompt = newPrompt('the lighthouse, at night');
    const size = session.sizes[0];
    const files = await Promise.all(pictures.map(([bytes, format]) => fileOf(bytes, format)));
    const mask = members.mask ? { mask: await fileOf(members.mask, 'png', 'mask.png') } : {};
    const image = files.length === 1 ? files[0] : files;
    const base64 = session.model === 'sandbox' ? { response_format: 'b64_json' } : {};
    const n = members.n ?? 1;
    const reply = await session.client.images.edit({
      model: session.model,
      prompt,
      size,
      image,
      ...base64,
      ...members,
      ...mask,
    });
    await checkReply(session, { prompt, size, n, format: 'b64_json' }, reply);
    const sent = [...pictures.map(([bytes]) => bytes), ...(members.mask ? [members.mask] : [])];
    await checkHeard(session, prompt, sent, { n, size });
  });
}

export function testEdits(session) {
  for (const format of ['png', 'jpeg', 'webp']) testEdit(session, `one ${format}`, [[picture(format, 'one'), format]]);
  testEdit(session, 'a picture with a mask', [[picture('png', 'one'), 'png']], { mask: maskBytes });
  testEdit(session, 'a JPEG with a mask, twice', [[picture('jpeg', 'one'), 'jpeg']], { mask: maskBytes, n: 2 });
  testEdit(session, 'three pictures', [
    [picture('png', 'a'), 'png'],
    [picture('jpeg', 'b'), 'jpeg'],
    [picture('webp', 'c'), 'webp'],
  ]);
  testEdit(
    session,
    'sixteen pictures with a mask',
    Array.from({ length: 16 }, (_, i) => [picture('png', `${i}`), 'png']),
    { mask: maskBytes },
  );
  testEdit(session, 'a picture of 3000x2000', [[picture('png', 'large', { width: 3000, height: 2000 }), 'png']]);
}

// Through the alias as it is shipped.
export function testOldEdits(session) {
  test('dall-e-2: an edit with a mask goes on as gpt-image-2', async () => {
    const prompt = newPrompt('a lighthouse of long ago');
    const size = '1024x1024';
    const image = picture('png', 'square', { width: 64 });
    const mask = picture('png', 'square mask', { width: 64, transparent: true });
    const reply = await session.client.images.edit({
      model: 'dall-e-2',
      prompt,
      size,
      image: await fileOf(image),
      mask: await fileOf(mask),
      response_format: 'url',
    });
    await checkReply(session, { prompt, size, n: 1, format: 'url' }, reply);
    await checkHeard(session, prompt, [image, mask], { model: 'gpt-image-2', quality: 'low' });
  });
}

export function testEditStreams(session) {
  for (const partials of [0, 2])
    test(`${session.model}: an edit as a stream with ${partials} partial images`, async () => {
      const prompt = newPrompt('the lighthouse in fog');
      const size = session.sizes[0];
      const stream = await session.client.images.edit({
        model: session.model,
        prompt,
        size,
        image: await fileOf(picture('png', 'streamed')),
        stream: true,
        partial_images: partials,
      });
      const types = [];
      for await (const event of stream) {
        types.push(event.type);
        const bytes = Buffer.from(event.b64_json, 'base64');
        if (event.type === 'image_edit.completed') session.accept(prompt, bytes, size);
        else assert.equal(`${readPng(bytes).width}x${readPng(bytes).height}`, size);
      }
      assert.deepEqual(types, [...Array(partials).fill('image_edit.partial_image'), 'image_edit.completed']);
    });
}

// ------------------------------------------------------------------ without the client

function dataUrl(bytes, format = 'png') {
  return `data:${TYPES[format]};base64,${bytes.toString('base64')}`;
}

async function post(session, body, headers = { 'content-type': 'application/json' }) {
  const response = await fetch(`${session.url}/v1/images/edits`, { method: 'POST', headers, body });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

function postJson(session, members) {
  return post(session, JSON.stringify({ model: session.model, size: session.sizes[0], ...members }));
}

export function testJsonEdits(session) {
  const image = picture('png', 'json');

  test('an edit as JSON with data URLs and a mask', async () => {
    const prompt = newPrompt('the lighthouse, repainted');
    const images = [{ image_url: dataUrl(image) }, { image_url: dataUrl(picture('jpeg', 'json'), 'jpeg') }];
    const reply = await postJson(session, {
      mask: { image_url: dataUrl(maskBytes) },
      images,
      prompt,
      response_format: 'b64_json',
    });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    await checkReply(session, { prompt, size: session.sizes[0], n: 1, format: 'b64_json' }, reply.body);
    await checkHeard(session, prompt, [image, picture('jpeg', 'json'), maskBytes]);
  });
  test('slashes of a data URL may be escaped', async () => {
    const prompt = newPrompt('the lighthouse, repainted');
    const body = JSON.stringify({
      model: session.model,
      size: session.sizes[0],
      prompt,
      response_format: 'b64_json',
      images: [{ image_url: dataUrl(image) }],
    }).replaceAll('/', '\\/');
    const reply = await post(session, body);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    await checkReply(session, { prompt, size: session.sizes[0], n: 1, format: 'b64_json' }, reply.body);
    await checkHeard(session, prompt, [image]);
  });
  for (const [what, reference] of [
    ['a link', { image_url: 'https://example.org/a.png' }],
    ['a file id', { file_id: 'file-1' }],
  ])
    test(`${what} is refused, saying what is expected`, async () => {
      const { status, body } = await postJson(session, { prompt: newPrompt('a'), images: [reference] });
      assert.equal(status, 400);
      assert.equal(body.error.param, 'images');
      assert.match(body.error.message, /data:image\/png;base64,/);
    });
}

async function refusalOf(promise, ErrorType, facts) {
  const error = await promise.then(
    () => assert.fail('it answered'),
    thrown => thrown,
  );
  assert.ok(error instanceof ErrorType, `${error.constructor.name}: ${error.message}`);
  for (const [name, value] of Object.entries(facts)) assert.equal(error[name], value, `${name}: ${error.message}`);
}

export function testEditLimits(session) {
  const { client } = session;
  const edit = members =>
    client.images.edit({ model: session.model, prompt: newPrompt('never made'), size: session.sizes[0], ...members });

  test('a seventeenth picture is refused', async () => {
    const image = await Promise.all(Array.from({ length: 17 }, (_, i) => fileOf(picture('png', `${i}`))));
    await refusalOf(edit({ image }), OpenAI.BadRequestError, { param: 'image', code: 'invalid_value' });
  });
  test('what is no picture is refused by its bytes, whatever it is called', async () => {
    const image = await toFile(Buffer.from('GIF89a, says the file'), 'a.png', { type: 'image/png' });
    await refusalOf(edit({ image }), OpenAI.BadRequestError, { param: 'image', code: 'invalid_image' });
  });
  test('a mask of another size is refused', async () => {
    const mask = await fileOf(picture('png', 'small', { width: 8, transparent: true }));
    const image = await fileOf(picture('png', 'one'));
    await refusalOf(edit({ image, mask }), OpenAI.BadRequestError, { param: 'mask', code: 'invalid_image' });
  });
  test('a mask without alpha is refused', async () => {
    const [image, mask] = await Promise.all([fileOf(picture('png', 'one')), fileOf(picture('png', 'two'))]);
    await refusalOf(edit({ image, mask }), OpenAI.BadRequestError, { param: 'mask', code: 'invalid_image' });
  });
  test('a picture past 50 MiB is answered 413', async () => {
    const image = await fileOf(Buffer.alloc(50 * MIB + 1));
    await refusalOf(edit({ image }), OpenAI.APIError, { status: 413, code: 'image_too_large' });
  });
  test('no picture at all is refused', async () => {
    const form = new FormData();
    form.set('model', session.model);
    form.set('prompt', 'nothing to work on');
    const { status, body } = await post(session, form, {});
    assert.deepEqual([status, body.error.param], [400, 'image']);
  });
}

export function testEditErrors(session) {
  for (const [act, ErrorType, status] of [
    ['status=moderation_blocked', OpenAI.BadRequestError, 400],
    ['body=garbage', OpenAI.InternalServerError, 502],
  ])
    test(`an edit that ends with the provider's ${act} is a ${ErrorType.name}`, async () => {
      const image = await fileOf(picture('png', 'one'));
      const prompt = newPrompt(`the lighthouse [fake:${act}]`);
      const edit = { model: session.model, prompt, size: session.sizes[0], image };
      await refusalOf(session.client.images.edit(edit), ErrorType, { status });
    });
}
