// HTTP/1.1 by hand, for requests that no client library would send.

import { connect } from 'node:net';

const ANSWER_TIMEOUT_MS = 20000;

export class Answer {
  status = 0; // 0: the connection ended without an answer
  headers = new Map();
  body = Buffer.alloc(0);
  closed = false;

  json() {
    return JSON.parse(this.body.toString());
  }
}

// Reads one answer out of what has arrived; null while it is not whole.
function parse(bytes, ended) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const answer = new Answer();
  answer.status = Number(first.split(' ')[1]);
  for (const line of lines) {
    const colon = line.indexOf(':');
    answer.headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const size = Number(answer.headers.get('content-length') ?? Infinity);
  const body = bytes.subarray(end + 4);
  if (body.length < size && !ended) return null;
  answer.body = body.subarray(0, size);
  return answer;
}

export class Connection {
  #socket;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #gone;
  #wake = () => {};

  constructor(where = { host: '127.0.0.1', port: 8080 }) {
    this.#socket = connect(where);
    this.#socket.on('data', (data) => {
      this.#bytes = Buffer.concat([this.#bytes, data]);
      this.#wake();
    });
    this.#socket.on('error', () => {});
    this.#gone = new Promise((resolve) => {
      this.#socket.on('close', () => {
        this.#ended = true;
        this.#wake();
        resolve(false);
      });
    });
    this.opened = new Promise((resolve) => this.#socket.once('connect', resolve));
  }

  get ended() {
    return this.#ended;
  }

  // Resolves with false once the connection is closed.
  write(bytes) {
    if (this.#ended) return Promise.resolve(false);
    const written = new Promise((resolve) => this.#socket.write(bytes, (error) => resolve(!error)));
    return Promise.race([written, this.#gone]);
  }

  async #until(condition) {
    const timeout = Date.now() + ANSWER_TIMEOUT_MS;
    while (!condition()) {
      const left = timeout - Date.now();
      if (left <= 0) throw new Error(`nothing happened for ${ANSWER_TIMEOUT_MS} ms`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  // The next answer. Its status is 0 when the connection ends without one.
  async answer() {
    let answer = null;
    await this.#until(() => (answer = parse(this.#bytes, this.#ended)) || this.#ended);
    this.#bytes = Buffer.alloc(0);
    return answer ?? new Answer();
  }

  // The first byte of an answer.
  async began() {
    await this.#until(() => this.#bytes.length > 0 || this.#ended);
  }

  // Reads no more.
  pause() {
    this.#socket.pause();
  }

  async closed() {
    await this.#until(() => this.#ended);
  }

  close() {
    this.#socket.destroy();
  }
}

export async function exchange(bytes, where) {
  const connection = new Connection(where);
  await connection.write(bytes);
  const answer = await connection.answer();
  connection.close();
  return answer;
}

// A POST of these bytes to the generations, with other header lines if wanted.
export function generation(body, head = 'Content-Type: application/json') {
  const bytes = Buffer.from(body);
  return Buffer.concat([
    Buffer.from(
      `POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\n${head}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    ),
    bytes,
  ]);
}
