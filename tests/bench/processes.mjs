// What processes cost, read from /proc: processor time, and memory as the kernel divides it.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK']));

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return null; // it ended meanwhile
  }
}

// The fields of /proc/PID/stat after the name, which may itself hold spaces and brackets.
function statFields(pid) {
  const stat = read(pid, 'stat');
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

export function withChildren(pid) {
  const children = readdirSync('/proc').filter(
    name => /^\d+$/.test(name) && statFields(name)?.[1] === String(pid),
  );
  return [pid, ...children.flatMap(child => withChildren(Number(child)))];
}

// Processor seconds of all their threads so far.
export function cpuSeconds(pids) {
  return pids
    .map(statFields)
    .filter(Boolean)
    .reduce((sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND, 0);
}

function kilobytes(text, name) {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text ?? '')?.[1] ?? 0);
}

// {rss, pss, anonymous} in kB, summed over the processes.
export function memory(pids) {
  const sum = { rss: 0, pss: 0, anonymous: 0 };
  for (const pid of pids) {
    const status = read(pid, 'status');
    sum.rss += kilobytes(status, 'VmRSS');
    sum.anonymous += kilobytes(status, 'RssAnon');
    sum.pss += kilobytes(read(pid, 'smaps_rollup'), 'Pss');
  }
  return sum;
}

// The greatest resident size of a process since it started, in kB, as the kernel kept it.
export function peakMemory(pid) {
  return kilobytes(read(pid, 'status'), 'VmHWM');
}

// Looks at memory again and again while work goes on, and keeps the greatest of each. `pids` may be a function.
export async function greatestMemory(pids, work, intervalMs = 100) {
  const now = () => memory(typeof pids === 'function' ? pids() : pids);
  const greatest = now();
  const timer = setInterval(() => {
    for (const [name, value] of Object.entries(now()))
      greatest[name] = Math.max(greatest[name], value);
  }, intervalMs);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return greatest;
}
