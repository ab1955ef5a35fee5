// Batches that are wrong, and what each is told: [body, status, code, param].

const API = 'http://127.0.0.1:8080/v1/batches';
const good = { prompt: 'x', size: '64x64' };
const names = count => Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, 'x']));

const table = [
  [{}, 400, 'missing_required_parameter', 'requests'],
  [[], 400, null, null],
  [{ prompts: ['x'], requests: [good] }, 400, 'missing_required_parameter', 'requests'],
  [{ prompts: [] }, 400, 'invalid_batch_size', 'prompts'],
  [{ requests: [] }, 400, 'invalid_batch_size', 'requests'],
  [{ prompts: 'x' }, 400, 'invalid_type', 'prompts'],
  [{ prompts: { 0: 'x' } }, 400, 'invalid_type', 'prompts'],
  [{ prompts: ['x', 7] }, 400, 'invalid_type', 'prompts.2'],
  [{ prompts: ['x', null] }, 400, 'invalid_type', 'prompts.2'],
  [{ prompts: ['x', ''], size: '64x64' }, 400, null, 'requests.2.prompt'],
  [{ requests: ['x'] }, 400, 'invalid_type', 'requests.1'],
  [{ requests: [good, {}] }, 400, 'missing_required_parameter', 'requests.2.prompt'],
  [{ requests: [good, { ...good, size: 7 }] }, 400, 'invalid_type', 'requests.2.size'],
  [{ requests: [good, { ...good, size: 'huge' }] }, 400, 'invalid_value', 'requests.2.size'],
  [{ requests: [good, { ...good, model: 'nothing' }] }, 404, 'model_not_found', 'requests.2.model'],
  [{ requests: [good, { ...good, nonsense: 1 }] }, 400, 'unknown_parameter', 'requests.2.nonsense'],
  [{ requests: [{ ...good, stream: true }] }, 400, 'unknown_parameter', 'requests.1.stream'],
  [{ prompts: ['x'], stream: true }, 400, 'unknown_parameter', 'stream'],
  [{ prompts: ['x'], response_format: 'b64_json' }, 400, 'unknown_parameter', 'response_format'],
  [{ prompts: ['x'], prompt: 'x' }, 400, 'unknown_parameter', 'prompt'],
  [{ prompts: ['x'], nonsense: 1 }, 400, 'unknown_parameter', 'prompts.1.nonsense'],
  [{ prompts: ['x'], size: '64x64', metadata: 'x' }, 400, 'invalid_type', 'metadata'],
  [{ prompts: ['x'], size: '64x64', metadata: { a: 1 } }, 400, 'invalid_metadata', 'metadata'],
  [{ prompts: ['x'], size: '64x64', metadata: names(17) }, 400, 'invalid_metadata', 'metadata'],
  [{ prompts: ['x'], size: '64x64', metadata: { a: 'x'.repeat(513) } }, 400, 'invalid_metadata', 'metadata'],
  [{ prompts: ['x'], size: '64x64', metadata: { ['x'.repeat(65)]: 'x' } }, 400, 'invalid_metadata', 'metadata'],
  [{ requests: [{ ...good, custom_id: 7 }] }, 400, 'invalid_type', 'requests.1.custom_id'],
  [{ requests: [{ ...good, custom_id: '' }] }, 400, 'invalid_custom_id', 'requests'],
  [{ requests: [{ ...good, custom_id: 'x'.repeat(65) }] }, 400, 'invalid_custom_id', 'requests'],
  [{ requests: [{ ...good, custom_id: 'a' }, { ...good, custom_id: 'a' }] }, 400, 'invalid_custom_id', 'requests'],
  [{ prompts: Array(1000).fill('x'), user: 'x'.repeat(500), style: 'x'.repeat(500), size: 'x'.repeat(500),
     quality: 'x'.repeat(500), background: 'x'.repeat(500), moderation: 'x'.repeat(500), model: 'x'.repeat(500) },
   413, 'batch_too_large', null],
];

let wrong = 0;
for (const [body, status, code, param] of table) {
  const text = JSON.stringify(body);
  const response = await fetch(API, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });
  const { error } = await response.json();
  const got = [response.status, error?.code, error?.param];
  if (got[0] === status && (code === null || got[1] === code) && got[2] === param && error.message) continue;
  console.log(`${text.slice(0, 200)}: got ${JSON.stringify(got)} "${error?.message}"`);
  wrong++;
}
process.exit(wrong ? 1 : 0);
