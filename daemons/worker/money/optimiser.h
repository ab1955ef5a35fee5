/* The optimiser: what of a request may be cheaper and still serve. Pure.
 *
 * It proposes, by the prompt and by how far a budget has gone; whoever knows the prices takes a proposal only where it
 * costs less. One step at a time: a request is never made worse than the step below what it asked for. */
#pragma once

#include "conf/settings.h"
#include "providers/provider.h"

typedef enum OptimiserRule {
        OPTIMISER_NONE,
        OPTIMISER_PROMPT,    /* by what the prompt says */
        OPTIMISER_PRESSURE,  /* by what is left of a budget */
} OptimiserRule;

const char *optimiser_rule_name(OptimiserRule rule);  /* "prompt", "pressure" */

/* Strings are constants; NULL with OPTIMISER_NONE: as it was asked for. */
typedef struct Proposal {
        const char *quality, *size;
        OptimiserRule quality_rule, size_rule;
} Proposal;

/* Of a request in the terms of `model`. `gone` is the share of the tightest budget that is spent, reserved or possibly
 * charged, in millionths; from `quality_from` and `size_from` on it alone is reason enough. */
void optimiser_propose(const ModelConf *model, const GenerationRequest *request, int64_t gone, int64_t quality_from,
                       int64_t size_from, Proposal *ret);

/* Does one of the words begin a word of the text, whatever its case and accents? Words are lower-case ASCII. */
bool optimiser_text_has(const char *text, const char *const words[]);
