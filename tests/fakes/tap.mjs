// A test harness of one page that prints TAP on any Node from 18 on: test(name, fn), then run() at the end.

const TIMEOUT_MS = 60000;

const tests = [];

export function test(name, fn) {
  tests.push({ name, fn });
}

class Skip extends Error {}

// Ends the running test as skipped, with the reason in the output.
export function skip(reason) {
  throw new Skip(reason);
}

function withDeadline(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

async function runOne({ name, fn }, number) {
  try {
    await withDeadline(fn(), TIMEOUT_MS);
    say(`ok ${number} - ${name}`);
    return true;
  } catch (error) {
    if (error instanceof Skip) {
      say(`ok ${number} - ${name} # SKIP ${error.message}`);
      return true;
    }
    say(`not ok ${number} - ${name}`);
    (error.stack ?? String(error)).split('\n').forEach(line => say(`# ${line}`));
    return false;
  }
}

// Runs the tests in their order; the exit code says whether all of them held.
export async function run() {
  say('TAP version 13');
  say(`1..${tests.length}`);
  let failed = 0;
  for (const [index, one] of tests.entries()) failed += (await runOne(one, index + 1)) ? 0 : 1;
  process.exitCode = failed > 0 || tests.length === 0 ? 1 : 0;
}

// Asks again until the answer pleases, or throws what was last seen once the deadline is over.
export async function eventually(ask, pleases, { what = 'the wanted state', deadlineMs = 20000 } = {}) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const seen = await ask();
    if (pleases(seen)) return seen;
    if (Date.now() >= end)
      throw new Error(`${what} was not reached in ${deadlineMs} ms: ${JSON.stringify(seen)}`);
    await new Promise(resolve => {
      setTimeout(resolve, 20);
    });
  }
}
