// Holds the audit trail against the jobs that there are: node audit-trail.mjs SPENT UNKNOWN, in micro-dollars.
// Each job was accepted once and has ended once, and what all of them cost is what the ledger has.
import { execFileSync } from 'node:child_process'

const run = (...args) => execFileSync('atelierctl', args, { encoding: 'utf8', maxBuffer: 1 << 30 })
const records = run('audit', 'export').split('\n').filter(Boolean).map(line => JSON.parse(line))
const jobs = JSON.parse(run('--json', 'jobs', 'list', '--all'))
const problems = []

const of = new Map()
for (const record of records.filter(record => record.action.startsWith('job.'))) {
    const kinds = of.get(record.object) ?? {}
    kinds[record.action] = (kinds[record.action] ?? 0) + 1
    of.set(record.object, kinds)
}
const ends = ['job.completed', 'job.failed', 'job.cancelled']
for (const [id, kinds] of of)
    if (kinds['job.accepted'] !== 1)
        problems.push(`${id} was accepted ${kinds['job.accepted'] ?? 0} times`)
for (const job of jobs) {
    const kinds = of.get(job.id) ?? {}
    const ended = ends.filter(end => kinds[end])
    const expected = ends.includes('job.' + job.status) ? 'job.' + job.status : ''
    if (ended.join() !== expected || (expected && kinds[expected] !== 1))
        problems.push(`${job.id} is ${job.status}, the trail has ${JSON.stringify(kinds)}`)
}
const known = new Set(jobs.map(job => job.id))
for (const [id, kinds] of of)
    if (!known.has(id) && !kinds['job.deleted'])
        problems.push(`${id} is gone, and was not deleted`)

const sum = member => records.filter(record => ends.includes(record.action)).reduce((n, record) => n + record[member], 0)
const [spent, unknown] = process.argv.slice(2).map(Number)
if (sum('cost_micros') !== spent || sum('unknown_micros') !== unknown)
    problems.push(`the trail adds up to ${sum('cost_micros')} and ${sum('unknown_micros')}, the ledger to ${spent} and ${unknown}`)

console.log(problems.slice(0, 10).join('\n') || `${records.length} records account for ${jobs.length} jobs`)
process.exit(problems.length > 0 ? 1 : 0)
