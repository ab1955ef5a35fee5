// Checks a stream of OpenAI's image events in FILE: names, members, indexes and pictures of SIZE; prints the names.
//
//   check-events.mjs FILE SIZE

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { readPng } from '../../fakes/read-png.mjs';

const PARTIAL = 'image_generation.partial_image';
const FACTS = ['created_at', 'size', 'quality', 'background', 'output_format'];
const MEMBERS = {
  [PARTIAL]: ['type', 'b64_json', 'partial_image_index', ...FACTS],
  'image_generation.completed': ['type', 'b64_json', ...FACTS, 'usage'],
};

const [file, size] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
assert.ok(text.endsWith('\n\n'), 'the last event is whole');
const events = text
  .split('\n\n')
  .filter(event => event && !event.startsWith(':'))
  .map(event => {
    const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(event);
    return { name, data: JSON.parse(data) };
  });

for (const { name, data } of events) {
  assert.equal(data.type, name);
  assert.deepEqual(Object.keys(data), MEMBERS[name]);
  assert.equal(data.size, size);
  assert.equal(data.output_format, 'png');
  assert.ok(Math.abs(data.created_at - Date.now() / 1000) < 300);
  const { width, height } = readPng(Buffer.from(data.b64_json, 'base64'));
  assert.equal(`${width}x${height}`, size);
}
const indexes = events.filter(({ name }) => name === PARTIAL).map(({ data }) => data.partial_image_index);
assert.deepEqual(indexes, [...indexes.keys()]);
assert.equal(new Set(events.map(({ data }) => data.b64_json)).size, events.length);
console.log(events.map(({ name }) => name.replace('image_generation.', '')).join(' '));
