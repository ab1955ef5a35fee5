// What the fake sells: each model's fields, sizes, qualities, prices, and the days between which it could be
// bought.
//
// The day is an option of the fake and not the clock, so that a test of a retired model means the same next
// year. A price of D dollars for a million tokens is D micro-dollars for one token: the table holds that
// number.

const GPT_FIELDS = [
  'background',
  'output_format',
  'output_compression',
  'moderation',
  'stream',
  'partial_images',
];
const GPT_SIZES = ['auto', '1024x1024', '1536x1024', '1024x1536'];
const GPT_FORMATS = ['png', 'jpeg', 'webp'];

const gpt = {
  fields: GPT_FIELDS,
  promptCharsMax: 32000,
  imagesMax: 10,
  sizes: GPT_SIZES,
  qualities: ['auto', 'low', 'medium', 'high'],
  formats: GPT_FORMATS,
  base64Only: true,
  edits: { images: 16, bytes: 50e6 },
};

const gpt1 = { ...gpt, tokens: 'table', edits: { ...gpt.edits, fidelity: true } };
const gpt2 = { ...gpt, tokens: 'formula', freeSizes: true, prices: { textIn: 5, imageIn: 8, imageOut: 30 } };
const gpt25 = { ...gpt2, qualities: [...gpt.qualities, 'xhigh', 'max'] };
const gpt26 = { ...gpt25, fields: [...GPT_FIELDS, 'complexity'] };

export const MODELS = {
  'dall-e-2': {
    from: '2022-11-03',
    until: '2026-05-12',
    fields: ['response_format'],
    promptCharsMax: 1000,
    imagesMax: 10,
    sizes: ['256x256', '512x512', '1024x1024'],
    qualities: ['auto', 'standard'],
    formats: ['png'],
    perImage: { standard: { '256x256': 16000, '512x512': 18000, '1024x1024': 20000 } },
  },
  'dall-e-3': {
    from: '2023-11-06',
    until: '2026-05-12',
    fields: ['response_format', 'style'],
    promptCharsMax: 4000,
    imagesMax: 1,
    revisesPrompt: true,
    sizes: ['1024x1024', '1792x1024', '1024x1792'],
    qualities: ['auto', 'standard', 'hd'],
    formats: ['png'],
    perImage: {
      standard: { '1024x1024': 40000, '1792x1024': 80000, '1024x1792': 80000 },
      hd: { '1024x1024': 80000, '1792x1024': 120000, '1024x1792': 120000 },
    },
  },
  'gpt-image-1': {
    ...gpt1,
    from: '2025-04-23',
    until: '2026-10-23',
    prices: { textIn: 5, imageIn: 10, imageOut: 40 },
  },
  'gpt-image-1-mini': {
    ...gpt1,
    edits: gpt.edits,
    from: '2025-10-06',
    until: '2026-12-01',
    prices: { textIn: 2, imageIn: 2.5, imageOut: 8 },
  },
  'gpt-image-1.5': {
    ...gpt1,
    from: '2025-12-16',
    until: '2026-12-01',
    prices: { textIn: 5, imageIn: 8, imageOut: 32 },
  },
  'gpt-image-2': { ...gpt2, from: '2026-04-21' },
  'gpt-image-2.5-flare': { ...gpt25, from: '2026-09-08' },
  'gpt-image-2.5-sunburst': { ...gpt25, from: '2026-09-08' },
  'gpt-image-2.6-flare': { ...gpt26, from: '2026-11-04' },
  'gpt-image-2.6-sunburst': { ...gpt26, from: '2026-11-04' },
};

MODELS['gpt-image-1.5-2025-12-16'] = MODELS['gpt-image-1.5'];
MODELS['chatgpt-image-latest'] = MODELS['gpt-image-1.5'];
MODELS['gpt-image-2-2026-04-21'] = MODELS['gpt-image-2'];

// The model as sold on that day, or null.
export function modelOn(id, day) {
  const model = Object.hasOwn(MODELS, id) ? MODELS[id] : null;
  return model && day >= model.from && (!model.until || day < model.until) ? model : null;
}

export function modelDescription(id) {
  return {
    id,
    object: 'model',
    created: Date.parse(MODELS[id].from) / 1000,
    owned_by: 'system',
    shutdown_date: MODELS[id].until ?? null,
  };
}

export function modelList(day) {
  const sold = Object.keys(MODELS).filter(id => modelOn(id, day));
  return { object: 'list', data: sold.map(modelDescription) };
}
