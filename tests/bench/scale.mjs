#!/usr/bin/env node
// Measures what the size of the store costs (scale.c) and prints the README's table.
//
//   scale.mjs PROGRAMS DISK
//
// Each size is measured in turn, BENCH_ROUNDS times; what is reported is the median of the rounds.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';

import { percentile } from './percentile.mjs';
import { reportScale } from './report.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const FOLDER = '/var/lib/bench/scale';
const SIZES = [
  { jobs: 1000, entries: 1000 },
  { jobs: 1000000, entries: 1000 },
  { jobs: 1000, entries: 10000000 },
];

function measure(program, { jobs, entries }) {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const line = execFileSync(program, [FOLDER, String(jobs), String(entries)], { encoding: 'utf8' });
  process.stderr.write(line);
  return JSON.parse(line);
}

function median(runs, name) {
  return percentile(
    runs.map(run => run[name]),
    50,
  );
}

const [programs, disk] = process.argv.slice(2);
const runs = SIZES.map(() => []);
for (let round = 0; round < ROUNDS; round++)
  SIZES.forEach((size, i) => runs[i].push(measure(`${programs}/scale`, size)));
rmSync(FOLDER, { recursive: true, force: true });
const rows = SIZES.map((size, i) => ({
  ...size,
  ...Object.fromEntries(
    ['open_ms', 'submit_us', 'budgeted_submit_us', 'claim_us'].map(name => [name, median(runs[i], name)]),
  ),
}));
process.stdout.write(reportScale({ rows, rounds: ROUNDS }, disk));
