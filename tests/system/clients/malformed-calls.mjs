// Messages that are none, to a Varlink socket: node malformed-calls.mjs SOCKET COUNT. What is no message ends its connection, and
// a new one goes on; what is one is answered with an error. Prints how many of each there were.
import net from 'node:net'

const [path, total] = [process.argv[2], Number(process.argv[3])]
const CONNECTIONS = 8
const BURST = 64

let seed = 1
const random = n => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n
const bytes = n => Array.from({ length: n }, () => String.fromCharCode(1 + random(126))).join('')
const message = object => JSON.stringify(object)

// Of these the connection survives.
const wrong = [
    () => message({ method: 'io.atelier.Nothing.' + 'A'.repeat(1 + random(20)) }),
    () => message({ method: 'io.atelier.Queue.Nothing' + random(10) }),
    () => message({ method: 'io.atelier.Queue.Get', parameters: { id: random(100) } }),
    () => message({ method: 'io.atelier.Queue.Submit', parameters: { request: bytes(random(50)) } }),
    () => message({ method: 'io.atelier.Keys.Create', parameters: { name: bytes(5) } }),
    () => message({ method: 'io.atelier.Queue.Cancel', parameters: { caller: { origin: 'emperor' }, id: 'x' } }),
]
// Of these it does not.
const fatal = [
    () => bytes(1 + random(200)),
    () => message({ method: random(5) }),
    () => message([]),
    () => '{"method":"io.atelier.Queue.Get","parameters":[]}',
    () => '{"method":"io.atelier.Queue.Get","method":"io.atelier.Queue.List"}',
    () => '{"method":"\ud800"}',
    () => '',
    () => '['.repeat(1 + random(500)),
]

let sent = 0, answered = 0, ended = 0
const run = () => new Promise(resolve => {
    const connect = () => {
        if (sent >= total)
            return resolve()
        const socket = net.connect(path)
        let awaited = 0, rest = ''
        const more = () => {
            if (sent >= total)
                return socket.end()
            const burst = []
            awaited = 1 + random(BURST)
            for (let i = 0; i < awaited; i++)
                burst.push(wrong[random(wrong.length)]())
            sent += awaited
            // Some end with one that is fatal: then there is no answer to wait for.
            if (random(20) === 0) {
                burst.push(fatal[random(fatal.length)]())
                sent++
            }
            socket.write(burst.join('\0') + '\0')
        }
        socket.on('connect', more)
        socket.on('data', data => {
            const parts = (rest + data).split('\0')
            rest = parts.pop()
            for (const part of parts) {
                if (!JSON.parse(part).error)
                    throw new Error('an answer without an error: ' + part)
                answered++
                if (--awaited === 0)
                    setImmediate(() => socket.destroyed || more())
            }
        })
        socket.on('error', () => {})
        socket.on('close', () => {
            ended++
            connect()
        })
    }
    connect()
})
await Promise.all(Array.from({ length: CONNECTIONS }, run))
console.log(`${sent} sent, ${answered} answered with an error, ${ended} connections ended`)
