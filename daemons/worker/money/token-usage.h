/* OpenAI's `usage` object (of a reply, for all its images together) as counts by kind. Pure. */
#pragma once

#include "base/json.h"
#include "money/price-book.h"

#define TOKENS_MAX (INT64_C(1) << 40)    /* of one kind; what is more was not counted */

enum {
        USAGE_UNCLEAR = 1,    /* it is missing, or its numbers do not fit together */
};

/* Where input_tokens_details is absent all input is text; where output_tokens_details is absent all output is image. The
 * details, where they are there, must add up to what stands above them. */
int token_usage_parse(const JsonValue *usage, TokenUsage *ret);
