// The judge: holds a request against the published form of the images API and refuses as the service does.
//
// Two kinds of fault come out. A Refusal is what the service itself answers to. A remark is what the service
// would let pass and a gateway must not send all the same: a header of its own client, a repeated one, a
// repeated member. The server counts both as violations, but for refusals that only say whose key or model
// it is (`ordinary`).

import { modelOn } from './models.mjs';

const BODY_BYTES_MAX = 1024 * 1024;

const HEADERS_ALLOWED = new Set([
  'host',
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'accept',
  'accept-encoding',
  'accept-language',
  'user-agent',
  'connection',
  'expect',
  'sec-fetch-mode',
  'idempotency-key',
  'x-client-request-id',
  'openai-organization',
  'openai-project',
]);

export class Refusal extends Error {
  constructor(status, message, { param = null, code = null, ordinary = false } = {}) {
    super(message);
    Object.assign(this, { status, param, code, ordinary });
  }

  get body() {
    const { message, param, code } = this;
    return { error: { message, type: 'invalid_request_error', param, code } };
  }
}

function refuse(param, code, message) {
  throw new Refusal(400, message, { param, code });
}

function list(values) {
  const quoted = values.map(value => `'${value}'`);
  return quoted.length < 2 ? quoted.join() : `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1)}`;
}

function typeName(value) {
  if (value === null || Array.isArray(value)) return value === null ? 'null' : 'an array';
  const names = { string: 'a string', boolean: 'a boolean', object: 'an object' };
  return names[typeof value] ?? (Number.isInteger(value) ? 'an integer' : 'a decimal number');
}

function requireType(name, value, wanted) {
  if (typeName(value) !== wanted)
    refuse(
      name,
      'invalid_type',
      `Invalid type for '${name}': expected ${wanted}, ` + `but got ${typeName(value)} instead.`,
    );
}

function oneOf(...values) {
  return (name, value) => {
    requireType(name, value, 'a string');
    if (!values.includes(value))
      refuse(name, 'invalid_value', `Invalid value: '${value}'. Supported values are: ${list(values)}.`);
  };
}

function integer(min, max) {
  return (name, value) => {
    requireType(name, value, 'an integer');
    if (value > max)
      refuse(
        name,
        'integer_above_max_value',
        `Invalid '${name}': integer above maximum ` +
          `value. Expected a value <= ${max}, but got ${value} instead.`,
      );
    if (value < min)
      refuse(
        name,
        'integer_below_min_value',
        `Invalid '${name}': integer below minimum ` +
          `value. Expected a value >= ${min}, but got ${value} instead.`,
      );
  };
}

function text(charsMax) {
  return (name, value) => {
    requireType(name, value, 'a string');
    const chars = [...value].length;
    if (chars === 0)
      refuse(
        name,
        'empty_string',
        `Invalid '${name}': empty string. ` +
          'Expected a string with minimum length 1, but got an empty string.',
      );
    if (chars > charsMax)
      refuse(
        name,
        'string_above_max_length',
        `Invalid '${name}': string too long. ` +
          `Expected a string with maximum length ${charsMax}, ` +
          `but got a string with length ${chars} instead.`,
      );
  };
}

function flag(name, value) {
  requireType(name, value, 'a boolean');
}

// The free sizes of gpt-image-2: edges of sixteens, no longer than 3:1, between 0.65 and 8.3 million pixels.
function freeSize(name, value) {
  requireType(name, value, 'a string');
  if (value === 'auto') return;

  const bad = why => refuse(name, 'invalid_value', `Invalid size '${value}': ${why}.`);
  const [, width, height] = (/^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(value) ?? []).map(Number);
  if (!width) bad("expected WIDTHxHEIGHT or 'auto'");
  if (width % 16 || height % 16) bad('width and height must both be divisible by 16');
  if (Math.max(width, height) > 3840) bad('the longest edge must not exceed 3840 pixels');
  if (Math.max(width, height) > 3 * Math.min(width, height))
    bad('the aspect ratio must be between 1:3 and 3:1');
  if (width * height < 655360 || width * height > 8294400)
    bad('the number of pixels must be between 655360 and 8294400');
}

const anyString = (name, value) => requireType(name, value, 'a string');

export function fieldRules(model) {
  const common = {
    model: anyString,
    prompt: text(model.promptCharsMax),
    n: integer(1, model.imagesMax),
    size: model.freeSizes ? freeSize : oneOf(...model.sizes),
    quality: oneOf(...model.qualities),
    user: anyString,
  };
  const particular = {
    background: oneOf('auto', 'transparent', 'opaque'),
    output_format: oneOf(...model.formats),
    output_compression: integer(0, 100),
    moderation: oneOf('auto', 'low'),
    stream: flag,
    partial_images: integer(0, 3),
    complexity: oneOf('low', 'medium', 'high'),
    response_format: oneOf('url', 'b64_json'),
    style: oneOf('vivid', 'natural'),
  };
  return { ...common, ...Object.fromEntries(model.fields.map(name => [name, particular[name]])) };
}

