/* Prompts and terms are brought into one form: their words, folded, each between two blanks. A term is found where its form is
 * part of the prompt's. */
#include "queue/forbidden-terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/text.h"

struct ForbiddenTerms {
        size_t count;
        char *forms[];
};

static const char *const scripts_without_blanks[] = {
        "Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar",
};

static bool stands_alone(ucs4_t character) {
        const uc_script_t *script = uc_script(character);

        for (size_t i = 0; script && i < ELEMENTS(scripts_without_blanks); i++)
                if (text_equal(script->name, scripts_without_blanks[i]))
                        return true;
        return false;
}

static bool is_of_word(ucs4_t character) {
        return uc_is_general_category_withtable(character, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N);
}

static bool is_mark(ucs4_t character) {
        return uc_is_general_category_withtable(character, UC_CATEGORY_MASK_M);
}

static int append_character(Buffer *form, ucs4_t character) {
        uint8_t bytes[6];
        int length = u8_uctomb(bytes, character, sizeof(bytes));

        return length < 0 ? -EINVAL : buffer_append(form, bytes, (size_t) length);
}

/* Ends the word that is being written. */
static int append_blank(Buffer *form) {
        const uint8_t *text = form->data;

        return form->size > 0 && text[form->size - 1] == ' ' ? 0 : buffer_append(form, " ", 1);
}

static int append_words(Buffer *form, const uint8_t *folded, size_t size) {
        bool after_one_alone = false;
        int r;

        r = append_blank(form);
        for (size_t at = 0; at < size && r >= 0;) {
                ucs4_t character;

                at += (size_t) u8_mbtouc(&character, folded + at, size - at);
                if (uc_is_property_default_ignorable_code_point(character))
                        continue;
                /* A mark belongs to the character before it, and so to its word. */
                if (!is_mark(character)) {
                        bool alone = stands_alone(character);

                        if (alone || after_one_alone)
                                r = append_blank(form);
                        after_one_alone = alone;
                }
                if (r >= 0)
                        r = is_of_word(character) ? append_character(form, character) : append_blank(form);
        }
        return r < 0 ? r : append_blank(form);
}

static int form_of(const char *text, char **ret) {
        _cleanup_(buffer_done) Buffer form = BUFFER_INIT(0);
        uint8_t *folded;
        size_t size;
        int r;

        folded = u8_casefold((const uint8_t *) text, strlen(text), NULL, UNINORM_NFKD, NULL, &size);
        if (!folded)
                return -errno;
        r = append_words(&form, folded, size);
        free(folded);
        if (r < 0)
                return r;
        *ret = buffer_take_text(&form);
        return *ret ? 0 : -ENOMEM;
}

int forbidden_terms_new(ForbiddenTerms **ret, const Settings *settings, Buffer *errors) {
        _cleanup_(forbidden_terms_freep) ForbiddenTerms *terms = NULL;
        char *const *texts = settings->worker.forbidden_terms;
        size_t count = 0;

        while (texts && texts[count])
                count++;
        terms = calloc(1, sizeof(*terms) + count * sizeof(terms->forms[0]));
        if (!terms)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                int r = form_of(texts[i], &terms->forms[i]);

                if (r < 0)
                        return r;
                terms->count++;
                if (strspn(terms->forms[i], " ") < strlen(terms->forms[i]))
                        continue;
                r = buffer_printf(errors, "worker.forbidden_terms: \"%s\" has neither letter nor digit; expected words\n", texts[i]);
                return r < 0 ? r : -EINVAL;
        }
        *ret = TAKE_PTR(terms);
        return 0;
}

ForbiddenTerms *forbidden_terms_free(ForbiddenTerms *terms) {
        if (!terms)
                return NULL;
        for (size_t i = 0; i < terms->count; i++)
                free(terms->forms[i]);
        free(terms);
        return NULL;
}

int forbidden_terms_find(const ForbiddenTerms *terms, const char *prompt, bool *ret) {
        _cleanup_free_ char *form = NULL;
        int r;

        *ret = false;
        if (terms->count == 0)
                return 0;
        r = form_of(prompt, &form);
        for (size_t i = 0; r >= 0 && i < terms->count && !*ret; i++)
                *ret = strstr(form, terms->forms[i]);
        return r;
}
