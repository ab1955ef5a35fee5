// What a generation costs: tokens as the service counts them, money in micro-dollars.

const CHARS_PER_TOKEN = 4;
const PROMPT_TOKENS_FIXED = 4; // added to every prompt: any constant shows who guesses instead of reading

const PARTIAL_IMAGE_TOKENS = 100;

// gpt-image-1 and its siblings: tokens by quality for square, tall and wide.
const OUTPUT_TOKENS = {
  low: [272, 408, 400],
  medium: [1056, 1584, 1568],
  high: [4160, 6240, 6208],
};

// gpt-image-2 and later: a formula over the edges; xhigh and max are not published, these are this fake's
// own.
const QUALITY_STEPS = { low: 16, medium: 48, high: 96, xhigh: 128, max: 160 };

function tableTokens(width, height, quality) {
  const [square, tall, wide] = OUTPUT_TOKENS[quality];
  return width === height ? square : width < height ? tall : wide;
}

function formulaTokens(width, height, quality) {
  const q = QUALITY_STEPS[quality];
  const short = Math.min(width, height);
  const long = Math.max(width, height);
  const s = Math.floor((2 * q * short + long) / (2 * long));
  return Math.ceil((q * s * (2000000 + width * height)) / 4000000);
}

export function outputTokens(model, width, height, quality) {
  const count = model.tokens === 'table' ? tableTokens : formulaTokens;
  return count(width, height, quality);
}

export function promptTokens(prompt) {
  return PROMPT_TOKENS_FIXED + Math.ceil([...prompt].length / CHARS_PER_TOKEN);
}

// What is known of pictures that come with a request is about older models: any count will do that depends on their sizes.
const INPUT_TOKENS_FIXED = 85;
const INPUT_TOKENS_PER_TILE = 129;
const TILE_EDGE = 512;

function inputTokens({ width, height }) {
  return INPUT_TOKENS_FIXED + INPUT_TOKENS_PER_TILE * Math.ceil(width / TILE_EDGE) * Math.ceil(height / TILE_EDGE);
}

// The reply's `usage` for n images, or null for a model that is sold by the image.
export function usageOf(model, { prompt, n, width, height, quality, partialImages = 0, uploads = [] }) {
  if (model.perImage) return null;

  const text = promptTokens(prompt);
  const image = uploads.reduce((sum, upload) => sum + inputTokens(upload), 0);
  const input = text + image;
  const output = n * outputTokens(model, width, height, quality) + partialImages * PARTIAL_IMAGE_TOKENS;
  return {
    total_tokens: input + output,
    input_tokens: input,
    output_tokens: output,
    input_tokens_details: { text_tokens: text, image_tokens: image },
    output_tokens_details: { image_tokens: output, text_tokens: 0 },
  };
}

export function costMicros(model, { n, size, quality }, usage) {
  if (model.perImage) return n * model.perImage[quality][size];

  const { text_tokens: text, image_tokens: image } = usage.input_tokens_details;
  const { textIn, imageIn, imageOut } = model.prices;
  return Math.ceil(text * textIn + image * imageIn + usage.output_tokens * imageOut);
}
