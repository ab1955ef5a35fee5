// How long refusals of different kinds of bad keys take: node key-timing.mjs ROUNDS NAME=TOKEN... Prints the medians, and for
// each pair of kinds how often one of the first takes longer than one of the second; 0.5 is what chance does.
import http from 'node:http'

const [rounds, ...pairs] = process.argv.slice(2)
const kinds = pairs.map(pair => ({ name: pair.slice(0, pair.indexOf('=')), token: pair.slice(pair.indexOf('=') + 1), times: [] }))
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

const ask = token => new Promise((resolve, reject) => {
    const started = process.hrtime.bigint()
    http.get({ host: '127.0.0.1', port: 8080, path: '/v1/models', agent, headers: { Authorization: `Bearer ${token}` } }, answer => {
        answer.resume()
        answer.on('end', () => answer.statusCode === 401 ? resolve(Number(process.hrtime.bigint() - started) / 1e3)
            : reject(new Error(`${answer.statusCode} instead of 401`)))
    }).on('error', reject)
})

// Each round asks once with each, in an order of its own, so that whatever slows the machine down slows all of them.
for (let round = -20; round < Number(rounds); round++)
    for (const kind of kinds.map(kind => ({ kind, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ kind }) => kind)) {
        const time = await ask(kind.token)
        if (round >= 0)
            kind.times.push(time)
    }

const median = times => times.toSorted((a, b) => a - b)[times.length >> 1]
const share = (a, b) => {
    let longer = 0
    for (const x of a)
        for (const y of b)
            longer += x > y ? 1 : x === y ? 0.5 : 0
    return longer / (a.length * b.length)
}
for (const kind of kinds)
    console.log(`${kind.name} ${median(kind.times).toFixed(1)} us`)
let telling = 0
for (let i = 0; i < kinds.length; i++)
    for (let j = i + 1; j < kinds.length; j++) {
        const told = share(kinds[i].times, kinds[j].times)
        console.log(`${kinds[i].name} takes longer than ${kinds[j].name}: ${told.toFixed(3)}`)
        telling = Math.max(telling, Math.abs(told - 0.5))
    }
process.exit(telling < 0.15 ? 0 : 1)
