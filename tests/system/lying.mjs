// The table of what becomes of a job whose provider lies, and a client that holds the worker to it.
//
//   lying.mjs configure PORT        prints the settings: a provider, a model and one with a fallback for each lie
//   lying.mjs ask                   asks every model at once, then every model with a fallback; one line of TAP each
//
// A line of the table says: what the client gets (status and code), what the ledger books (settle, release, unknown),
// how many attempts were made, whether the failure counted for the circuit breaker (which one failure opens here), and
// whether the fallback made the image where there is one.

import { setTimeout as sleep } from 'node:timers/promises';

const ATELIER = 'http://127.0.0.1:8080';
const PRICE = 10000;
const SLOW = new Set(['byte_by_byte', 'slow_headers', 'endless_continue']);
const OUTSIDE = {
  connection_refused: () => 'http://127.0.0.1:1/v1',
  tls_failure: port => `https://127.0.0.1:${port}/honest/v1`,
};
const BREAKER_SECONDS_MAX = 5;

// A reply that holds no usable image may have been paid: unknown, asked once, never made elsewhere.
const BAD_REPLY = [502, 'provider_bad_reply', 'unknown', 1, 'open', false];
const SETTLED = [200, undefined, 'settle', 1, 'closed', false];
const NOT_THERE = [502, 'provider_unavailable', 'release', 2, 'open', true];

const TABLE = {
  html_502: [502, 'provider_unavailable', 'unknown', 1, 'open', false],
  html_503: [502, 'provider_unavailable', 'unknown', 1, 'open', false],
  html_200: BAD_REPLY,
  error_500: [500, null, 'release', 2, 'open', true],
  error_500_do_not_retry: [500, null, 'release', 1, 'open', true],
  error_503: [503, 'server_is_overloaded', 'release', 2, 'open', true],
  error_529: NOT_THERE,
  error_400: [400, 'invalid_value', 'release', 1, 'closed', false],
  unauthorized: [503, 'provider_key_refused', 'release', 1, 'closed', true],
  unauthorized_html: [503, 'provider_key_refused', 'release', 1, 'closed', true],
  forbidden: [403, null, 'release', 1, 'closed', false],
  model_missing: [404, 'model_not_found', 'release', 1, 'closed', true],
  timeout_408: [504, 'provider_timeout', 'unknown', 1, 'open', false],
  conflict_409: [409, 'conflict', 'release', 2, 'closed', true],
  too_large: [413, null, 'release', 1, 'closed', false],
  status_999: [502, 'provider_unavailable', 'unknown', 1, 'open', false],
  rate_limit: [429, 'rate_limit_exceeded', 'release', 2, 'closed', true],
  rate_limit_soon: [429, 'rate_limit_exceeded', 'release', 2, 'closed', true],
  rate_limit_late: [429, 'rate_limit_exceeded', 'release', 1, 'closed', true],
  moderation: [400, 'moderation_blocked', 'release', 1, 'closed', false],
  quota: [503, 'provider_quota_exhausted', 'release', 1, 'closed', true],
  payment_required: [503, 'provider_quota_exhausted', 'release', 1, 'closed', true],
  redirect: [502, 'provider_error', 'release', 1, 'closed', false],
  redirect_loop: [502, 'provider_error', 'release', 1, 'closed', false],
  no_content: BAD_REPLY,
  empty: BAD_REPLY,
  truncated_json: BAD_REPLY,
  trailing: BAD_REPLY,
  bom: BAD_REPLY,
  base64_garbage: BAD_REPLY,
  not_an_image: BAD_REPLY,
  missing_data: BAD_REPLY,
  no_images: BAD_REPLY,
  null_image: BAD_REPLY,
  image_by_url: BAD_REPLY,
  error_in_200: BAD_REPLY,
  error_text_in_200: BAD_REPLY,
  too_many: BAD_REPLY,
  wrong_size: BAD_REPLY,
  one_pixel: BAD_REPLY,
  claims_20000: BAD_REPLY,
  one_colour: SETTLED,
  cut_image: BAD_REPLY,
  deep: BAD_REPLY,
  nan_usage: BAD_REPLY,
  negative_usage: SETTLED,
  events_unasked: BAD_REPLY,
  gzip_bomb: BAD_REPLY,
  wrong_request_id: SETTLED,
  huge_headers: BAD_REPLY,
  length_too_long: BAD_REPLY,
  length_too_short: BAD_REPLY,
  reset_in_body: BAD_REPLY,
  closed_before_answer: BAD_REPLY,
  not_http: BAD_REPLY,
  chunked_garbage: BAD_REPLY,
  endless_body: BAD_REPLY,
  three_gigabytes: BAD_REPLY,
  endless_continue: [504, 'provider_timeout', 'unknown', 1, 'open', false],
  byte_by_byte: [504, 'provider_timeout', 'unknown', 1, 'open', false],
  slow_headers: [504, 'provider_timeout', 'unknown', 1, 'open', false],
  connection_refused: NOT_THERE,
  tls_failure: NOT_THERE,
};
const NAMES = Object.keys(TABLE);

