#!/usr/bin/env node
// Measures Atelier beside its peers inside the machine that ./run boots, and prints the README's table.
//
//   bench.mjs PROGRAMS DISK
//
// PROGRAMS is the folder of `load` and `openai-fast`, DISK the file system that lies under the machine.
//
// Every round measures every contender once, in turn, so that whatever else the host does falls on all of
// them; what is reported is the median of the rounds. BENCH_ROUNDS and BENCH_SECONDS make it shorter or
// longer.

import { Atelier, DAEMONS } from './atelier.mjs';
import { Load } from './load.mjs';
import { Beanstalkd, Bullmq, FastOpenai, Nginx, Portkey } from './peers.mjs';
import { percentile } from './percentile.mjs';
import { cpuSeconds, greatestMemory, memory, peakMemory } from './processes.mjs';
import { report } from './report.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 3);
const CONNECTIONS = 64;
const JOBS = Number(process.env.BENCH_JOBS ?? 4000);
const COLD_STARTS = 10;
const SIZE = '64x64';
const LARGE = '612x612'; // of noise: 1.5 MB as base64
const HUGE = '1152x1152'; // of noise: a file of 4 MB
const HUGE_URLS = 500;
const HUGE_BASE64 = 200;
const FOLDER = '/var/lib/bench';
const SMALL_PICTURES = { model: 'bench-small', size: SIZE };
const LARGE_PICTURES = { model: 'bench-large', size: LARGE };

// Runs `work`, which returns the generator's result, and adds what it cost the processes behind `pids`.
async function measured(pids, work) {
  const before = cpuSeconds(pids);
  let result;
  const memoryMax = await greatestMemory(pids, async () => {
    result = await work();
  });
  const cpu = cpuSeconds(pids) - before;
  return { ...result, cpu_us: (cpu * 1e6) / result.requests, memory: memoryMax };
}

class Bench {
  atelier = new Atelier();
  beanstalkd = new Beanstalkd();
  nginx = new Nginx();
  bullmq = new Bullmq();
  portkey = new Portkey();
  openai = new FastOpenai(SIZE);
  largeOpenai = new FastOpenai(LARGE, '--noise');
  memory = { idle: {}, load: {} };

  constructor(programs) {
    this.programs = programs;
    this.load = new Load(`${programs}/load`, { connections: CONNECTIONS, seconds: SECONDS });
  }

  // Each contender of each measure, as a function of the round that returns a result.
  plan() {
    return {
      submissions: {
        [this.atelier.name]: round => this.submitToAtelier(round),
        [this.beanstalkd.name]: round => this.putIntoBeanstalkd(round),
      },
      generations: {
        [this.atelier.name]: round => this.generateByAtelier(round),
        [this.nginx.name]: round => this.generateByNginx(round),
      },
      hits: {
        [this.atelier.name]: round => this.hitsOfAtelier(round),
        [this.nginx.name]: round => this.generateByNginx(round),
      },
      pictures: {
        [this.atelier.name]: round => this.generateByAtelier(round, LARGE_PICTURES),
        [this.portkey.name]: round => this.generateByPortkey(round),
        [this.nginx.name]: round => this.generateByNginx(round, LARGE_PICTURES),
      },
      jobs: {
        [this.atelier.name]: round => this.jobsOfAtelier(round),
        [this.bullmq.name]: round => this.jobsOfBullmq(round),
      },
    };
  }

  async submitToAtelier(round) {
    await this.atelier.start();
    await this.atelier.pause();
    const options = { model: 'sandbox', size: SIZE, tag: `submission ${round}` };
    return measured(this.atelier.pids(), () => this.load.submissions(this.atelier.address, options));
  }

  async putIntoBeanstalkd(round) {
    await this.beanstalkd.start(`${FOLDER}/beanstalkd`);
    try {
      const options = { model: 'sandbox', size: SIZE, tag: `submission ${round}` };
      const address = `127.0.0.1:${this.beanstalkd.port}`;
      return await measured(this.beanstalkd.pids(), () => this.load.puts(address, options));
    } finally {
      await this.beanstalkd.stop();
    }
  }

  async generateByAtelier(round, pictures = SMALL_PICTURES) {
    await this.atelier.start();
    const options = { ...pictures, tag: `generation ${round}` };
    const result = await measured(this.atelier.pids(), () =>
      this.load.generations(this.atelier.address, options),
    );
    if (pictures === SMALL_PICTURES) this.memory.load = Object.fromEntries(
      DAEMONS.map(daemon => [daemon, memory([this.atelier.pid(daemon)])]),
    );
    return result;
  }

  // One picture that is there, again and again.
  async hitsOfAtelier(round) {
    const options = { ...SMALL_PICTURES, tag: `hit ${round}`, same: true };
    this.atelier.configure(this.providers(), 'cache_ttl = "1h";');
    await this.atelier.start();
    await this.load.generations(this.atelier.address, { ...options, connections: 1, requests: 1 });
    const result = await measured(this.atelier.pids(), () => this.load.generations(this.atelier.address, options));
    this.atelier.configure(this.providers());
    return result;
  }

