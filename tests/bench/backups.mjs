#!/usr/bin/env node
// Measures Atelier's backups beside restic, borg and tar inside the machine that ./run boots, and prints the README's
// table.
//
//   backups.mjs DISK
//
// DISK is the file system that lies under the machine. The state has BENCH_IMAGES images of 100 KB that do not compress,
// each of a job of its own. Every round has each contender back it up, verify what it has written, and restore it into
// a folder that is fresh; what is reported is the median of the rounds (BENCH_BACKUP_ROUNDS).

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { Atelier } from './atelier.mjs';
import { BackupByAtelier, BackupByBorg, BackupByRestic, BackupByTar } from './backup-peers.mjs';
import { reportBackups } from './report.mjs';

const ROUNDS = Number(process.env.BENCH_BACKUP_ROUNDS ?? 3);
const IMAGES = Number(process.env.BENCH_IMAGES ?? 20000);
const IMAGE_BYTES = 100_000;
const STATE = '/var/lib/atelier/current';
const FOLDER = '/var/lib/bench/backups';
const MAKER = fileURLToPath(new URL('../system/clients/make-state.mjs', import.meta.url));
const STEPS = ['backup', 'verify', 'restore'];

const [disk] = process.argv.slice(2);
const atelier = new Atelier();
await atelier.start();
await atelier.stop();
execFileSync(process.execPath, [MAKER, String(IMAGES), String(IMAGE_BYTES)]);
execFileSync('sync');
const contenders = [
  new BackupByAtelier(atelier),
  new BackupByRestic(STATE, FOLDER),
  new BackupByBorg(STATE, FOLDER),
  new BackupByTar(STATE, FOLDER),
];

const results = {};
for (let round = 1; round <= ROUNDS; round++)
  for (const contender of contenders) {
    const result = {};
    for (const step of STEPS) {
      result[step] = await contender[step](round);
      process.stderr.write(`round ${round}: ${contender.name}: ${step} ${result[step].seconds.toFixed(2)} s\n`);
    }
    result.bytes = contender.size();
    await contender.discard();
    (results[contender.name] ??= []).push(result);
  }
await atelier.stop();
process.stdout.write(reportBackups({ results, rounds: ROUNDS, images: IMAGES, bytes: IMAGES * IMAGE_BYTES }, disk));
