// A reply as a stream of events: the partial images, then the image with its usage. The act decides which of
// that is true.

import { drawImage } from './image.mjs';

// As the service writes an event.
function eventText(name, data) {
  return `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`;
}

const FAILURE = {
  error: {
    message: 'The server had an error while processing your request.',
    type: 'server_error',
    param: null,
    code: null,
  },
};

// Each takes the good events and returns those that are sent.
export const STREAMS = {
  error: events => [...events.slice(0, -1), eventText('error', FAILURE)],
  no_image: events => events.slice(0, -1),
  image_first: events => [events.at(-1), ...events.slice(0, -1)],
  backwards: events => [...events.slice(0, -1).reverse(), events.at(-1)],
  twice: events => events.flatMap(event => [event, event]),
  garbage: events => [...events.slice(0, -1), 'data: }{ not json\n\n'],
  bad_partials: events => [
    ...events.slice(0, -1).map(event => event.replace(/"b64_json":"[^"]*"/, '"b64_json":"!"')),
    events.at(-1),
  ],
  data_only: events => [
    ': STILL PROCESSING\n\n',
    ...events.map(event => event.replace(/^event:.*\n/, '')),
    'data: [DONE]\n\n',
  ],
  crlf: events => events.map(event => event.replaceAll('\n', '\r\n')),
};

// The texts of the events, in their order. `made` is of generate(), `drawn` the image in base64.
export function streamEvents(made, drawn, act, { partial_images: partialImages, uploads }) {
  const kind = uploads ? 'image_edit' : 'image_generation';
  const { created, usage, ...facts } = made.body(undefined);
  const common = { created_at: created, size: facts.size, quality: facts.quality };
  const rest = { background: facts.background, output_format: facts.output_format };
  const [picture] = made.pictures;
  const partials = Array.from({ length: partialImages }, (_, i) => {
    const image = drawImage({ ...picture, seed: `${picture.seed}\0partial ${i}` }).toString('base64');
    return eventText(`${kind}.partial_image`, {
      b64_json: image,
      partial_image_index: i,
      ...common,
      ...rest,
    });
  });
  const image = eventText(`${kind}.completed`, { b64_json: drawn, ...common, ...rest, usage });
  const events = [...partials, image];
  return act.stream ? STREAMS[act.stream](events) : events;
}
