#include "money/optimiser.h"

#include <string.h>

#include "base/text.h"
#include "conf/model-terms.h"

#define SQUARE "1024x1024"

/* Pictures that explain something do so at the lower quality as well. French and English; each stands for the words
 * that begin with it. */
static const char *const educational_words[] = {
        "diagram", "schema", "schematic", "flowchart", "organigramme", "infographi", "illustration pedagogique",
        "educational illustration", "croquis explicatif", "explanatory sketch", NULL,
};

/* A prompt with one of them needs the shape that it asks for. */
static const char *const shape_words[] = {
        "portrait", "vertical", "tall", "paysage", "landscape", "horizontal", "wide", "panoram", NULL,
};

/* From each quality the one below it. What is left to the provider may become its best. */
static const char *const quality_steps[][2] = {
        { "hd", "standard" },
        { "high", "medium" },
        { "auto", "medium" },
        { "medium", "low" },
};

const char *optimiser_rule_name(OptimiserRule rule) {
        static const char *const names[] = { [OPTIMISER_PROMPT] = "prompt", [OPTIMISER_PRESSURE] = "pressure" };

        return (size_t) rule < ELEMENTS(names) ? names[rule] : NULL;
}

/* ------------------------------------------------------------------ words */

/* The base letters of U+00C0 to U+00FF; a blank is no letter. */
static const char latin_letters[] = "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty";

/* U+0300 to U+036F, which stand behind their letter. */
static bool is_accent(const unsigned char *bytes) {
        return (bytes[0] == 0xCC && bytes[1] >= 0x80) || (bytes[0] == 0xCD && bytes[1] >= 0x80 && bytes[1] < 0xB0);
}

/* How many bytes of it there are; 0 for a letter: the signs of Latin-1, and general punctuation (U+2000 to U+207F). */
static size_t punctuation_size(const unsigned char *bytes) {
        if (bytes[0] == 0xC2 && bytes[1])
                return 2;
        if (bytes[0] == 0xE2 && (bytes[1] == 0x80 || bytes[1] == 0x81) && bytes[2])
                return 3;
        return 0;
}

static char fold_ascii(unsigned char byte) {
        if (byte >= 'A' && byte <= 'Z')
                return (char) (byte - 'A' + 'a');
        return byte == 0 || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ? (char) byte : ' ';
}

/* The next letter of a text in UTF-8, folded, and where the text goes on: 0 at its end, ' ' for what parts words, '?'
 * for letters that no word of ours has. */
static char next_letter(const char **text) {
        const unsigned char *bytes = (const unsigned char *) *text;
        size_t size = 1;
        char letter = '?';

        while (is_accent(bytes))
                bytes += 2;
        if (bytes[0] < 0x80) {
                letter = fold_ascii(bytes[0]);
                size = bytes[0] ? 1 : 0;
        } else if (bytes[0] == 0xC3 && bytes[1] >= 0x80 && bytes[1] < 0xC0) {
                letter = latin_letters[bytes[1] - 0x80];
                size = 2;
        } else if (punctuation_size(bytes) > 0) {
                letter = ' ';
                size = punctuation_size(bytes);
        }
        *text = (const char *) bytes + size;
        return letter;
}

static bool begins_with(const char *text, const char *word) {
        while (*word)
                if (next_letter(&text) != *word++)
                        return false;
        return true;
}

static bool begins_with_any(const char *text, const char *const words[]) {
        for (; *words; words++)
                if (begins_with(text, *words))
                        return true;
        return false;
}

bool optimiser_text_has(const char *text, const char *const words[]) {
        bool word_begins = true;

        while (*text) {
                if (word_begins && begins_with_any(text, words))
                        return true;
                word_begins = next_letter(&text) == ' ';
        }
        return false;
}

/* ------------------------------------------------------------------ proposals */

static const char *quality_below(const ModelConf *model, const char *quality) {
        for (size_t i = 0; i < ELEMENTS(quality_steps); i++)
                if (text_equal(quality_steps[i][0], quality ?: "auto") &&
                    model_takes_quality(model, quality_steps[i][1]))
                        return quality_steps[i][1];
        return NULL;
}

/* Medium is enough for nobody who asked for it. */
static bool is_best(const char *quality) {
        return text_equal(quality, "hd") || text_equal(quality, "high");
}

void optimiser_propose(const ModelConf *model, const GenerationRequest *request, int64_t gone, int64_t quality_from,
                       int64_t size_from, Proposal *ret) {
        *ret = (Proposal) {};
        if (gone >= quality_from)
                ret->quality_rule = OPTIMISER_PRESSURE;
        else if (is_best(request->quality) && optimiser_text_has(request->prompt, educational_words))
                ret->quality_rule = OPTIMISER_PROMPT;
        if (ret->quality_rule != OPTIMISER_NONE)
                ret->quality = quality_below(model, request->quality);
        if (!ret->quality)
                ret->quality_rule = OPTIMISER_NONE;

        if (!model_takes_size(model, SQUARE) || text_equal(request->size, SQUARE))
                return;
        if (gone >= size_from)
                ret->size_rule = OPTIMISER_PRESSURE;
        else if (request->width != request->height && !optimiser_text_has(request->prompt, shape_words))
                ret->size_rule = OPTIMISER_PROMPT;
        if (ret->size_rule != OPTIMISER_NONE)
                ret->size = SQUARE;
}
