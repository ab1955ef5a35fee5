// Sends what ought to be refused and checks how it is refused: the status, OpenAI's error object with the code and the
// param that help a client, and the request id. Prints a line for each row of the table named that went wrong, and
// exits 0 when none did.
//
//   bad-input.mjs bodies|fields|requests

import { exchange, generation } from './raw-http.mjs';

const BODY_BYTES_MAX = 1024 * 1024;
const PROMPT_CHARS_MAX = 32000;
const IMAGES_MAX = 10;
const FIELD_BYTES_MAX = 512;
const DEPTH_MAX = 32;

const tables = { bodies: [], fields: [], requests: [] };

// What the body's bytes themselves can have wrong. The message names the reason and, where it helps, the byte.
function body(name, bytes, message) {
  tables.bodies.push({ name, bytes: generation(bytes), status: 400, code: null, param: null, message });
}

const prompt = (text) => `{"prompt": "${text}"}`;
const withBytes = (...bytes) => Buffer.concat([Buffer.from('{"prompt": "'), Buffer.from(bytes), Buffer.from('"}')]);
const withNumber = (number) => `{"prompt": "x", "size": "64x64", "n": ${number}}`;
const nested = (depth) => `{"prompt": "x", "user": ${'['.repeat(depth)}${']'.repeat(depth)}}`;

body('nothing', '', /at byte 0/);
body('only blanks', ' \r\n\t ', /JSON/);
body('a name without quotes', '{prompt: "x"}', /at byte 1/);
body('single quotes', "{'prompt': 'x'}", /at byte 1/);
body('a comment', '{"prompt": "x" /* no */}', /at byte 15/);
body('a comma too many', '{"prompt": "x",}', /at byte 15/);
body('a byte order mark', `\ufeff${prompt('x')}`, /at byte 0/);
body('cut within a string', '{"prompt": "x', /JSON/);
body('cut behind a colon', '{"prompt":', /JSON/);
body('cut before the last brace', '{"prompt": "x"', /JSON/);
body('cut within an escape', '{"prompt": "\\u00', /JSON/);
body('cut within a literal', '{"prompt": nul', /JSON/);
body('trailing text', `${prompt('x')} x`, /at byte 16/);
body('a second object', `${prompt('x')}${prompt('y')}`, /at byte 15/);
body('a trailing NUL', `${prompt('x')}\0`, /at byte 15/);
body('one level too deep', nested(DEPTH_MAX), /nested/);
body('very deep', nested(100000), /nested/);
body('very deep and never closed', '['.repeat(BODY_BYTES_MAX), /nested/);
body('a name twice', '{"prompt": "x", "prompt": "y"}', /duplicate name/);
body('a name twice, once escaped', '{"prompt": "x", "pr\\u006fmpt": "y"}', /duplicate name/);
body('an invalid UTF-8 byte', withBytes(0xff), /UTF-8/);
body('UTF-8 that is cut', withBytes(0xe2, 0x82), /UTF-8/);
body('overlong UTF-8', withBytes(0xc0, 0xaf), /UTF-8/);
body('a surrogate in UTF-8', withBytes(0xed, 0xa0, 0x80), /UTF-8/);
body('UTF-8 past U+10FFFF', withBytes(0xf4, 0x90, 0x80, 0x80), /UTF-8/);
body('UTF-16', Buffer.from(prompt('x'), 'utf16le'), /JSON/);
body('a high surrogate alone', prompt('\\ud83d'), /surrogate/);
body('a low surrogate alone', prompt('\\ude00'), /surrogate/);
body('an escaped NUL', prompt('a\\u0000b'), /u0000/);
body('a raw NUL', withBytes(0), /control character/);
body('a raw newline', prompt('a\nb'), /control character/);
body('a raw escape character', withBytes(0x1b), /control character/);
body('an unknown escape', prompt('\\x41'), /escape/);
for (const number of ['01', '-01', '+1', '.5', '1.', '1e', '0x1', '--1', 'NaN', 'Infinity'])
  body(`the number ${number}`, withNumber(number), /at byte/);
body('a number past the range of doubles', withNumber('1e999'), /number/);
body('an integer past 2^53', withNumber('9007199254740993'), /integer|number/);
body('a very long number', withNumber('1'.repeat(100)), /number|integer/);
for (const [name, text] of [['an array', '[1]'], ['a string', '"x"'], ['an integer', '3'], ['null', 'null']])
  body(`${name} instead of an object`, text, new RegExp(`must be a JSON object, but is ${name}`));

// What single fields can have wrong.
function field(name, members, param, code, status = 400) {
  const bytes = generation(JSON.stringify({ prompt: 'x', size: '64x64', ...members }));
  tables.fields.push({ name, bytes, status, code, param });
}