// Fields that stand or fall with another.
function checkTogether(body) {
  const format = body.output_format ?? 'png';
  if (body.background === 'transparent' && format === 'jpeg')
    refuse(
      'background',
      'invalid_value',
      "Transparent background is not supported for output format 'jpeg'.",
    );
  if (body.output_compression != null && body.output_compression !== 100 && format === 'png')
    refuse(
      'output_compression',
      'invalid_value',
      "Compression less than 100 is not supported for output format 'png'.",
    );
  if (body.partial_images != null && !body.stream)
    refuse('partial_images', 'invalid_value', "'partial_images' needs 'stream'.");
  if (body.stream && (body.n ?? 1) > 1)
    refuse('n', 'invalid_value', 'How a stream of several images looks is not documented.');
}

// Throws a Refusal, or returns the model's entry.
export function checkModel(id, day) {
  const model = modelOn(id, day);
  if (!model)
    throw new Refusal(404, `The model '${id}' does not exist or you do not have access to it.`, {
      param: 'model',
      code: 'model_not_found',
      ordinary: true,
    });
  return model;
}

// `rulesOf` says what a field of the model may be, by its name.
export function checkFields(body, day, rulesOf = fieldRules) {
  if (body.model == null)
    refuse('model', 'missing_required_parameter', "Missing required parameter: 'model'.");
  anyString('model', body.model);
  const model = checkModel(body.model, day);

  const rules = rulesOf(model);
  for (const name of Object.keys(body))
    if (!Object.hasOwn(rules, name)) refuse(name, 'unknown_parameter', `Unknown parameter: '${name}'.`);
  if (body.prompt == null)
    refuse('prompt', 'missing_required_parameter', "Missing required parameter: 'prompt'.");
  for (const [name, value] of Object.entries(body)) if (value !== null) rules[name](name, value);
  checkTogether(body);
  return model;
}

// A request is flat: any name that comes before a colon twice is a repeated member.
function repeatedNames(source) {
  const tokens = source.match(/"(?:[^"\\]|\\.)*"|[^\s"]/g) ?? [];
  const names = tokens.filter((token, i) => token.length > 1 && tokens[i + 1] === ':');
  return names.filter((name, i) => names.indexOf(name) !== i);
}

function parseBody(bytes) {
  let source, body;
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    body = JSON.parse(source);
  } catch {
    refuse(null, null, 'We could not parse the JSON body of your request.');
  }
  if (typeName(body) !== 'an object')
    refuse(null, 'invalid_type', `Invalid body: expected an object, but got ${typeName(body)}.`);
  return { body, repeated: repeatedNames(source) };
}

// What no well-made client of the service sends, whatever the service makes of it.
export function remarksOnHeaders(req) {
  const names = req.rawHeaders.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase());
  const strange = names.filter(name => !HEADERS_ALLOWED.has(name) && !name.startsWith('x-stainless-'));
  const repeated = names.filter((name, i) => names.indexOf(name) !== i);
  const bodied = req.method === 'GET' && Number(req.headers['content-length'] ?? 0) > 0;
  return [
    ...strange.map(name => `unexpected header '${name}'`),
    ...repeated.map(name => `repeated header '${name}'`),
    ...(bodied ? ['GET with a body'] : []),
  ];
}

// Throws a Refusal, or returns the key.
export function checkKey(req, keys) {
  const header = req.headers.authorization;
  if (header === undefined)
    throw new Refusal(
      401,
      "You didn't provide an API key. You need to provide it in " +
        'an Authorization header using Bearer auth.',
    );
  const [, key] = /^Bearer ([\x21-\x7e]+)$/.exec(header) ?? [];
  if (!key) throw new Refusal(401, 'The Authorization header is not of the form: Bearer YOUR_KEY.');
  if (keys.size > 0 ? !keys.has(key) : !key.startsWith('sk-'))
    throw new Refusal(401, `Incorrect API key provided: ${key.slice(0, 3)}***.`, {
      code: 'invalid_api_key',
      ordinary: true,
    });
  return key;
}

export function checkMethod(req, method) {
  if (req.method !== method)
    throw new Refusal(
      405,
      `Not allowed to ${req.method} on ${req.url}. ` +
        '(HINT: Perhaps you meant to use a different HTTP method?)',
      { code: 'method_not_supported' },
    );
}

// Throws a Refusal, or returns the request with its defaults filled in, its model's entry, and the remarks
// on it.
export function checkGeneration(req, bytes, day) {
  const type = req.headers['content-type'] ?? '';
  if (!/^application\/json(; *charset=utf-8)?$/i.test(type))
    refuse(
      null,
      'unsupported_content_type',
      `Unsupported content type: '${type}'. ` + "This API method only accepts 'application/json' requests.",
    );

  const { body, repeated } = parseBody(bytes);
  const model = checkFields(body, day);
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
  return {
    model,
    request: {
      n: 1,
      size: 'auto',
      quality: 'auto',
      background: 'auto',
      output_format: 'png',
      response_format: model.base64Only ? 'b64_json' : 'url',
      partial_images: 0,
      ...given,
    },
    remarks: repeated.map(name => `repeated member ${name}`),
  };
}

export async function readBody(req, bytesMax = BODY_BYTES_MAX) {
  const parts = [];
  let size = 0;
  for await (const part of req) {
    size += part.length;
    if (size > bytesMax) throw new Refusal(413, 'The request body is too large.');
    parts.push(part);
  }
  return Buffer.concat(parts);
}
