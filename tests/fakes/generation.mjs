// A good reply to a checked request: the pictures, their usage and their price.

import { drawImage } from './image.mjs';
import { costMicros, usageOf } from './prices.mjs';

// What the service settles on where it is left to choose.
const SIZE_CHOSEN = '1024x1024';
const QUALITY_CHOSEN = { image: 'standard', token: 'medium' };

function settle(model, request) {
  const size = request.size === 'auto' ? SIZE_CHOSEN : request.size;
  const [width, height] = size.split('x').map(Number);
  const chosen = QUALITY_CHOSEN[model.perImage ? 'image' : 'token'];
  return {
    size,
    width,
    height,
    quality: request.quality === 'auto' ? chosen : request.quality,
    background: request.background === 'transparent' ? 'transparent' : 'opaque',
    output_format: request.output_format,
  };
}

// {pictures, cost_micros, draw(): their bytes in order, body(data): the reply around them}
export function generate(model, request, n, serial) {
  const { width, height, ...settled } = settle(model, request);
  const usage = usageOf(model, {
    prompt: request.prompt,
    n,
    width,
    height,
    quality: settled.quality,
    partialImages: request.stream ? request.partial_images : 0,
    uploads: request.uploads,
  });
  const pictures = Array.from({ length: n }, (_, i) => ({
    width,
    height,
    format: settled.output_format,
    transparent: settled.background === 'transparent',
    seed: `${request.prompt}\0${serial}\0${i}`,
  }));
  return {
    pictures,
    cost_micros: costMicros(model, { n, size: settled.size, quality: settled.quality }, usage),
    draw: () => pictures.map(drawImage),
    body: data => {
      const created = Math.floor(Date.now() / 1000);
      return usage ? { created, data, ...settled, usage } : { created, data };
    },
  };
}
