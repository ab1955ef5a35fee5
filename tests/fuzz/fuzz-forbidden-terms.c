/* Prompts and forbidden terms: the first line is a term, the rest a prompt. A term is always found in itself, and in a prompt
 * with itself in the middle. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <unistr.h>

#include "base/text.h"
#include "queue/forbidden-terms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(forbidden_terms_freep) ForbiddenTerms *terms = NULL;
        _cleanup_(buffer_done) Buffer errors = {};
        _cleanup_free_ char *text = strndup((const char *) data, size), *framed = NULL;
        char *texts[] = { text, NULL }, *prompt;
        Settings settings = { .worker.forbidden_terms = texts };
        bool found;

        /* As every string of JSON that is taken. */
        if (!text || u8_check((const uint8_t *) text, strlen(text)))
                return 0;
        prompt = strchr(text, '\n');
        if (!prompt)
                return 0;
        *prompt++ = 0;
        if (forbidden_terms_new(&terms, &settings, &errors) < 0)
                return 0;
        if (forbidden_terms_find(terms, prompt, &found) < 0)
                abort();
        framed = text_format("%s . %s . %s", prompt, text, prompt);
        if (framed && (forbidden_terms_find(terms, framed, &found) < 0 || !found))
                abort();
        return 0;
}
