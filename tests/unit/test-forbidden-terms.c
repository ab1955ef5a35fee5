/* Terms that may stand in no prompt. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue/forbidden-terms.h"

static int build(ForbiddenTerms **ret, const char *term, Buffer *errors) {
        char *terms[] = { (char *) term, NULL };
        Settings settings = { .worker.forbidden_terms = terms };

        return forbidden_terms_new(ret, &settings, errors);
}

static void test_whole_words_in_whatever_case(void **state) {
        static const struct {
                const char *term, *prompt;
                bool found;
        } cases[] = {
                { "hack", "hack", true },
                { "hack", "please HACK it", true },
                { "Hack", "(hack)!", true },
                { "hack", "a hackathon", false },
                { "hack", "shack", false },
                { "hack", "hack-proof", true },
                { "hack", "the hack's end", true },
                { "hack", "h a c k", false },
                { "hack", "hack1", false },
                { "hack", "1 hack 1", true },
                { "hack", "", false },
                /* what is not to be seen, and other forms of the same letters */
                { "hack", "ha\xe2\x80\x8b" "ck", true },          /* zero-width space */
                { "hack", "ha\xc2\xad" "ck", true },              /* soft hyphen */
                { "hack", "\xef\xbd\x88\xef\xbd\x81\xef\xbd\x83\xef\xbd\x8b", true },   /* full width */
                { "stra\xc3\x9f" "e", "EINE STRASSE", true },
                { "STRASSE", "stra\xc3\x9f" "e", true },
                { "caf\xc3\xa9", "un cafe\xcc\x81", true },       /* composed and decomposed */
                { "caf\xc3\xa9", "un cafe", false },
                { "\xce\xa3\xce\x99\xce\xa3", "\xcf\x83\xce\xb9\xcf\x82", true },   /* final sigma */
                { "file", "\xef\xac\x81le", true },               /* ligature */
                { "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d!", true },   /* right to left */
                /* several words */
                { "hate speech", "hate speech", true },
                { "hate speech", "some HATE\n  speech here", true },
                { "hate speech", "hate-speech", true },
                { "hate speech", "hate of speech", false },
                { "hate speech", "speech hate", false },
                { "hate speech", "hate speeches", false },
                /* scripts without blanks */
                { "\xe7\x82\xb8\xe5\xbc\xbe", "\xe3\x81\x93\xe3\x81\xae\xe7\x82\xb8\xe5\xbc\xbe\xe3\x82\x92", true },
                { "\xe7\x82\xb8\xe5\xbc\xbe", "\xe7\x82\xb8 \xe5\xbc\xbe", true },
                { "\xe7\x82\xb8\xe5\xbc\xbe", "\xe5\xbc\xbe\xe7\x82\xb8", false },
                { "\xe7\x82\xb8", "\xe7\x82\xb8x", true },
                { "x", "\xe7\x82\xb8x\xe7\x82\xb8", true },
                { "\xe3\x81\x8c", "\xe3\x81\x8b\xe3\x82\x99", true },   /* a mark of its own */
                { "\xe3\x81\x8b", "\xe3\x81\x8c", false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(forbidden_terms_freep) ForbiddenTerms *terms = NULL;
                bool found;

                assert_int_equal(build(&terms, cases[i].term, NULL), 0);
                assert_int_equal(forbidden_terms_find(terms, cases[i].prompt, &found), 0);
                if (found != cases[i].found)
                        fail_msg("'%s' is %sfound in '%s'", cases[i].term, found ? "" : "not ", cases[i].prompt);
        }
}

static void test_any_of_several(void **state) {
        char *texts[] = { (char *) "hack", (char *) "exploit", (char *) "inject", NULL };
        Settings settings = { .worker.forbidden_terms = texts };
        _cleanup_(forbidden_terms_freep) ForbiddenTerms *terms = NULL, *none = NULL;
        bool found;

        (void) state;
        assert_int_equal(forbidden_terms_new(&terms, &settings, NULL), 0);
        assert_int_equal(forbidden_terms_find(terms, "do not inject", &found), 0);
        assert_true(found);
        assert_int_equal(forbidden_terms_find(terms, "a lighthouse", &found), 0);
        assert_false(found);
        assert_int_equal(forbidden_terms_new(&none, &(Settings) {}, NULL), 0);
        assert_int_equal(forbidden_terms_find(none, "hack", &found), 0);
        assert_false(found);
}

static void test_terms_without_a_word_are_refused(void **state) {
        static const char *const bad[] = { " ", "!?", "\xe2\x86\x92", "\xe2\x80\x8b" };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_(buffer_done) Buffer errors = {};
                ForbiddenTerms *terms = NULL;

                assert_int_equal(build(&terms, bad[i], &errors), -EINVAL);
                assert_null(terms);
                assert_non_null(memmem(errors.data, errors.size, "expected words", strlen("expected words")));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_words_in_whatever_case),
                cmocka_unit_test(test_any_of_several),
                cmocka_unit_test(test_terms_without_a_word_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