function configure(port) {
  const provider = name => `  { name = "${name}"; key = "file:/run/liar-key"; retry_unknown = false;
    timeout = "${SLOW.has(name) ? '700ms' : '20s'}";
    base_url = "${OUTSIDE[name]?.(port) ?? `http://127.0.0.1:${port}/${name}/v1`}"; }`;
  const model = (name, more) => `  { name = "${more ? 'f' : 'm'}-${name}"; provider = "${name}";
    sizes = [ "64x64" ]; answer = "url"; ${more} }`;
  const price = (name, kind) => `  { name = "${kind}-${name}"; provider = "${name}"; model = "${kind}-${name}";
    per_image = [ "* * $0.01" ]; }`;
  const models = NAMES.flatMap(name => [model(name, ''), model(name, 'fallback = [ "sandbox" ];')]);
  return `trust_loopback = true;
worker = { attempts_max = 2; retry_min = "20ms"; retry_max = "30ms"; breaker_failures = 1; breaker_cooldown = "100ms"; };
providers = (\n${NAMES.map(provider).join(',\n')} );
models = (\n${models.join(',\n')} );
prices = (\n${NAMES.flatMap(name => [price(name, 'm'), price(name, 'f')]).join(',\n')} );`;
}

async function ask(model) {
  const answer = await fetch(`${ATELIER}/v1/images/generations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'a lie', size: '64x64' }),
  });
  const text = await answer.text();
  const id = `job_${answer.headers.get('x-request-id')}`;
  const history = await (await fetch(`${ATELIER}/v1/jobs/${id}`)).text();
  process.stdout.write(`# ${model}: ${text} ${history}\n`);
  return { status: answer.status, code: JSON.parse(text).error?.code, job: JSON.parse(history) };
}

function booked({ cost }) {
  if (cost.reserved_micros > 0) return 'reserved';
  if (cost.unknown_micros === PRICE) return 'unknown';
  return cost.charged_micros === PRICE ? 'settle' : cost.charged_micros === 0 ? 'release' : 'another amount';
}

async function breakers() {
  const text = await (await fetch(`${ATELIER}/metrics`)).text();
  const lines = [...text.matchAll(/^genai_circuit_breaker_state\{.*model="m-([^"]*)"\} (\d)/gm)];
  return Object.fromEntries(lines.map(([, name, state]) => [name, state === '0' ? 'closed' : 'open']));
}

// Metrics are sampled: they may be a moment old.
async function settledBreakers() {
  const deadline = Date.now() + BREAKER_SECONDS_MAX * 1000;
  for (;;) {
    const states = await breakers();
    if (NAMES.every(name => states[name] === TABLE[name][4]) || Date.now() > deadline) return states;
    await sleep(100);
  }
}

async function main() {
  const alone = Object.fromEntries(await Promise.all(NAMES.map(async name => [name, await ask(`m-${name}`)])));
  const states = await settledBreakers();
  const backed = Object.fromEntries(await Promise.all(NAMES.map(async name => [name, await ask(`f-${name}`)])));
  for (const [i, name] of NAMES.entries()) {
    const { status, code, job } = alone[name];
    const rescued = backed[name].job.attempts.at(-1)?.model === 'sandbox';
    const got = [status, code, booked(job), job.attempts.length, states[name], rescued];
    const same = JSON.stringify(got) === JSON.stringify(TABLE[name]);
    const kept = !rescued || (backed[name].status === 200 && booked(backed[name].job) === 'release');
    process.stdout.write(`${same && kept ? 'ok' : 'not ok'} ${i + 1} - ${name}\n`);
    if (!same) process.stdout.write(`# wanted ${JSON.stringify(TABLE[name])}\n#    got ${JSON.stringify(got)}\n`);
    if (!kept) process.stdout.write(`# the fallback left ${JSON.stringify(backed[name])}\n`);
  }
}

if (process.argv[2] === 'configure') process.stdout.write(configure(process.argv[3]));
else await main();
