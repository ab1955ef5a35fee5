// What a provider may answer that is no answer, one lie a name, each written to the socket as it is: no HTTP library
// stands between, so that the wire can lie as well. Wherever a text fits, it repeats the key it was sent, as careless
// services do.

import { gzipSync } from 'node:zlib';

import { crc32, drawImage } from './image.mjs';

const CHUNK = Buffer.alloc(64 * 1024, 'A');
const THREE_GIGABYTES = 3 * 2 ** 30;
const SIZE = 64;

function picture(more = {}) {
  return drawImage({ width: SIZE, height: SIZE, format: 'png', transparent: false, seed: 'a lie', ...more });
}

// The good picture with another size in its header, and the checksum to match.
function claiming(edge) {
  const bytes = picture();
  bytes.writeUInt32BE(edge, 16);
  bytes.writeUInt32BE(edge, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

function images(...list) {
  return { created: 1, data: list.map(bytes => ({ b64_json: bytes.toString('base64') })) };
}

function failure(type, code, message = 'No') {
  return { error: { message, type, param: null, code } };
}

function head(status, headers, key) {
  const fields = { 'x-request-id': `req_${key}`, connection: 'close', ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Lie\r\n${lines.join('')}\r\n`;
}

// A whole answer; an object is sent as JSON.
function say(status, body, headers = {}) {
  return ({ socket, key }) => {
    const text = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body;
    const bytes = Buffer.from(typeof text === 'string' ? text.replaceAll('KEY', key) : text);
    const fields = { 'content-type': 'application/json', 'content-length': bytes.length, ...headers };
    socket.end(Buffer.concat([Buffer.from(head(status, fields, key)), bytes]));
  };
}

// A head, then what the function does with the socket.
function begin(headers, go) {
  return ({ socket, key }) => {
    socket.write(head(200, { 'content-type': 'application/json', ...headers }, key));
    go(socket);
  };
}

function pour(socket, bytesMax) {
  let left = bytesMax;
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= CHUNK.length;
      if (!socket.write(CHUNK)) return socket.once('drain', more);
    }
  };
  socket.write('{"created":1,"data":[{"b64_json":"');
  more();
}

function every(ms, socket, write) {
  const timer = setInterval(write, ms);
  socket.on('close', () => clearInterval(timer));
}

const good = JSON.stringify(images(picture()));
const half = good.slice(0, good.length >> 1);
const quota = failure('insufficient_quota', 'insufficient_quota', 'You exceeded your quota with KEY.');
const limited = failure('requests', 'rate_limit_exceeded', 'Rate limit reached.');
const broken = failure('server_error', null, 'The server had an error with Bearer KEY.');

export const LIES = {
  html_502: say(502, '<html><h1>502 Bad Gateway</h1>KEY</html>', { 'content-type': 'text/html' }),
  html_503: say(503, '<html>Service Unavailable</html>', { 'content-type': 'text/html' }),
  html_200: say(200, '<!doctype html><title>Just a moment</title>', { 'content-type': 'text/html' }),
  error_500: say(500, broken),
  error_500_do_not_retry: say(500, broken, { 'x-should-retry': 'false' }),
  error_503: say(503, failure('service_unavailable_error', 'server_is_overloaded', 'Overloaded.')),
  error_529: say(529, failure('overloaded_error', 'overloaded', 'Overloaded.')),
  error_400: say(400, failure('invalid_request_error', 'invalid_value', 'Your KEY may not do this.')),
  unauthorized: say(401, failure('invalid_request_error', 'invalid_api_key', 'Incorrect API key provided: KEY.')),
  unauthorized_html: say(401, '<html>Login with KEY</html>', { 'content-type': 'text/html' }),
  forbidden: say(403, failure('invalid_request_error', null, 'Your organization must be verified.')),
  model_missing: say(404, failure('invalid_request_error', 'model_not_found', 'The model does not exist.')),
  timeout_408: say(408, failure('server_error', 'timeout', 'Timed out.')),
  conflict_409: say(409, failure('server_error', 'conflict', 'Locked.')),
  too_large: say(413, failure('invalid_request_error', null, 'Too large.')),
  status_999: say(999, 'what is this'),
  rate_limit: say(429, limited),
  rate_limit_soon: say(429, limited, { 'retry-after-ms': '30' }),
  rate_limit_late: say(429, limited, { 'retry-after': '500' }),
  moderation: say(400, failure('image_generation_user_error', 'moderation_blocked', 'Rejected by the safety system.')),
  quota: say(429, quota, { 'retry-after': '1', 'x-should-retry': 'true' }),
  payment_required: say(402, failure('billing', null, 'No credits for KEY.')),
  redirect: say(302, '', { location: '/honest/v1/images/generations' }),
  redirect_loop: say(307, '', { location: '/redirect_loop/v1/images/generations' }),
  no_content: ({ socket, key }) => socket.end(head(204, {}, key)),
  empty: say(200, ''),
  truncated_json: say(200, good.slice(0, -20)),
  trailing: say(200, `${good} and more`),
  bom: say(200, Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good)])),
  base64_garbage: say(200, { created: 1, data: [{ b64_json: '!*!*not base64!*!*' }] }),
  not_an_image: say(200, images(Buffer.from('a text and no image'))),
  missing_data: say(200, { created: 1 }),
  no_images: say(200, { created: 1, data: [] }),
  null_image: say(200, { created: 1, data: [null] }),
  image_by_url: say(200, { created: 1, data: [{ url: 'http://127.0.0.1/x.png' }] }),
  error_in_200: say(200, broken),
  error_text_in_200: say(200, { error: 'something went wrong with KEY' }),
  too_many: say(200, images(picture(), picture({ seed: 'another' }))),
  wrong_size: say(200, images(picture({ width: SIZE / 2 }))),
  one_pixel: say(200, images(picture({ width: 1, height: 1 }))),
  claims_20000: say(200, images(claiming(20000))),
  one_colour: say(200, images(picture({ flat: true }))),
  cut_image: say(200, images(picture().subarray(0, -30))),
  deep: say(200, good.replace('{', `{"deep":${'['.repeat(5000)}${']'.repeat(5000)},`)),
  nan_usage: say(200, good.replace('{', '{"usage":{"input_tokens":NaN,"output_tokens":1},')),
  negative_usage: say(200, good.replace('{', '{"usage":{"input_tokens":-5,"output_tokens":-900,"total_tokens":-905},')),
  events_unasked: say(200, `event: image_generation.completed\ndata: ${good}\n\n`, {
    'content-type': 'text/event-stream',
  }),
  gzip_bomb: say(200, gzipSync(Buffer.alloc(16 * 2 ** 20, 'A')), { 'content-encoding': 'gzip' }),
  wrong_request_id: say(200, good, { 'x-request-id': 'req KEY '.repeat(40) }),
  huge_headers: say(200, good, { 'x-padding': 'A'.repeat(400 * 1024) }),
  length_too_long: say(200, good, { 'content-length': good.length + 100 }),
  length_too_short: say(200, good, { 'content-length': good.length - 100 }),
  reset_in_body: begin({ 'content-length': good.length }, socket =>
    socket.write(half, () => socket.resetAndDestroy()),
  ),
  closed_before_answer: ({ socket }) => socket.destroy(),
  not_http: ({ socket }) => socket.end('220 mail.example ESMTP\r\n'),
  chunked_garbage: begin({ 'transfer-encoding': 'chunked' }, socket => socket.end('zz\r\nnot a chunk\r\n')),
  endless_body: begin({}, socket => pour(socket, Infinity)),
  three_gigabytes: begin({ 'content-length': THREE_GIGABYTES }, socket => pour(socket, THREE_GIGABYTES)),
  endless_continue: ({ socket }) => every(20, socket, () => socket.write('HTTP/1.1 100 Continue\r\n\r\n')),
  byte_by_byte: begin({ 'content-length': good.length }, socket => {
    let at = 0;
    every(100, socket, () => socket.write(good[at++]));
  }),
  slow_headers: ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nx-slow: ');
    every(100, socket, () => socket.write('A'));
  },
  honest: say(200, good),
};
