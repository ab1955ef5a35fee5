// Runs the load generator (load.c) and reads its line of JSON.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MANY_ANSWERS = fileURLToPath(new URL('../system/clients/many-answers.mjs', import.meta.url));

const run = promisify(execFile);

export class Load {
  constructor(program, { connections, seconds }) {
    Object.assign(this, { program, connections, seconds });
  }

  async #run(mode, options) {
    const words = Object.entries(options).flatMap(([name, value]) =>
      value === true ? [`--${name}`] : [value].flat().flatMap(each => [`--${name}`, String(each)]),
    );
    const { stdout } = await run(this.program, [mode, ...words]);
    return JSON.parse(stdout);
  }

  // Throws unless every request was answered, with the status wanted: a fast failure is no result.
  async #measure(mode, wanted, options) {
    const result = await this.#run(mode, {
      connections: this.connections,
      seconds: this.seconds,
      ...options,
    });
    const answered = result.statuses[wanted] ?? 0;
    if (result.errors > 0 || answered === 0 || answered !== result.requests)
      throw new Error(`${mode} ${JSON.stringify(options)}: wanted ${wanted}, saw ${JSON.stringify(result)}`);
    return result;
  }

  submissions(to, options) {
    return this.#measure('http', 202, { to, async: true, ...options });
  }

  generations(to, options) {
    return this.#measure('http', 200, { to, ...options });
  }

  puts(to, options) {
    return this.#measure('put', 200, { to, ...options });
  }

  // So many answers at once, every image judged: throws unless all are as they shall be.
  async verified(count, format, model, size) {
    await run(process.execPath, [MANY_ANSWERS, String(count), format, model, size]);
  }

  once(to, path) {
    return this.#measure('once', 200, { to, path, connections: 1 });
  }
}
