// Atelier as it is installed: its configuration for the benchmarks, starting and stopping it by systemctl.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { call } from './varlink.mjs';

const DAEMONS = ['api', 'worker', 'scheduler', 'alerter'];
const STATE = ['/var/lib/atelier', '/var/backups/atelier', '/var/lib/atelier-scheduler', '/var/lib/atelier-alerter'];
const CONFIGURATION = '/etc/atelier/atelier.conf.d/bench.conf';
const CREDENTIAL = '/etc/credstore/openai-api-key';
const WORKER_SOCKET = '/run/atelier/io.atelier.Worker';
const POLL_MS = 10;
const PAGE_JOBS = 100;
const JOBS_DEADLINE_MS = 120000;

// The daemons stay for the whole measurement, log as in production, and nothing but the machine bounds what
// they take on.
function configuration(openais, worker) {
  const groups = Object.entries(openais);
  const providers = groups.map(
    ([name, { port }]) =>
      `{ name = "${name}"; kind = "openai"; base_url = "http://127.0.0.1:${port}/v1";
         key = "credential:openai-api-key"; concurrency = 1000; }`,
  );
  const models = groups.map(
    ([name, { size }]) =>
      `{ name = "bench-${name}"; provider = "${name}"; provider_model = "gpt-image-2"; sizes = [ "${size}" ];
         takes_response_format = true; }`,
  );
  const prices = groups.map(
    ([name]) =>
      `{ name = "bench ${name}"; provider = "${name}"; model = "gpt-image-2"; from = "2026-01-01";
         per_image = [ "* * $0.01" ]; }`,
  );
  return `
    trust_loopback = true;
    log_level = "warning";
    providers = (
      { name = "sandbox"; concurrency = 256; }, ${providers}
    );
    models = ( ${models} );
    prices = ( ${prices} );
    api = { idle_timeout = "1h"; };
    worker = { idle_timeout = "1h"; concurrency = 1000; queue_max = 1000000; daily_budget = "infinity"; ${worker} };
    scheduler = { idle_timeout = "1h"; };
    alerter = { idle_timeout = "1h"; };
  `;
}

function systemctl(...words) {
  return execFileSync('systemctl', words, { encoding: 'utf8', stdio: 'pipe' }).trim();
}

function units(type) {
  const lines = systemctl('list-units', '--all', '--plain', '--no-legend', `atelier*.${type}`).split('\n');
  return lines.map(line => line.split(' ')[0]).filter(Boolean);
}

export class Atelier {
  name = 'Atelier';
  starts = 0;
  address = '127.0.0.1:8080';

  // Each of the fakes is a provider of that name, with a model bench-NAME of the size it makes.
  configure(openais, worker = '') {
    mkdirSync('/etc/credstore', { recursive: true, mode: 0o700 });
    writeFileSync(CREDENTIAL, 'sk-bench', { mode: 0o600 });
    writeFileSync(CONFIGURATION, configuration(openais, worker));
  }

  // From an empty store, so that no round finds the images of the one before. The old one is moved aside and goes with
  // the machine: for minutes after thousands of files were deleted, ext4 without a journal is slow to make new ones.
  async start() {
    await this.stop();
    const aside = `/var/tmp/atelier-bench/${++this.starts}`;
    mkdirSync(aside, { recursive: true });
    for (const folder of STATE.filter(existsSync))
      readdirSync(folder).forEach((name, i) => renameSync(`${folder}/${name}`, `${aside}/${i}-${name}`));
    await this.#wake();
  }

  async restart() {
    await this.stop();
    await this.#wake();
  }

  async #wake() {
    systemctl('reset-failed');
    systemctl('start', 'atelier.target', ...units('socket'));
    for (const daemon of DAEMONS) await this.ask(daemon, 'io.atelier.Daemon.GetStatus');
  }

  async stop() {
    systemctl('stop', 'atelier.target', ...units('socket'), ...units('service'));
  }

  // The services alone: their sockets go on listening, so that the next caller starts them.
  stopServices() {
    systemctl('stop', ...units('service'));
  }

  ask(daemon, method, parameters) {
    const name = daemon[0].toUpperCase() + daemon.slice(1);
    return call(`/run/atelier/io.atelier.${name}`, method, parameters);
  }

  pid(daemon) {
    return Number(systemctl('show', '--property=MainPID', '--value', `atelier-${daemon}.service`));
  }

  pids() {
    return ['api', 'worker'].map(daemon => this.pid(daemon)).filter(pid => pid > 0);
  }

  pause() {
    return call(WORKER_SOCKET, 'io.atelier.Queue.Pause');
  }

  #list(parameters) {
    return call(WORKER_SOCKET, 'io.atelier.Queue.List', { caller: { origin: 'member' }, ...parameters });
  }

  async #hasJobs(status) {
    const { jobs } = await this.#list({ limit: 1, status });
    return jobs.length > 0;
  }

  // Until the store says that every job has ended; throws if one failed.
  async allCompleted() {
    const deadline = Date.now() + JOBS_DEADLINE_MS;
    while ((await this.#hasJobs('queued')) || (await this.#hasJobs('in_progress'))) {
      if (Date.now() > deadline) throw new Error(`jobs still wait after ${JOBS_DEADLINE_MS} ms`);
      await sleep(POLL_MS);
    }
    if (await this.#hasJobs('failed')) throw new Error('a job failed');
  }

  // From the submission to the end of each job, in microseconds, as the store has them.
  async jobDurations() {
    const durations = [];
    let after;
    for (;;) {
      const { jobs, has_more: more } = await this.#list({ limit: PAGE_JOBS, ...(after ? { after } : {}) });
      durations.push(...jobs.map(job => job.ended_at - job.created_at));
      if (!more) return durations;
      after = jobs.at(-1).id;
    }
  }
}

export { DAEMONS };
