// Each way to back up the worker's state: Atelier's own, and what sysadmins use otherwise. Steps resolve to {seconds,
// cpu, memory}: wall time, processor time of all processes, and the greatest memory seen.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';

import { cpuSeconds, greatestMemory, withChildren } from './processes.mjs';

const SAMPLE_MS = 50;
const ARCHIVES = '/var/backups/atelier';
const PASSWORD = 'bench';

function folderSize(folder) {
  return readdirSync(folder, { withFileTypes: true }).reduce(
    (sum, entry) =>
      sum + (entry.isDirectory() ? folderSize(`${folder}/${entry.name}`) : statSync(`${folder}/${entry.name}`).size),
    0,
  );
}

// Runs a command line and says what it cost: bash's `time` knows the processor time of all that it waited for. `also`
// are processes that work for it beside.
async function measured(command, { cwd = '/', env = {}, also = [] } = {}) {
  const before = cpuSeconds(also);
  const child = spawn('bash', ['-c', `TIMEFORMAT='%R %U %S'; time { ${command}; } >/dev/null`], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', chunk => (said += chunk));
  const ended = once(child, 'close');
  const memory = await greatestMemory(() => [...withChildren(child.pid), ...also], () => ended, SAMPLE_MS);
  const [code] = await ended;
  if (code !== 0) throw new Error(`${command}: ${said}`);
  const [seconds, user, system] = said.trim().split('\n').at(-1).split(' ').map(Number);
  return { seconds, cpu: user + system + cpuSeconds(also) - before, memory };
}

// The daemons are started anew for each step, so that what one has touched is not counted for the next.
export class BackupByAtelier {
  name = 'Atelier';

  constructor(atelier) {
    this.atelier = atelier;
  }

  async #run(command) {
    await this.atelier.restart();
    return measured(command, { also: ['scheduler', 'worker'].map(daemon => this.atelier.pid(daemon)) });
  }

  backup() {
    return this.#run('atelierctl task run backup');
  }

  verify() {
    return this.#run('atelierctl backup verify');
  }

  restore() {
    return this.#run('atelierctl backup restore --yes');
  }

  size() {
    return folderSize(ARCHIVES);
  }

  // The others find a state that stands still.
  async discard() {
    await this.atelier.stop();
    for (const name of readdirSync(ARCHIVES)) rmSync(`${ARCHIVES}/${name}`);
  }
}

// A program with a repository of its own in FOLDER/NAME.
class BackupByProgram {
  constructor(name, state, folder) {
    this.name = name;
    this.state = state;
    this.folder = `${folder}/${name.split(' ')[0]}`;
    this.repository = `${this.folder}/repository`;
    mkdirSync(this.folder, { recursive: true });
  }

  fresh(round) {
    const folder = `${this.folder}/restored-${round}`;
    mkdirSync(folder);
    return folder;
  }

  size() {
    return folderSize(this.repository);
  }

  discard() {
    rmSync(this.repository, { recursive: true });
  }
}

export class BackupByRestic extends BackupByProgram {
  constructor(state, folder) {
    super('restic', state, folder);
    this.env = { RESTIC_PASSWORD: PASSWORD, RESTIC_REPOSITORY: this.repository };
  }

  async backup() {
    await measured('restic init', this);
    return measured(`restic backup --no-cache ${this.state}`, this);
  }

  verify() {
    return measured('restic check --no-cache --read-data', this);
  }

  restore(round) {
    return measured(`restic restore --no-cache latest --target ${this.fresh(round)}`, this);
  }
}

export class BackupByBorg extends BackupByProgram {
  constructor(state, folder) {
    super('borg --compression zstd', state, folder);
    this.env = { BORG_REPO: this.repository, BORG_BASE_DIR: this.folder };
  }

  async backup() {
    await measured('borg init --encryption none', this);
    return measured(`borg create --compression zstd ::first ${this.state}`, this);
  }

  verify() {
    return measured('borg check --verify-data', this);
  }

  restore(round) {
    return measured('borg extract ::first', { ...this, cwd: this.fresh(round) });
  }
}

export class BackupByTar extends BackupByProgram {
  constructor(state, folder) {
    super('tar --zstd', state, folder);
  }

  backup() {
    mkdirSync(this.repository);
    return measured(`tar --zstd -cf ${this.repository}/state.tar.zst -C ${this.state} .`);
  }

  verify() {
    return measured(`sha256sum ${this.repository}/state.tar.zst`);
  }

  restore(round) {
    return measured(`tar --zstd -xf ${this.repository}/state.tar.zst -C ${this.fresh(round)}`);
  }
}
