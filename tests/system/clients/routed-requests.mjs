// Requests to models of OpenRouter, chosen by a seed: both its routes, numbers, streams, errors inside of a 200, and what
// was asked for before.
//
//   routed-requests.mjs COUNT CONNECTIONS SEED
//
// Prints how many answers of each status there were, and fails when one of another comes back.

const ATELIER = 'http://127.0.0.1:8080/v1/images/generations';
const MODELS = ['flux', 'gemini', 'seedream', 'routed-gpt'];
const ACTS = ['', '', '', '', 'ok_400', '403', 'ok_502', 'choice_error'];
const EXPECTED = new Set([200, 400, 403, 502]);

const [count, connections, seed] = process.argv.slice(2).map(Number);

// A linear congruence, so that a run can be repeated; its lower bits are poor.
let state = seed >>> 0;
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

function describe(number) {
  const model = MODELS[random(MODELS.length)];
  const act = ACTS[random(ACTS.length)];
  // Only the chat route tells of an error within a choice.
  const known = act === 'choice_error' && model !== 'gemini' && model !== 'seedream' ? '' : act;
  const body = { model, prompt: `routed ${seed} ${number} ${known && `[router:${known}]`}` };
  if (model === 'flux') body.n = 1 + random(4);
  if (model === 'routed-gpt' && !known) Object.assign(body, { stream: random(2) === 0 });
  return body;
}

const statuses = {};
let next = 0;
const made = [describe('first')];

// What was asked for just now is likely to be under way still, and what was asked for before that to be in the cache.
function choose(number) {
  const which = random(8);
  if (which === 0) return made.at(-1);
  if (which === 1) return made[random(made.length)];
  made.push(describe(number));
  return made.at(-1);
}

async function work() {
  while (next < count) {
    const body = choose(next++);
    const answer = await fetch(ATELIER, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!EXPECTED.has(answer.status)) throw new Error(`${answer.status} to ${JSON.stringify(body)}: ${text.slice(0, 1000)}`);
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
  }
}
await Promise.all(Array.from({ length: connections }, work));
console.log(JSON.stringify(statuses));