  async generateByPortkey(round) {
    await this.portkey.start();
    try {
      const options = { ...LARGE_PICTURES, tag: `generation ${round}`, ...this.portkey.options(this.largeOpenai.port) };
      const address = `127.0.0.1:${this.portkey.port}`;
      return await measured(this.portkey.pids(), () => this.load.generations(address, options));
    } finally {
      await this.portkey.stop();
    }
  }

  async generateByNginx(round, pictures = SMALL_PICTURES) {
    const openai = pictures === SMALL_PICTURES ? this.openai : this.largeOpenai;
    await this.nginx.start(`${FOLDER}/nginx`, openai.port);
    try {
      const options = { ...pictures, tag: `generation ${round}` };
      const address = `127.0.0.1:${this.nginx.port}`;
      return await measured(this.nginx.pids(), () => this.load.generations(address, options));
    } finally {
      await this.nginx.stop();
    }
  }

  // From the first submission until the store says that the last job has completed.
  async jobsOfAtelier(round) {
    await this.atelier.start();
    const options = { model: 'sandbox', size: SIZE, tag: `job ${round}`, requests: JOBS, seconds: 120 };
    const result = await measured(this.atelier.pids(), async () => {
      const start = process.hrtime.bigint();
      await this.load.submissions(this.atelier.address, options);
      await this.atelier.allCompleted();
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      return { requests: JOBS, seconds, rate: JOBS / seconds };
    });
    const durations = await this.atelier.jobDurations();
    if (durations.length !== JOBS) throw new Error(`the store has ${durations.length} jobs, not ${JOBS}`);
    return { ...result, p50_us: percentile(durations, 50), p99_us: percentile(durations, 99) };
  }

  async jobsOfBullmq(round) {
    await this.bullmq.start(`${FOLDER}/redis`);
    try {
      return await measured(this.bullmq.pids(), async () => {
        const { seconds, ...latencies } = await this.bullmq.run(JOBS, `job ${round}`);
        return { requests: JOBS, seconds, rate: JOBS / seconds, ...latencies };
      });
    } finally {
      await this.bullmq.stop();
    }
  }

  async idleMemory() {
    await this.atelier.start();
    this.memory.idle = Object.fromEntries(
      DAEMONS.map(daemon => [daemon, memory([this.atelier.pid(daemon)])]),
    );
  }

  // Every answer under way at once and verified: the peak of the daemon that has them in hand.
  async peak(daemon, count, format) {
    const openai = new FastOpenai(HUGE, '--noise', '--gather', String(count));
    await openai.start(`${this.programs}/openai-fast`);
    try {
      this.atelier.configure({ ...this.providers(), huge: openai });
      await this.atelier.start();
      await this.load.verified(count, format, 'bench-huge', HUGE);
      return { count, format, memory: peakMemory(this.atelier.pid(daemon)) };
    } finally {
      await openai.stop();
    }
  }

  async peaks() {
    return {
      worker: await this.peak('worker', HUGE_URLS, 'url'),
      api: await this.peak('api', HUGE_BASE64, 'b64_json'),
    };
  }

  providers() {
    return { small: this.openai, large: this.largeOpenai };
  }

  // From connect to the last byte of /health/live while nothing but the sockets is there.
  async coldStarts() {
    const milliseconds = [];
    for (let i = 0; i < COLD_STARTS; i++) {
      this.atelier.stopServices();
      const { max_us: us } = await this.load.once(this.atelier.address, '/health/live');
      milliseconds.push(us / 1000);
    }
    return milliseconds;
  }

  async run() {
    for (const openai of Object.values(this.providers())) await openai.start(`${this.programs}/openai-fast`);
    this.atelier.configure(this.providers());
    const plan = this.plan();
    const results = {};
    for (let round = 1; round <= ROUNDS; round++)
      for (const [measure, contenders] of Object.entries(plan))
        for (const [name, run] of Object.entries(contenders)) {
          const result = await run(round);
          ((results[measure] ??= {})[name] ??= []).push(result);
          process.stderr.write(`round ${round}: ${measure}, ${name}: ${Math.round(result.rate)}/s\n`);
        }
    await this.idleMemory();
    const coldStarts = await this.coldStarts();
    const peaks = await this.peaks();
    await this.atelier.stop();
    for (const openai of Object.values(this.providers())) await openai.stop();
    return {
      results,
      memory: this.memory,
      peaks,
      coldStarts,
      rounds: ROUNDS,
      connections: CONNECTIONS,
      jobs: JOBS,
      size: SIZE,
    };
  }
}

const [programs, disk] = process.argv.slice(2);
process.stdout.write(report(await new Bench(programs).run(), disk));
