// Fills the worker's state as if it had made many images, without making them one by one. The worker must have run once
// and be stopped.
//
//   make-state.mjs COUNT BYTES

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';

const STATE = '/var/lib/atelier/current';
const [count, size] = process.argv.slice(2).map(Number);

// No compressor can make it smaller, and a backup does not look into it.
function writeImage() {
  const bytes = randomBytes(size);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const folder = `${STATE}/images/${sha256.slice(0, 2)}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${folder}/${sha256}.png`, bytes, { flag: 'wx', mode: 0o600 });
  return sha256;
}

function rows(number, sha256) {
  const id = `job_${number.toString(16).padStart(32, '0')}`;
  const now = Date.now() * 1000;
  return `
    INSERT INTO job (id, status, model, response_format, request, created_at, started_at, ended_at)
      VALUES ('${id}', 2, 'sandbox', 'url', '{"prompt":"${sha256}"}', ${now}, ${now}, ${now});
    INSERT INTO attempt (job, number, provider, outcome, started_at, ended_at)
      VALUES (last_insert_rowid(), 1, 'sandbox', 1, ${now}, ${now});
    INSERT INTO image (job, number, sha256, format, width, height, size_bytes)
      SELECT sequence, 0, '${sha256}', 'png', 64, 64, ${size} FROM job WHERE id = '${id}';`;
}

const statements = Array.from({ length: count }, (_, number) => rows(number + 1, writeImage()));
execFileSync('sqlite3', [`${STATE}/atelier.db`], { input: `BEGIN;${statements.join('')}COMMIT;` });
const { uid, gid } = statSync(STATE);
execFileSync('chown', ['--recursive', `${uid}:${gid}`, STATE]);
