// Puts a reply on the wire, well or badly, and says whether all of it left while the client was still there.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const ENDLESS_CHUNK = Buffer.alloc(64 * 1024, 'A');

function headersOf(reply, body, act) {
  const headers = { 'content-type': reply.type, ...reply.headers };
  if (!act.chunked && !act.endless && !reply.events) headers['content-length'] = body.length + (act.length ?? 0);
  if (act.length > 0 || act.cut) headers.connection = 'close';
  return headers;
}

// Waits until the piece has gone to the system, or the client has left.
async function push(res, piece, gone) {
  if (!res.write(piece)) await once(res, 'drain', { signal: gone });
}

async function drip(res, body, pace, gone) {
  const [bytes, ms] = String(pace).split('/').map(Number);
  for (let i = 0; i < body.length; i += bytes) {
    await push(res, body.subarray(i, i + bytes), gone);
    await sleep(ms || 1, null, { signal: gone });
  }
}

// Event by event. The length is not known beforehand.
async function sendEvents(res, { events, hold }, act, gone) {
  for (const [i, event] of events.entries()) {
    if (act.pause && i > 0) await sleep(act.pause, null, { signal: gone });
    if (act.hold_image && i === events.length - 1) await hold();
    await push(res, event, gone);
  }
}

async function pourEndlessly(res, bytesMax, gone) {
  await push(res, '{"created":1,"data":[{"b64_json":"', gone);
  for (let sent = 0; sent < bytesMax; sent += ENDLESS_CHUNK.length) await push(res, ENDLESS_CHUNK, gone);
  res.socket.destroy();
}

async function cutShort(res, body, how) {
  const bytes = how === 'after' ? body.length : body.length >> 1;
  await new Promise(resolve => {
    res.write(body.subarray(0, bytes), resolve);
  });
  if (how === 'reset') res.socket.resetAndDestroy();
  else res.socket.destroy();
}

async function send(res, reply, act, gone) {
  const body = Buffer.from(reply.body);
  if (act.cut === 'headers') return res.socket.destroy();

  res.writeHead(reply.status, headersOf(reply, body, act));
  res.flushHeaders();
  if (act.endless) return pourEndlessly(res, act.endless, gone);
  if (act.cut) return cutShort(res, body, act.cut);
  if (act.drips) await drip(res, body, act.drips, gone);
  else if (reply.events) await sendEvents(res, reply, act, gone);
  else res.write(body);
  res.end();
  await once(res, 'finish', { signal: gone });
}

export async function deliver(res, reply, act) {
  if (res.destroyed) return false;
  const gone = new AbortController();
  res.on('close', () => gone.abort());
  try {
    if (act.late) await sleep(act.late, null, { signal: gone.signal });
    await send(res, reply, act, gone.signal);
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
  return res.writableFinished || act.cut === 'after';
}
