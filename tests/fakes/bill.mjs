// The fake's own bill: what it was asked for, what it would charge for it, and whether the answer went out
// whole.
//
// With a file, every line is on the disk before the request is answered, so that the bill outlives the fake:
// one line when a request arrives, one with what became of it. A line holds the members that are new;
// reading the file lays lines of the same serial over each other.

import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { appendFileSync, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync } from 'node:fs';

export function keyHash(key) {
  return createHash('sha256').update(key).digest('hex').slice(0, 16);
}

function twice(values) {
  return [...new Set(values.filter((value, i) => values.indexOf(value) !== i))];
}

export class Bill {
  #entries = new Map();
  #fd = -1;
  #changed = new EventEmitter().setMaxListeners(0);
  #inFlight = 0;
  #inFlightMax = 0;

  constructor(file) {
    if (!file) return;
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
    lines.forEach(line => this.#lay(JSON.parse(line)));
    this.#fd = openSync(file, 'a', 0o644);
  }

  #lay(part) {
    this.#entries.set(part.serial, { ...this.#entries.get(part.serial), ...part });
  }

  #write(part) {
    this.#lay(part);
    if (this.#fd >= 0) {
      appendFileSync(this.#fd, `${JSON.stringify(part)}\n`);
      fsyncSync(this.#fd);
    }
    this.#changed.emit('change');
  }

  // A request came in: returns its serial.
  open(what) {
    const serial = this.#entries.size + 1;
    this.#inFlightMax = Math.max(this.#inFlightMax, ++this.#inFlight);
    this.#write({ serial, time: new Date().toISOString(), ...what, images: 0, cost_micros: 0 });
    return serial;
  }

  // It was found good and will be charged, whatever happens to the answer.
  charge(serial, what) {
    this.#write({ serial, ...what });
  }

  close(serial, what) {
    this.#inFlight--;
    this.#write({ serial, ...what });
  }

  // How often this prompt has been seen, the open request included.
  seen(prompt) {
    return [...this.#entries.values()].filter(entry => entry.prompt === prompt).length;
  }

  clear() {
    this.#entries.clear();
    this.#inFlightMax = this.#inFlight;
    if (this.#fd >= 0) ftruncateSync(this.#fd);
  }

  // Resolves to true once there are that many requests (finished ones), to false after the timeout.
  async reach({ requests = 0, finished = 0, timeout = 10000 }) {
    const isDone = ({ sent }) => sent !== undefined;
    const done = () => [...this.#entries.values()].filter(isDone).length;
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), timeout);
    try {
      while (this.#entries.size < requests || done() < finished)
        await once(this.#changed, 'change', { signal: over.signal });
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  summary() {
    const requests = [...this.#entries.values()];
    const charged = requests.filter(({ images }) => images > 0);
    const sum = (entries, name) => entries.reduce((total, entry) => total + entry[name], 0);
    return {
      count: requests.length,
      images: sum(charged, 'images'),
      images_sent: sum(
        charged.filter(({ sent }) => sent),
        'images',
      ),
      cost_micros: sum(charged, 'cost_micros'),
      repeated: twice(requests.map(({ prompt }) => prompt)),
      charged_twice: twice(charged.map(({ prompt }) => prompt)),
      in_flight: this.#inFlight,
      in_flight_max: this.#inFlightMax,
      requests,
    };
  }
}
