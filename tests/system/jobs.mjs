// Many jobs at once, as a client that keeps trying has them.
//
//   jobs.mjs submit COUNT CONNECTIONS [REQUEST]   until COUNT are accepted (202); prints their ids. Each try has a prompt of
//                                                 its own, so that a job whose answer was lost is nobody's
//   jobs.mjs ask COUNT CONNECTIONS [REQUEST]      COUNT synchronous requests, each tried once; prints the status of each
//   jobs.mjs edit COUNT CONNECTIONS [REQUEST]     the same of edits of a small picture
//   jobs.mjs show                                 every job there is: its id, status, number of attempts, error's code
//
// REQUEST is JSON: what is not the sandbox's smallest picture.

import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { drawImage } from '../fakes/image.mjs';

const ANSWER_TIMEOUT_MS = 60000;
const PAUSE_MS = 20;
const PAGE = 100;
// The client key that is shown, where the variable TOKEN holds one.
const KEY = process.env.TOKEN ? { authorization: `Bearer ${process.env.TOKEN}` } : {};
const agent = new Agent({ keepAlive: true, timeout: 60000 }); // without one it does not heed Keep-Alive

function call(method, path, body, headers = {}) {
  const text = body ? JSON.stringify(body) : '';
  return new Promise((resolve, reject) => {
    const options = {
      agent,
      method,
      path,
      host: '127.0.0.1',
      port: 8080,
      timeout: ANSWER_TIMEOUT_MS,
      headers: { ...KEY, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers },
    };
    const sent = request(options, answer => {
      let got = '';
      answer.setEncoding('utf8').on('data', chunk => (got += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: got }));
      answer.on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer in ${ANSWER_TIMEOUT_MS} ms`)));
    sent.on('error', reject);
    sent.end(text);
  });
}

let tries = 0;

const describe = () => ({ model: 'sandbox', prompt: `job ${process.pid} try ${++tries}`, size: '64x64' });

function generation(more, headers) {
  return call('POST', '/v1/images/generations', { ...describe(), ...more }, headers);
}

// Runs `work` COUNT times, so many at a time.
async function spread(count, connections, work) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: connections }, worker));
}

async function submit(more) {
  for (;;) {
    const answer = await generation(more, { prefer: 'respond-async' }).catch(() => null);
    if (answer?.status === 202) return console.log(answer.headers.location.replace('/v1/jobs/', ''));
    await sleep(PAUSE_MS);
  }
}

async function ask(more) {
  const answer = await generation(more).catch(error => ({ status: error.message }));
  console.log(answer.status);
}

const picture = drawImage({ width: 64, height: 64, seed: 'picture' }).toString('base64');

async function edit(more) {
  const images = [{ image_url: `data:image/png;base64,${picture}` }];
  const answer = await call('POST', '/v1/images/edits', { ...describe(), images, ...more }).catch(error => ({ status: error.message }));
  console.log(answer.status);
}

async function show() {
  for (let after = '', more = true; more; ) {
    const { status, text } = await call('GET', `/v1/jobs?limit=${PAGE}${after && `&after=${after}`}`);
    if (status !== 200) throw new Error(`${status} ${text}`);
    const { data, has_more } = JSON.parse(text);
    for (const { id, status, attempts, error } of data)
      console.log([id, status, attempts.length, error?.code ?? '-'].join('\t'));
    more = has_more;
    after = data.at(-1)?.id;
  }
}

const [command, count, connections, more = '{}'] = process.argv.slice(2);
const work = { submit, ask, edit }[command];
await (work ? spread(Number(count), Number(connections), () => work(JSON.parse(more))) : show());
agent.destroy();