for (const value of [7, true, ['x'], { text: 'x' }])
  field(`prompt is ${JSON.stringify(value)}`, { prompt: value }, 'prompt', 'invalid_type');
field('no prompt', { prompt: undefined }, 'prompt', 'missing_required_parameter');
field('prompt is null', { prompt: null }, 'prompt', 'missing_required_parameter');
field('prompt is empty', { prompt: '' }, 'prompt', 'string_below_min_length');
for (const character of ['x', 'é'])
  field(`prompt is one ${character} too long`, { prompt: character.repeat(PROMPT_CHARS_MAX + 1) }, 'prompt',
    'string_above_max_length');
field('model is a number', { model: 3 }, 'model', 'invalid_type');
field('model is unknown', { model: 'dall-e-9' }, 'model', 'model_not_found', 404);
field('model is empty', { model: '' }, 'model', 'model_not_found', 404);
field('model has no key here', { model: 'gpt-image-2', size: '1024x1024' }, 'model', 'model_not_found', 404);
field('size is a number', { size: 64 }, 'size', 'invalid_type');
for (const size of ['', 'big', '64', '64x', 'x64', '64X64', '64x64 ', '064x64', '-64x64', '63x64', '2049x64',
  '99999x99999'])
  field(`size is "${size}"`, { size }, 'size', 'invalid_value');
field('size is too oblong', { size: '2048x63' }, 'size', 'invalid_value');
field('quality is unknown', { quality: 'ultra' }, 'quality', 'invalid_value');
field('quality is a number', { quality: 1 }, 'quality', 'invalid_type');
field('style is unknown', { style: 'baroque' }, 'style', 'invalid_value');
field('a field of other models', { background: 'opaque' }, 'background', 'unknown_parameter');
field('response_format is unknown', { response_format: 'png' }, 'response_format', 'invalid_value');
field('output_format is unknown', { output_format: 'gif' }, 'output_format', 'invalid_value');
field('n is 0', { n: 0 }, 'n', 'invalid_value');
field('n is negative', { n: -1 }, 'n', 'invalid_value');
field('n is one too many', { n: IMAGES_MAX + 1 }, 'n', 'invalid_value');
field('n is huge', { n: 2 ** 53 }, 'n', 'invalid_value');
field('n is a fraction', { n: 1.5 }, 'n', 'invalid_type');
field('n is a string', { n: '1' }, 'n', 'invalid_type');
field('n is a boolean', { n: true }, 'n', 'invalid_type');
field('user is too long', { user: 'x'.repeat(FIELD_BYTES_MAX + 1) }, 'user', 'string_above_max_length');
field('a stream of several images', { stream: true, n: 2 }, 'n', 'unsupported_value');
field('stream is a string', { stream: 'false' }, 'stream', 'invalid_type');
field('partial images without a stream', { partial_images: 2 }, 'partial_images', 'invalid_value');
field('too many partial images', { stream: true, partial_images: 4 }, 'partial_images', 'invalid_value');
field('an unknown field', { promt: 'x' }, 'promt', 'unknown_parameter');

// What the line and the head of a request can have wrong.
function request(name, lines, status, code, more = {}) {
  const head = Array.isArray(lines) ? lines : [`${lines} HTTP/1.1`, 'Host: localhost'];
  tables.requests.push({ name, bytes: `${head.join('\r\n')}\r\n\r\n`, status, code, ...more });
}

const POST = 'POST /v1/images/generations HTTP/1.1';
const JSON_TYPE = 'Content-Type: application/json';

request('an unknown path', 'GET /v1/unknown', 404, 'unknown_url');
request('the root', 'GET /', 404, 'unknown_url');
request('a path with a slash too many', 'GET /v1/models/', 404, 'unknown_url');
request('a path that climbs', 'GET /v1/images/../jobs', 404, 'unknown_url');
request('an image that no job made', `GET /v1/images/${'0'.repeat(64)}.png`, 404, 'image_not_found');
request('an image name that climbs', 'GET /v1/images/..%2F..%2Fatelier.db', 404, 'unknown_url');
request('an image name that is none', 'GET /v1/images/x.png', 404, 'image_not_found');
request('a job that is none', `GET /v1/jobs/job_${'0'.repeat(32)}`, 404, 'job_not_found');
request('a job id that is none', "GET /v1/jobs/'or'1", 404, 'job_not_found');
request('a model that is none', 'GET /v1/models/none', 404, 'model_not_found');
for (const [method, path, allow] of [
  ['GET', '/v1/images/generations', 'POST'],
  ['PUT', '/v1/images/generations', 'POST'],
  ['DELETE', '/v1/models', 'GET, HEAD'],
  ['POST', '/health', 'GET, HEAD'],
  ['POST', '/metrics', 'GET, HEAD'],
  ['PUT', `/v1/jobs/job_${'0'.repeat(32)}`, 'GET, HEAD, DELETE'],
  ['BREW', '/health/live', 'GET, HEAD'],
])
  request(`${method} ${path}`, [`${method} ${path} HTTP/1.1`, 'Host: localhost', 'Content-Length: 0'], 405,
    'method_not_allowed', { header: 'allow', wanted: allow });
