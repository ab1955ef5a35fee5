// Pictures that decode, of the size asked for, each told apart by its seed: PNG in 8×8 coloured cells (in one where it is
// `flat`), JPEG and WebP in one colour (their encoders shrink to almost nothing when every block is the same).

import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

const CELLS = 8;

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

export function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

function seedBytes(seed) {
  return createHash('sha512').update(seed).digest();
}

function pngChunk(type, data) {
  const chunk = Buffer.alloc(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

// One filtered row for the given line of cells: two bits of the seed choose each cell's colour.
function pngRow(width, channels, random, line) {
  const row = Buffer.alloc(1 + width * channels);
  for (let x = 0; x < width; x++) {
    const cell = line * CELLS + Math.floor((x * CELLS) / width);
    const colour = (random[16 + (cell >> 2)] >> (2 * (cell & 3))) & 3;
    random.copy(row, 1 + x * channels, colour * channels, (colour + 1) * channels);
  }
  return row;
}

function png({ width, height, seed, transparent, flat }) {
  const channels = transparent ? 4 : 3;
  const random = flat ? Buffer.alloc(64, 128) : seedBytes(seed);
  const rows = Array.from({ length: CELLS }, (_, line) => pngRow(width, channels, random, line));
  const pixels = Buffer.alloc(height * rows[0].length);
  for (let y = 0; y < height; y++) rows[Math.floor((y * CELLS) / height)].copy(pixels, y * rows[0].length);

  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, transparent ? 6 : 2], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(pixels, { level: 1 })),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

function jpegSegment(marker, ...bytes) {
  const length = bytes.length + 2;
  return [0xff, marker, length >> 8, length & 0xff, ...bytes];
}

// The DC coefficient of a flat block as bits: its size class in four bits, its value, then the end of the
// block.
function jpegFlatBlock(level) {
  const dc = 8 * (level - 128);
  const size = dc === 0 ? 0 : Math.floor(Math.log2(Math.abs(dc))) + 1;
  const value = dc < 0 ? dc + 2 ** size - 1 : dc;
  return size.toString(2).padStart(4, '0') + (size ? value.toString(2).padStart(size, '0') : '') + '0';
}

// The first unit carries the colour; every other differs from it by nothing, which is fifteen zero bits.
function jpegScan(width, height, colour) {
  const units = Math.ceil(width / 8) * Math.ceil(height / 8);
  const first = [...colour].map(jpegFlatBlock).join('');
  const bits = first.length + (units - 1) * 15;
  const scan = Buffer.alloc(Math.ceil(bits / 8));
  [...first].forEach((bit, i) => {
    scan[i >> 3] |= Number(bit) << (7 - (i & 7));
  });
  if (bits & 7) scan[scan.length - 1] |= 0xff >> (bits & 7);
  return Buffer.from(scan.toString('latin1').replaceAll('\xff', '\xff\0'), 'latin1');
}

function jpeg({ width, height, seed }) {
  const random = seedBytes(seed);
  const size = [height >> 8, height & 0xff, width >> 8, width & 0xff];
  const lengths = { dc: [0, 0, 0, 12, ...Array(12).fill(0)], ac: [1, ...Array(15).fill(0)] };
  return Buffer.concat([
    Buffer.from([
      0xff,
      0xd8,
      ...jpegSegment(0xe0, ...Buffer.from('JFIF\0'), 1, 1, 0, 0, 1, 0, 1, 0, 0),
      ...jpegSegment(0xfe, ...Buffer.from(random.toString('hex'))),
      ...jpegSegment(0xdb, 0, ...Array(64).fill(1)),
      ...jpegSegment(0xc0, 8, ...size, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0),
      ...jpegSegment(0xc4, 0x00, ...lengths.dc, ...Array(12).keys()),
      ...jpegSegment(0xc4, 0x10, ...lengths.ac, 0),
      ...jpegSegment(0xda, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0),
    ]),
    jpegScan(width, height, random.subarray(0, 3)),
    Buffer.from([0xff, 0xd9]),
  ]);
}

// Lossless WebP whose five codes know one symbol each: a pixel then takes no bit at all.
function webp({ width, height, seed }) {
  const random = seedBytes(seed);
  let bits = '';
  const put = (value, count) => {
    for (let i = 0; i < count; i++) bits += (value >> i) & 1;
  };

  put(width - 1, 14);
  put(height - 1, 14);
  put(0, 1 + 3 + 1 + 1 + 1); // no alpha, version 0, no transform, no colour cache, no meta code
  for (let channel = 0; channel < 4; channel++) {
    put(0b101, 3);
    put(random[channel], 8);
  }
  put(0b0001, 4);

  const data = Buffer.alloc(1 + Math.ceil(bits.length / 8));
  data[0] = 0x2f;
  [...bits].forEach((bit, i) => {
    data[1 + (i >> 3)] |= Number(bit) << (i & 7);
  });
  const padded = Buffer.alloc(data.length + (data.length & 1));
  data.copy(padded);
  const head = Buffer.from('RIFF\0\0\0\0WEBPVP8L\0\0\0\0', 'latin1');
  head.writeUInt32LE(12 + padded.length, 4);
  head.writeUInt32LE(data.length, 16);
  return Buffer.concat([head, padded]);
}

const ENCODERS = { png, jpeg, webp };

export function drawImage({ format = 'png', ...picture }) {
  return ENCODERS[format](picture);
}
