// Holds the ledger, the jobs and the receipts against a provider's own bill, request by request.
//
//   audit-ledger.mjs BILL RECEIPTS
//
// BILL is a file with what the fake's GET /_bill says; of every RECEIPTS'th job that was charged the receipts are added up.
// The client may have deleted jobs: what they cost has to be what remains of the bill. Prints what was held against what,
// and fails where a micro-dollar is missing.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const ATELIER = 'http://127.0.0.1:8080';
const ENTRIES = 1000;
const OUTPUT_BYTES_MAX = 16 << 20;
const JOBS = 100;

const [file, receipts] = process.argv.slice(2);
const add = (map, name, micros) => map.set(name, (map.get(name) ?? 0) + micros);
const sum = map => [...map.values()].reduce((total, micros) => total + micros, 0);

async function get(path) {
  const answer = await fetch(ATELIER + path);
  assert.equal(answer.status, 200, path);
  return answer.json();
}

// What each job has cost by the ledger.
function readLedger() {
  const spent = new Map();
  for (let page, after = []; !page || page.length === ENTRIES; after = [`--after=${page.at(-1)?.number}`]) {
    const list = ['--json', 'ledger', 'list', `--limit=${ENTRIES}`, ...after];
    page = JSON.parse(execFileSync('atelierctl', list, { maxBuffer: OUTPUT_BYTES_MAX }));
    for (const { job, spent_micros: micros } of page) add(spent, job, micros);
  }
  return spent;
}

async function* listJobs() {
  for (let page, after = ''; !page || page.has_more; after = `&after=${page.data.at(-1).id}`) {
    page = await get(`/v1/jobs?limit=${JOBS}${after}`);
    yield* page.data;
  }
}

// Prices are whole micro-dollars for so many: summed exactly, rounded up once.
function addUp(items) {
  const per = items.reduce((product, item) => product * BigInt(item.per), 1n);
  const parts = items.map(item => (BigInt(item.count) * BigInt(item.price_micros) * per) / BigInt(item.per));
  const whole = parts.reduce((total, part) => total + part, 0n);
  return Number((whole + per - 1n) / per);
}

async function checkReceipt(job, micros) {
  const name = new URL(job.result.data[0].url, ATELIER).pathname.split('/').at(-1).split('.')[0];
  const { data } = await get(`/v1/images/${name}/receipt`);
  const receipt = data.find(one => one.job === job.id);
  assert.ok(receipt, `${job.id} has no receipt`);
  assert.equal(receipt.charged_micros, micros, `the receipt of ${job.id}`);
  assert.equal(addUp(receipt.items), micros, `the price lines of ${job.id}`);
}

const bill = new Map();
for (const { prompt, cost_micros: micros } of JSON.parse(readFileSync(file)).requests) add(bill, prompt, micros);
const ledger = readLedger();
assert.equal(sum(ledger), sum(bill), 'the ledger is not the bill');

const left = new Map(ledger);
const booked = new Map();
const seen = { jobs: 0, charged: 0, receipts: 0, hit: 0, shared: 0 };
for await (const job of listJobs()) {
  const micros = ledger.get(job.id) ?? 0;
  left.delete(job.id);
  add(booked, job.request.prompt, micros);
  seen.jobs++;
  assert.equal(job.cost?.charged_micros ?? 0, micros, `what ${job.id} says that it cost`);
  if (job.cache === 'hit' || job.cache === 'shared') {
    seen[job.cache]++;
    assert.ok(!ledger.has(job.id), `${job.id} was answered by the cache and has entries`);
  }
  if (micros > 0 && seen.charged++ % receipts === 0) {
    await checkReceipt(job, micros);
    seen.receipts++;
  }
}
for (const [prompt, micros] of booked) {
  assert.equal(micros, bill.get(prompt) ?? 0, `'${prompt}'`);
  bill.delete(prompt);
}
assert.equal(sum(left), sum(bill), 'what deleted jobs cost');
for (const [what, many] of Object.entries(seen)) assert.ok(many > 0, `${what}: none`);
console.log(JSON.stringify(seen));
