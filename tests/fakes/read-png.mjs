// Reads a PNG whole and says what is wrong with it: the judge of pictures in tests.

import { inflateSync } from 'node:zlib';

import { crc32 } from './image.mjs';

const SIGNATURE = '89504e470d0a1a0a';
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

function* chunksOf(bytes) {
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    const end = at + 8 + length;
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (bytes.readUInt32BE(end) !== crc32(bytes.subarray(at + 4, end)))
      throw new Error(`${type}: the checksum is wrong`);
    yield { type, data: bytes.subarray(at + 8, end) };
    at = end + 4;
  }
}

// Returns {width, height}, or throws. Knows no interlacing: nothing here writes it.
export function readPng(bytes) {
  if (bytes.subarray(0, 8).toString('hex') !== SIGNATURE) throw new Error('not a PNG');
  const chunks = [...chunksOf(bytes)];
  if (chunks[0].type !== 'IHDR' || chunks.at(-1).type !== 'IEND') throw new Error('no header, or no end');

  const header = chunks[0].data;
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const bitsPerPixel = header[8] * CHANNELS[header[9]];
  const pixels = inflateSync(
    Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)),
  );
  if (pixels.length !== height * (1 + Math.ceil((width * bitsPerPixel) / 8)))
    throw new Error(`${pixels.length} bytes of pixels do not make ${width}x${height}`);
  return { width, height };
}
