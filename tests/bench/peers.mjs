// The programs Atelier is measured beside, each started with its data in a folder of its own, on the same
// disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

import { withChildren } from './processes.mjs';

const START_DEADLINE_MS = 10000;
const STOP_DEADLINE_MS = 10000;

async function portAnswers(port) {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      socket.destroy();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`port ${port}: ${error.message}`);
      await sleep(20);
    }
  }
}

// A child process, known by its first line or by its port, and stopped by SIGTERM.
class Daemon {
  child = null;

  async launch(command, args, options = {}) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
    await once(this.child, 'spawn'); // or throws why it could not be started
    this.lines = createInterface({ input: this.child.stdout });
  }

  pids() {
    return withChildren(this.child.pid);
  }

  async stop() {
    if (this.child.exitCode !== null) return;
    const ended = once(this.child, 'exit', { signal: AbortSignal.timeout(STOP_DEADLINE_MS) });
    this.child.kill();
    await ended;
  }
}

function freshFolder(path) {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  return path;
}

export class FastOpenai extends Daemon {
  constructor(size, ...options) {
    super();
    this.size = size;
    this.options = options;
  }

  async start(program) {
    await this.launch(program, ['--size', this.size, ...this.options]);
    const [port] = await once(this.lines, 'line');
    this.port = Number(port);
  }
}

export class Nginx extends Daemon {
  name = 'nginx proxy_pass';
  port = 18081;

  async start(folder, upstreamPort) {
    const configuration = `
      daemon off;
      worker_processes auto;
      pid ${folder}/nginx.pid;
      error_log stderr error;
      events { worker_connections 4096; }
      http {
        access_log off;
        client_body_temp_path ${folder}/body;
        proxy_temp_path ${folder}/proxy;
        fastcgi_temp_path ${folder}/fastcgi;
        uwsgi_temp_path ${folder}/uwsgi;
        scgi_temp_path ${folder}/scgi;
        keepalive_requests 100000000;
        upstream openai {
          server 127.0.0.1:${upstreamPort};
          keepalive 256;
          keepalive_requests 100000000;
        }
        server {
          listen 127.0.0.1:${this.port};
          location / {
            proxy_pass http://openai;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
          }
        }
      }`;
    freshFolder(folder);
    writeFileSync(`${folder}/nginx.conf`, configuration);
    await this.launch('nginx', ['-e', 'stderr', '-p', folder, '-c', `${folder}/nginx.conf`]);
    await portAnswers(this.port);
  }
}

// The npm package @portkey-ai/gateway, as its own start script runs it. It stores nothing.
export class Portkey extends Daemon {
  name = 'Portkey gateway';
  port = 18084;

  async start() {
    const program = fileURLToPath(import.meta.resolve('@portkey-ai/gateway/build/start-server.js'));
    await this.launch(process.execPath, [program, '--headless', `--port=${this.port}`]);
    this.lines.resume(); // its greetings
    await portAnswers(this.port);
  }

  // What a request says to be sent to an OpenAI on that port.
  options(openaiPort) {
    const headers = ['x-portkey-provider: openai', `x-portkey-custom-host: http://127.0.0.1:${openaiPort}/v1`];
    return { header: headers };
  }
}

export class Beanstalkd extends Daemon {
  name = 'beanstalkd -f 0';
  port = 18082;

  async start(folder) {
    await this.launch('beanstalkd', [
      '-l',
      '127.0.0.1',
      '-p',
      String(this.port),
      '-b',
      freshFolder(folder),
      '-f',
      '0',
    ]);
    await portAnswers(this.port);
  }
}

export class Redis extends Daemon {
  port = 18083;

  async start(folder) {
    const settings = {
      bind: '127.0.0.1',
      port: this.port,
      dir: freshFolder(folder),
      save: '',
      appendonly: 'yes',
      appendfsync: 'always',
      daemonize: 'no',
      'maxmemory-policy': 'noeviction',
      loglevel: 'warning',
    };
    const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    await this.launch('redis-server', words);
    await portAnswers(this.port);
  }
}

// BullMQ is a library: one Node process adds the jobs and works them off, Redis keeps them.
export class Bullmq extends Daemon {
  name = 'BullMQ, Redis appendfsync always';
  #redis = new Redis();

  async start(folder) {
    await this.#redis.start(folder);
    const program = fileURLToPath(new URL('bullmq-jobs.mjs', import.meta.url));
    await this.launch(process.execPath, [program, String(this.#redis.port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(this.lines, 'line');
  }

  async run(jobs, tag) {
    this.child.stdin.write(`${JSON.stringify({ jobs, tag })}\n`);
    const [line] = await once(this.lines, 'line');
    return JSON.parse(line);
  }

  pids() {
    return [...super.pids(), ...this.#redis.pids()];
  }

  async stop() {
    await super.stop();
    await this.#redis.stop();
  }
}
