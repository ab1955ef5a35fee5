// Turns the measurements into the README's block of Markdown.

import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

const TITLES = {
  submissions: 'durable submissions',
  generations: 'generations, nothing cached',
  hits: 'generations, all cached',
  pictures: 'generations of 1.5 MB',
  jobs: 'jobs, end to end',
};

function median(values) {
  const sorted = values.filter(value => value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function medians(runs) {
  const of = name => median(runs.map(run => run[name]));
  const inMemory = name => median(runs.map(run => run.memory[name]));
  return {
    rate: of('rate'),
    p50: of('p50_us'),
    p99: of('p99_us'),
    cpu: of('cpu_us'),
    rss: inMemory('rss'),
    pss: inMemory('pss'),
    anonymous: inMemory('anonymous'),
  };
}

function number(value) {
  return Math.round(value).toLocaleString('en-US');
}

function milliseconds(us) {
  return us === undefined ? '–' : (us / 1000).toFixed(us < 10000 ? 2 : 1);
}

function megabytes(kilobytes) {
  return (kilobytes / 1024).toFixed(1);
}

function row(...cells) {
  return `| ${cells.join(' | ')} |\n`;
}

function table(head, rows) {
  return row(...head) + row(...head.map((_, i) => (i === 0 ? '---' : '--:'))) + rows.join('');
}

// The first contender of a measure is Atelier: the ratio says how many times the peer's rate it reaches.
function measureRows([measure, contenders]) {
  const all = Object.entries(contenders).map(([name, runs]) => [name, medians(runs)]);
  const ours = all[0][1].rate;
  return all.map(([name, m], i) =>
    row(
      i === 0 ? `**${TITLES[measure]}:** ${name}` : name,
      number(m.rate),
      i === 0 ? '' : `× ${(ours / m.rate).toFixed(2)}`,
      milliseconds(m.p50),
      milliseconds(m.p99),
      number(m.cpu),
      megabytes(m.rss),
      megabytes(m.pss),
      megabytes(m.anonymous),
    ),
  );
}

function memoryRows({ idle, load }) {
  return Object.keys(idle).map(daemon => {
    const cells = [idle, load].flatMap(when =>
      ['rss', 'pss', 'anonymous'].map(kind => megabytes(when[daemon]?.[kind] ?? 0)),
    );
    return row(`atelier-${daemon}`, ...cells);
  });
}

function peakLine([daemon, { count, format, memory }]) {
  return `${count} answers at once of 4 MB pictures as ${format}, each verified: atelier-${daemon} at most ${megabytes(memory)} MB resident.`;
}

function machineLine(disk) {
  const system = /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const processor = cpus()[0].model.replace(/\s+/g, ' ').trim();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${processor}, ${gigabytes} GB, ${system}, Linux ${release()}, ${disk}`;
}

export function report({ results, memory, peaks, coldStarts, rounds, connections, jobs, size }, disk) {
  const measures = table(
    [
      '',
      'a second',
      'Atelier reaches',
      'p50 ms',
      'p99 ms',
      'CPU µs each',
      'RSS MB',
      'PSS MB',
      'anonymous MB',
    ],
    Object.entries(results).flatMap(measureRows),
  );
  const daemons = table(
    ['', 'idle RSS MB', 'PSS', 'anonymous', 'after load RSS MB', 'PSS', 'anonymous'],
    memoryRows(memory),
  );
  const cold = coldStarts.map(ms => Math.round(ms)).sort((a, b) => a - b);
  return `Measured on ${new Date().toISOString().slice(0, 10)} by \`make bench\` on ${machineLine(disk)}.
All on that machine, generator and provider included; medians of ${rounds} interleaved rounds, ${connections} connections.

${measures}
Submissions: \`Prefer: respond-async\`, each answered once it is on the disk, dispatching paused; beside puts of the
same bytes. Generations: through api, worker, store and disk to a provider on the loopback and back as base64, each
stored durably before it is answered; nginx forwards the same requests to the same provider and stores nothing, nor
does the Portkey gateway (npm @portkey-ai/gateway). Jobs:
${number(jobs)} different ${size} pictures of the sandbox, from the first submission until the store says that all are
completed; BullMQ's jobs do nothing and no result is stored. Memory is the greatest seen while under load.

${daemons}
${Object.entries(peaks).map(peakLine).join('\n')}

\`/health/live\` on a stopped system: median ${median(coldStarts).toFixed(0)} ms of ${cold.join(', ')}.
`;
}

// Every contender's row: the steps' wall and processor times, then the greatest memory of all steps and the size.
function backupRow([name, runs]) {
  const seconds = (step, kind) => median(runs.map(run => run[step][kind])).toFixed(1);
  const steps = ['backup', 'verify', 'restore'];
  const rss = Math.max(...runs.flatMap(run => steps.map(step => run[step].memory.rss)));
  return row(
    name === 'Atelier' ? `**${name}**` : name,
    ...steps.flatMap(step => [seconds(step, 'seconds'), seconds(step, 'cpu')]),
    megabytes(rss),
    number(median(runs.map(run => run.bytes)) / 1e6),
  );
}

export function reportBackups({ results, rounds, images, bytes }, disk) {
  const head = ['', 'backup s', 'CPU s', 'verify s', 'CPU s', 'restore s', 'CPU s', 'peak RSS MB', 'MB on disk'];
  return `Measured on ${new Date().toISOString().slice(0, 10)} by \`make bench\` on ${machineLine(disk)}.
${number(images)} images, ${number(bytes / 1e6)} MB that do not compress, medians of ${rounds} interleaved rounds.

${table(head, Object.entries(results).map(backupRow))}
Atelier: worker and scheduler together, while the worker serves; its verify checks every member's hash and the whole
archive's, its restore does the same and makes everything durable before it counts. restic encrypts; \`restic check
--read-data\`, \`borg check --verify-data\`, for tar \`sha256sum\` of the archive. Restores go to fresh folders.
`;
}

export function reportScale({ rows, rounds }, disk) {
  const head = ['jobs that wait', 'ledger entries', 'start ms', 'submission µs', 'with budgets µs', 'claim µs'];
  const cells = rows.map(each =>
    row(
      number(each.jobs),
      number(each.entries),
      each.open_ms.toFixed(1),
      ...['submit_us', 'budgeted_submit_us', 'claim_us'].map(name => each[name].toFixed(1)),
    ),
  );
  return `Measured on ${new Date().toISOString().slice(0, 10)} by \`make bench\` on ${machineLine(disk)}.
What the size of the store costs, medians of ${rounds} rounds of 4,096 operations, commits apart: opening it and counting what
waits; a submission; one that counts against three budgets; a claim by turns of 100 clients.

${table(head, cells)}`;
}
