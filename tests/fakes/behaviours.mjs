// How the fake can misbehave. An act is a set of words, `late=3000 status=500`, that comes either from a
// marker in the prompt, `[fake:late=3000 status=500]`, or from a rule laid down through /_control; the two
// are merged.
//
//   when      times=N           only the first N requests with this prompt (else all)
//             hold              keep the request until POST /_release
//             late=MS           wait before the status line
//   instead   status=NAME       one of ERRORS, with retry_after=S retry_after_ms=MS should_retry=true|false
//             redirect=301..308 to /_trap, which nobody should ever follow
//   body      body=NAME         one of BODIES
//             usage=NAME        none, zero, huge, text, negative, partial
//   images    image=NAME        one of IMAGES
//             fewer=N, more=N   so many images than asked for
//   streams   stream=NAME       one of STREAMS (streams.mjs)
//             pause=MS          before each event but the first
//             hold_image        keep the last event until POST /_release
//             plain             no stream: the reply of a server that cannot
//   wire      drips=BYTES/MS    the body in small pieces
//             cut=headers|body|reset|after   close before the status line, in mid-body (or reset there), or
//                               after the last byte
//             length=N          added to the true Content-Length (may be negative)
//             endless=BYTES     a body that goes on for so long, without an end
//             chunked           no Content-Length

import { drawImage } from './image.mjs';
import { STREAMS } from './streams.mjs';

const TRAP = { location: '/_trap' };
const MARKER = /\[fake:([^\]]*)\]/g;
const WORDS = new Set([
  'times',
  'hold',
  'late',
  'status',
  'retry_after',
  'retry_after_ms',
  'should_retry',
  'redirect',
  'body',
  'usage',
  'image',
  'stream',
  'pause',
  'hold_image',
  'plain',
  'fewer',
  'more',
  'drips',
  'cut',
  'length',
  'endless',
  'chunked',
]);

function error(status, type, code, message, extra = {}) {
  return { status, body: { error: { message, type, param: null, code, ...extra } } };
}

const quota = code =>
  error(
    429,
    'insufficient_quota',
    code,
    'You exceeded your current quota, please check your plan and billing details.',
  );