for (const type of ['text/plain', 'application/jsonx', 'multipart/form-data; boundary=x', ''])
  request(`type "${type}"`, [POST, 'Host: localhost', `Content-Type: ${type}`, 'Content-Length: 0'], 415,
    'unsupported_content_type');
request('no type', [POST, 'Host: localhost', 'Content-Length: 0'], 415, 'unsupported_content_type');
request('a compressed body', [POST, 'Host: localhost', JSON_TYPE, 'Content-Encoding: gzip', 'Content-Length: 0'], 415,
  'unsupported_content_encoding');
for (const host of ['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1',
  '[2001:db8::1]', 'localhost:x', '', 'localhost@evil.example'])
  request(`Host "${host}"`, ['GET /health/live HTTP/1.1', `Host: ${host}`], 421, 'unknown_host');
request('two Hosts', ['GET /health/live HTTP/1.1', 'Host: localhost', 'Host: localhost'], 400, 'invalid_head');
for (const [name, ...fields] of [
  ['two lengths', 'Content-Length: 0', 'Content-Length: 5'],
  ['length and chunks', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
  ['an unknown coding', 'Transfer-Encoding: gzip, chunked'],
])
  request(name, [POST, 'Host: localhost', JSON_TYPE, ...fields], 400, 'invalid_head', { byLibrary: true });
request('a blank before a colon', ['GET /health/live HTTP/1.1', 'Host: localhost', 'X-Y : z'], 400, 'invalid_head',
  { byLibrary: true });
request('a percent that is none', 'GET /v1/models/%zz', 400, 'invalid_target');
request('a NUL in the path', 'GET /v1/models/a%00b', 400, 'invalid_target');
request('a path that is not UTF-8', 'GET /v1/models/%ff', 400, 'invalid_target');
request('an unknown parameter', 'GET /v1/jobs?colour=red', 400, 'unknown_parameter', { param: 'colour' });
request('a parameter twice', 'GET /v1/jobs?limit=1&limit=2', 400, 'invalid_target');
for (const limit of ['0', '101', '-1', '1x', ''])
  request(`limit "${limit}"`, `GET /v1/jobs?limit=${limit}`, 400, 'invalid_value', { param: 'limit' });
request('a status that is none', 'GET /v1/jobs?status=done', 400, 'invalid_value', { param: 'status' });
request('after what is no job', 'GET /v1/jobs?after=x', 400, 'invalid_value', { param: 'after' });

// libmicrohttpd 1.0 refuses some heads itself, as docs/http-api.md says; 0.9 leaves them to us.
function refusedByLibrary(row, answer) {
  return row.byLibrary && !answer.headers.has('x-request-id') && answer.headers.get('connection') === 'close' &&
    /<html>/i.test(answer.body);
}

function problem(row, answer) {
  if (answer.status !== row.status) return `status ${answer.status} ${answer.body.subarray(0, 300)}`;
  if (refusedByLibrary(row, answer)) return null;
  if (!/^[0-9a-f]{32}$/.test(answer.headers.get('x-request-id') ?? '')) return 'no x-request-id';
  if (answer.headers.get('content-type') !== 'application/json') return 'the answer is not JSON';
  const { error } = answer.json();
  if (Object.keys(error).join() !== 'message,type,param,code') return `error has ${Object.keys(error)}`;
  if (error.type !== 'invalid_request_error') return `type ${error.type}`;
  if (error.code !== row.code) return `code ${error.code}: ${error.message}`;
  if (row.param !== undefined && error.param !== row.param) return `param ${error.param}: ${error.message}`;
  if (row.message && !row.message.test(error.message)) return `message ${error.message}`;
  if (row.header && answer.headers.get(row.header) !== row.wanted)
    return `${row.header}: ${answer.headers.get(row.header)}`;
  return null;
}

const table = tables[process.argv[2]];
let failed = 0;
for (const row of table) {
  const found = problem(row, await exchange(row.bytes));
  if (found === null) continue;
  console.log(`${row.name}: ${found}`);
  failed++;
}
console.log(`${table.length - failed} of ${table.length} refused as they should be`);
process.exit(failed > 0 ? 1 : 0);
