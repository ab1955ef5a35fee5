// The judge of edits: a form as the service takes it, to the byte, and what its pictures are. Faults come out as they do for
// generations (validate.mjs).

import { createHash } from 'node:crypto';

import { readPng } from './read-png.mjs';
import { Refusal, checkFields, fieldRules } from './validate.mjs';

export const EDIT_BYTES_MAX = 128 * 1024 * 1024;
const MASK_BYTES_MAX = 4 * 1024 * 1024;

const TYPES = { png: 'image/png', jpeg: 'image/jpeg', webp: 'image/webp' };
const NUMBERS = new Set(['n', 'output_compression', 'partial_images']);

function refuse(param, code, message) {
  throw new Refusal(400, message, { param, code });
}

// The parts in their order: {name, filename, type, data}. What a library would not write is refused.
function parseForm(req, bytes) {
  const [, boundary] =
    /^multipart\/form-data; boundary="?([A-Za-z0-9'()+_,./:=?-]{1,70})"?$/.exec(req.headers['content-type'] ?? '') ?? [];
  if (!boundary) refuse(null, 'unsupported_content_type', `Not a form: '${req.headers['content-type']}'.`);

  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const parts = [];
  let at = delimiter.length - 2;
  if (!bytes.subarray(0, at).equals(delimiter.subarray(2))) refuse(null, null, 'The form does not begin with its boundary.');
  while (bytes.toString('latin1', at, at + 2) === '\r\n') {
    const head = bytes.indexOf('\r\n\r\n', at);
    const end = bytes.indexOf(delimiter, head + 2);
    if (head < 0 || end < 0) refuse(null, null, 'The form is cut short.');
    parts.push({ ...readHead(bytes.toString('utf8', at + 2, head)), data: bytes.subarray(head + 4, end) });
    at = end + delimiter.length;
  }
  if (bytes.toString('latin1', at) !== '--\r\n' && bytes.toString('latin1', at) !== '--')
    refuse(null, null, 'The form does not end with its boundary.');
  return parts;
}

function readHead(head) {
  const [, name, filename, type] =
    /^Content-Disposition: form-data; name="([^"\r\n]+)"(?:; filename="([^"\r\n]*)")?(?:\r\nContent-Type: ([^\r\n]+))?$/i.exec(
      head,
    ) ?? [];
  if (!name) refuse(null, null, `Not the head of a field: '${head}'.`);
  return { name, filename, type };
}

function typed(name, source) {
  if (NUMBERS.has(name)) return /^\d{1,9}$/.test(source) ? Number(source) : source;
  if (name === 'stream') return { true: true, false: false }[source] ?? source;
  return source;
}

function formatOf(bytes) {
  if (bytes.toString('latin1', 1, 4) === 'PNG') return 'png';
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'jpeg';
  return bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP' ? 'webp' : null;
}

function jpegSize(bytes) {
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2))
    if (bytes[at + 1] === 0xc0) return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
  return refuse('image', 'invalid_image_file', 'A JPEG without a frame.');
}

function webpSize(bytes) {
  const bits = bytes.readUInt32LE(21);
  return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
}

const SIZES = { png: readPng, jpeg: jpegSize, webp: webpSize };

function judgePicture({ name, filename, type, data }, bytesMax) {
  const param = name.replace('[]', '');
  const format = formatOf(data);
  if (!filename) refuse(param, 'invalid_type', `Invalid type for '${param}': expected a file, but got a string instead.`);
  if (!format) refuse(param, 'invalid_image_file', 'Invalid image file or mode, please check your image file.');
  if (type !== TYPES[format]) refuse(param, 'unsupported_file_mimetype', `'${type}' is not the type of a ${format} file.`);
  if (data.length >= bytesMax) refuse(param, 'image_too_large', `Expected fewer than ${bytesMax} bytes.`);
  try {
    const sha256 = createHash('sha256').update(data).digest('hex');
    return { mask: param === 'mask', format, sha256, ...SIZES[format](data) };
  } catch (error) {
    return refuse(param, 'invalid_image_file', error.message);
  }
}

function judgePictures(parts, model) {
  const { images: imagesMax, bytes } = model.edits;
  const files = parts.filter(({ name }) => name !== 'mask');
  if (files.length === 0) refuse('image', 'missing_required_parameter', "Missing required parameter: 'image'.");
  if (files.length > imagesMax) refuse('image', 'array_above_max_length', `Expected at most ${imagesMax} images.`);
  if (files.length > 1 && files.some(({ name }) => name !== 'image[]'))
    refuse('image', 'duplicate_parameter', "Duplicate parameter: 'image'. Use 'image[]' for several.");
  return parts.map(part => judgePicture(part, part.name === 'mask' ? MASK_BYTES_MAX : bytes));
}

// Alpha is a bit of the colour type.
function judgeMask(pictures, parts) {
  const masks = pictures.filter(({ mask }) => mask);
  const first = pictures.find(({ mask }) => !mask);
  if (masks.length > 1) refuse('mask', 'duplicate_parameter', "Duplicate parameter: 'mask'.");
  if (masks.length === 0) return;
  const [{ format, width, height }] = masks;
  const bytes = parts.find(({ name }) => name === 'mask').data;
  if (format !== 'png') refuse('mask', 'invalid_image_file', 'A mask must be a PNG.');
  if (!(bytes[25] & 4)) refuse('mask', 'invalid_image_file', 'A mask must have an alpha channel.');
  if (width !== first.width || height !== first.height)
    refuse('mask', 'invalid_mask_size', 'Invalid mask: its size does not match the image.');
}

const isPicture = ({ name }) => ['image', 'image[]', 'mask'].includes(name);

// As checkGeneration(); the request has `uploads` as well: {mask, format, sha256, width, height}.
export function checkEdit(req, bytes, day) {
  const parts = parseForm(req, bytes);
  const body = {};
  for (const { name, filename, data } of parts.filter(part => !isPicture(part))) {
    if (filename !== undefined) refuse(name, 'invalid_type', `Invalid type for '${name}': got a file.`);
    if (Object.hasOwn(body, name)) refuse(name, 'duplicate_parameter', `Duplicate parameter: '${name}'.`);
    body[name] = typed(name, new TextDecoder('utf-8', { fatal: true }).decode(data));
  }
  const model = checkFields(body, day, editRules);
  if (!model.edits) refuse('model', 'invalid_value', `The model '${body.model}' makes no edits.`);
  const pictures = parts.filter(isPicture);
  const uploads = judgePictures(pictures, model);
  judgeMask(uploads, pictures);
  return {
    model,
    request: {
      n: 1,
      size: 'auto',
      quality: 'auto',
      background: 'auto',
      output_format: 'png',
      response_format: model.base64Only ? 'b64_json' : 'url',
      partial_images: 0,
      ...body,
      uploads,
    },
    remarks: [],
  };
}

function editRules(model) {
  const { moderation, style, ...rules } = fieldRules(model);
  void [moderation, style];
  const fidelity = (name, value) => {
    if (!['high', 'low'].includes(value)) refuse(name, 'invalid_value', "Supported values are: 'high' and 'low'.");
  };
  return model.edits?.fidelity ? { ...rules, input_fidelity: fidelity } : rules;
}