export const ERRORS = {
  400: error(400, 'invalid_request_error', 'invalid_value', 'The request could not be satisfied.'),
  moderation_blocked: error(
    400,
    'image_generation_user_error',
    'moderation_blocked',
    'Your request was rejected by the safety system. If you believe this is an error, ' +
      'contact us and include the request ID req_fake. safety_violations=[violence].',
    { moderation_details: { moderation_stage: 'input', categories: ['violence'] } },
  ),
  content_policy_violation: error(
    400,
    'invalid_request_error',
    'content_policy_violation',
    'Your request was rejected as a result of our safety system.',
  ),
  401: error(401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided: sk-***.'),
  403: error(403, 'invalid_request_error', null, 'Your organization must be verified to use this model.'),
  404: error(
    404,
    'invalid_request_error',
    'model_not_found',
    'The model does not exist or you do not have access to it.',
  ),
  408: error(408, 'server_error', 'timeout', 'Request timed out.'),
  409: error(409, 'server_error', 'conflict', 'The resource is locked by another request.'),
  413: error(413, 'invalid_request_error', null, 'The request body is too large.'),
  429: error(
    429,
    'requests',
    'rate_limit_exceeded',
    'Rate limit reached for images per minute: Limit 5, Used 5, Requested 1.',
  ),
  slow_down: error(429, 'rate_limit_error', 'slow_down', 'Please slow down: traffic ramped up too fast.'),
  insufficient_quota: quota('insufficient_quota'),
  credit_balance_exhausted: quota('credit_balance_exhausted'),
  organization_spend_limit_exceeded: quota('organization_spend_limit_exceeded'),
  project_spend_limit_exceeded: quota('project_spend_limit_exceeded'),
  organization_usage_limit_exceeded: quota('organization_usage_limit_exceeded'),
  500: error(500, 'server_error', null, 'The server had an error while processing your request.'),
  503: error(
    503,
    'service_unavailable_error',
    'server_is_overloaded',
    'The server is currently overloaded with other requests.',
  ),
  502: {
    status: 502,
    type: 'text/html',
    body:
      '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n' +
      '<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n',
  },
  html503: { status: 503, type: 'text/html', body: '<html><body>Service Unavailable</body></html>\n' },
};

// Replies of status 200 that are not what was promised. Each takes the good reply and returns text or an
// object.
const BODIES = {
  truncated: good => JSON.stringify(good).slice(0, -20),
  garbage: () => '\x00\xff\xfe not json at all }{',
  empty: () => '',
  html: () => '<!doctype html><title>Just a moment...</title>',
  array: good => [good],
  number: () => 7,
  error: () => ERRORS[500].body,
  error_string: () => ({ error: 'something went wrong' }),
  nulls: good => Object.fromEntries(Object.keys(good).map(name => [name, null])),
  null_image: good => ({ ...good, data: good.data.map(() => null) }),
  null_base64: good => ({ ...good, data: good.data.map(() => ({ b64_json: null })) }),
  no_data: ({ data, ...rest }) => rest,
  empty_data: good => ({ ...good, data: [] }),
  empty_image: good => ({ ...good, data: good.data.map(() => ({})) }),
  data_object: good => ({ ...good, data: { ...good.data } }),
  trailing: good => `${JSON.stringify(good)} and more`,
  repeated: good => JSON.stringify(good).replace('{', '{"created":1,'),
  deep: good => ({ ...good, deep: JSON.parse('['.repeat(4000) + ']'.repeat(4000)) }),
  extra: good => ({ ...good, new: 1, data: good.data.map(image => ({ ...image, new: [{}, null] })) }),
  escaped: good => JSON.stringify(good).replaceAll('/', '\\/'),
  pretty: good => JSON.stringify(good, null, 4),
};

const USAGES = {
  none: () => undefined,
  zero: usage => JSON.parse(JSON.stringify(usage).replace(/\d+/g, '0')),
  huge: usage => ({ ...usage, output_tokens: Number.MAX_SAFE_INTEGER }),
  negative: usage => ({ ...usage, output_tokens: -usage.output_tokens }),
  text: usage => ({ ...usage, output_tokens: String(usage.output_tokens) }),
  partial: ({ total_tokens: total }) => ({ total_tokens: total }),
};

// Each takes the bytes and the picture they show, and returns the text that stands in `b64_json`.
const IMAGES = {
  bad_base64: bytes => `${bytes.toString('base64').slice(0, -8)}!*!*!*!*`,
  cut_base64: bytes => bytes.toString('base64').replace(/=*$/, '').slice(0, -3),
  url_base64: bytes => bytes.toString('base64url'),
  data_url: bytes => `data:image/png;base64,${bytes.toString('base64')}`,
  not_image: () => Buffer.from('this is a text and not an image').toString('base64'),
  empty: () => '',
  truncated: bytes => bytes.subarray(0, bytes.length >> 1).toString('base64'),
  bad_crc: bytes => {
    const spoilt = Buffer.from(bytes);
    spoilt[29] ^= 1;
    return spoilt.toString('base64');
  },
  wrong_size: (_, picture) => drawImage({ ...picture, width: picture.width >> 1 }).toString('base64'),
  wrong_format: (_, picture) => {
    const format = picture.format === 'png' ? 'jpeg' : 'png';
    return drawImage({ ...picture, format }).toString('base64');
  },
  flat: (_, picture) => drawImage({ ...picture, flat: true }).toString('base64'),
  // The first of the reply alone.
  first_flat: (bytes, picture) =>
    (picture.seed.endsWith('\0' + '0') ? drawImage({ ...picture, flat: true }) : bytes).toString('base64'),
  same: (_, picture) => drawImage({ ...picture, seed: 'the same' }).toString('base64'),
  bomb: (_, picture) => {
    const bytes = drawImage(picture);
    bytes.writeUInt32BE(0x7fffffff, 16);
    return bytes.toString('base64');
  },
};

// Words to an object; numbers where they are numbers. Throws on a word that means nothing, so that no test
// passes because its marker was misspelt.
export function parseAct(words) {
  const act = {};
  for (const word of words.split(/[\s;,]+/).filter(Boolean)) {
    const [, name, value] = /^([a-z_]+)(?:=(.*))?$/.exec(word) ?? [];
    if (!WORDS.has(name)) throw new Error(`unknown behaviour '${word}'`);
    act[name] = value === undefined ? true : /^-?\d+$/.test(value) ? Number(value) : value;
  }
  const tables = { status: ERRORS, body: BODIES, image: IMAGES, usage: USAGES, stream: STREAMS };
  for (const [name, table] of Object.entries(tables))
    if (name in act && !Object.hasOwn(table, act[name]))
      throw new Error(`unknown behaviour '${name}=${act[name]}'`);
  return act;
}

export function actOfPrompt(prompt) {
  return parseAct([...prompt.matchAll(MARKER)].map(([, words]) => words).join(' '));
}

// The rules laid down by tests: {match: part of a prompt, next: how many requests it is good for, act:
// words}. Those with `models` concern the list of models, which a gateway asks for whenever it likes, and no
// others do.
export class Rules {
  #rules = [];

  set(rules) {
    this.#rules = rules.map(({ match = '', next = Infinity, models = false, act }) => {
      return { match, next, models, act: parseAct(act) };
    });
  }

  #take(fits) {
    const rule = this.#rules.find(one => one.next > 0 && fits(one));
    if (rule) rule.next--;
    return rule?.act ?? {};
  }

  takeForPrompt(prompt) {
    return this.#take(({ models, match }) => !models && prompt.includes(match));
  }

  takeForModels() {
    return this.#take(({ models }) => models);
  }
}

// What is sent in place of a good reply, with its headers; null where the act asks for none.
export function insteadOf(act) {
  if (act.redirect) return { status: act.redirect, type: 'text/plain', body: '', headers: TRAP };
  if (!act.status) return null;

  const headers = {};
  if ('retry_after' in act) headers['retry-after'] = String(act.retry_after);
  if ('retry_after_ms' in act) headers['retry-after-ms'] = String(act.retry_after_ms);
  if ('should_retry' in act) headers['x-should-retry'] = String(act.should_retry);
  const { status, type = 'application/json', body } = ERRORS[act.status];
  if (status === 429) headers['x-ratelimit-remaining-requests'] = '0';
  return { status, type, headers, body: typeof body === 'string' ? body : JSON.stringify(body) };
}

export function spoilImage(act, bytes, picture) {
  return act.image ? IMAGES[act.image](bytes, picture) : bytes.toString('base64');
}

export function spoilBody(act, good) {
  const body = act.usage ? { ...good, usage: USAGES[act.usage](good.usage) } : good;
  return act.body ? BODIES[act.body](body) : body;
}

export function imageCount(act, asked) {
  return Math.max(0, asked - (act.fewer ?? 0) + (act.more ?? 0));
}
