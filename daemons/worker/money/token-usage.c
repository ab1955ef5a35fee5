#include "money/token-usage.h"

/* A count, 0 where it is absent. False for anything else than a number that can be one. */
static bool get_count(const JsonValue *object, const char *name, uint64_t *ret) {
        const JsonValue *value = json_member(object, name);

        *ret = 0;
        if (!value || cJSON_IsNull(value))
                return true;
        if (!json_is_integer(value) || json_to_integer(value) < 0 || json_to_integer(value) > TOKENS_MAX)
                return false;
        *ret = (uint64_t) json_to_integer(value);
        return true;
}

/* The two kinds that a sum is made of; all of it is `fallback` where nothing tells them apart. */
static bool split(const JsonValue *usage, const char *sum_name, const char *details_name, TokenKind text,
                  TokenKind image, TokenKind fallback, TokenUsage *ret) {
        const JsonValue *details = json_get_object(usage, details_name);
        uint64_t sum;

        if (!json_is_integer(json_member(usage, sum_name)) || !get_count(usage, sum_name, &sum))
                return false;
        if (!details) {
                ret->tokens[fallback] = sum;
                return true;
        }
        return get_count(details, "text_tokens", &ret->tokens[text]) &&
               get_count(details, "image_tokens", &ret->tokens[image]) &&
               ret->tokens[text] + ret->tokens[image] == sum;
}

int token_usage_parse(const JsonValue *usage, TokenUsage *ret) {
        TokenUsage parsed = {};

        if (!usage ||
            !split(usage, "input_tokens", "input_tokens_details", TOKEN_TEXT_INPUT, TOKEN_IMAGE_INPUT,
                   TOKEN_TEXT_INPUT, &parsed) ||
            !split(usage, "output_tokens", "output_tokens_details", TOKEN_TEXT_OUTPUT, TOKEN_IMAGE_OUTPUT,
                   TOKEN_IMAGE_OUTPUT, &parsed))
                return USAGE_UNCLEAR;
        *ret = parsed;
        return 0;
}
