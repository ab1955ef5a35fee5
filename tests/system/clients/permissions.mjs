// Calls every method that docs/permissions.md lists, as whoever runs it, and compares what is refused with a column of that document:
// node permissions.mjs DOCUMENT COLUMN. Each call has a parameter that does not exist, so that what is allowed does nothing.
// Prints how many were let through and how many were refused.
import { readFileSync } from 'node:fs';
import net from 'node:net';

const REFUSED = 'org.varlink.service.PermissionDenied';
const PATIENCE_MS = 20000;
const [document, column] = process.argv.slice(2);

function* rows() {
  let daemon = null;
  let columns = [];
  for (const line of readFileSync(document, 'utf8').split('\n')) {
    daemon = /^## (\S+)/.exec(line)?.[1] ?? daemon;
    const cells = line.split('|').slice(1, -1).map(cell => cell.trim());
    if (cells[0] === 'method') columns = cells;
    else if (cells[0]?.startsWith('`'))
      yield { daemon, method: cells[0].replaceAll('`', ''), allowed: cells[columns.indexOf(column)] === 'yes' };
  }
}

// One connection for each call: some errors end it.
function call({ daemon, method }) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(`/run/atelier/${daemon}`);
    let text = '';
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`no answer to ${method}`)));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${method} ended the connection`)));
    socket.on('data', part => {
      text += part;
      if (!text.endsWith('\0')) return;
      resolve(JSON.parse(text.slice(0, -1)).error ?? null);
      socket.destroy();
    });
    socket.write(`${JSON.stringify({ method, parameters: { no_such_parameter: true } })}\0`);
  });
}

const seen = { allowed: 0, refused: 0 };
for (const row of rows()) {
  const error = await call(row);
  if (error === null || (error === REFUSED) === row.allowed) {
    console.error(`${column}: ${row.daemon} answers ${row.method} with ${error}`);
    process.exitCode = 1;
  }
  seen[row.allowed ? 'allowed' : 'refused']++;
}
console.log(`${seen.allowed} ${seen.refused}`);
