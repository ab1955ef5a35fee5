// Opens so many connections, has one answer on each, so that all are accepted, says "opened", and keeps them until it
// is killed.
//
//   idle-connections.mjs COUNT ADDRESS...        the addresses in turn: IP addresses or paths of Unix sockets

import { Connection } from './raw-http.mjs';

const AT_A_TIME = 64;
const PORT = 8080;
const REQUEST = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n';

const count = Number(process.argv[2]);
const addresses = process.argv
  .slice(3)
  .map((address) => (address[0] === '/' ? { path: address } : { host: address, port: PORT }));
const connections = [];

async function openSome() {
  while (connections.length < count) {
    const connection = new Connection(addresses[connections.length % addresses.length]);
    connections.push(connection);
    await connection.write(REQUEST);
    const { status } = await connection.answer();
    if (status !== 200) throw new Error(`answered with ${status}`);
  }
}

await Promise.all(Array.from({ length: Math.min(AT_A_TIME, count) }, openSome));
if (connections.some((connection) => connection.ended)) throw new Error('a connection was closed');
console.log(`opened ${connections.length}`);
setInterval(() => {}, 1000);
