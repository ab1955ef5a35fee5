/* Terms that may stand in no prompt (worker.forbidden_terms). Pure.
 *
 * A term is one word or several. It is found where the same words follow each other, whatever stands between them: blanks, line
 * breaks, hyphens. Words are compared after compatibility decomposition and full case folding (Unicode 5.18, UAX 15:
 * "Straße" is "STRASSE", "ｈａｃｋ" is "hack"), without characters that are not to be seen (zero-width space, soft hyphen).
 * A word is a run of letters, marks and digits, so that "hack" is in "hack-proof" and in "HACK's", and not in "hackathon".
 * Where a script is written without blanks (Han, Hiragana, Katakana, Thai, Lao, Khmer, Burmese) each character is a word:
 * there a term is found wherever its characters follow each other. */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "conf/settings.h"

typedef struct ForbiddenTerms ForbiddenTerms;

/* -EINVAL with a line in `errors` for a term without a letter or digit. */
int forbidden_terms_new(ForbiddenTerms **ret, const Settings *settings, Buffer *errors);
ForbiddenTerms *forbidden_terms_free(ForbiddenTerms *terms);
DEFINE_CLEANUP(ForbiddenTerms *, forbidden_terms_free);

/* Whether one of them stands in the prompt, which is valid UTF-8. -ENOMEM. */
int forbidden_terms_find(const ForbiddenTerms *terms, const char *prompt, bool *ret);
