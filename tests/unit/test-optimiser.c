/* What the optimiser proposes, by prompts and by pressure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/image-size.h"
#include "base/macro.h"
#include "money/optimiser.h"

#define QUALITY_FROM 700000
#define SIZE_FROM 850000

static char *all_qualities[] = { (char *) "low", (char *) "medium", (char *) "high", (char *) "auto", NULL };
static char *old_qualities[] = { (char *) "standard", (char *) "hd", NULL };
static char *all_sizes[] = { (char *) "1024x1024", (char *) "1536x1024", (char *) "1024x1536", (char *) "auto", NULL };
static const ModelConf model = { .sizes = all_sizes, .qualities = all_qualities };

static Proposal propose(const ModelConf *of, const char *prompt, const char *quality, const char *size, int64_t gone) {
        GenerationRequest request = { .prompt = prompt, .quality = quality, .size = size };
        Proposal proposal;

        if (size)
                (void) image_size_parse(size, &request.width, &request.height);
        optimiser_propose(of, &request, gone, QUALITY_FROM, SIZE_FROM, &proposal);
        return proposal;
}

static void assert_text(const char *wanted, const char *got) {
        if (wanted && got)
                assert_string_equal(wanted, got);
        else
                assert_true(wanted == got);
}

static void assert_proposal(Proposal got, const char *quality, const char *size) {
        assert_text(quality, got.quality);
        assert_text(size, got.size);
}

static void test_words_are_found_at_the_beginning_of_words(_unused_ void **state) {
        static const char *const words[] = { "schema", "illustration pedagogique", NULL };
        static const struct {
                const char *text;
                bool found;
        } cases[] = {
                { "schema", true },
                { "a schema of a pump", true },
                { "SCHEMAS", true },
                { "un sch\xC3\xA9ma", true },                     /* é */
                { "un sche\xCC\x81ma", true },                    /* e and an accent behind it */
                { "UN SCH\xC3\x89MA", true },                     /* É */
                { "(sch\xC3\xA9ma)", true },
                { "\xC2\xABsch\xC3\xA9ma\xC2\xBB", true },        /* in guillemets */
                { "pump\xE2\x80\x94schema", true },               /* behind a dash */
                { "illustration p\xC3\xA9" "dagogique", true },
                { "illustration", false },
                { "subschema", false },
                { "\xC5\x93schema", false },                      /* œ is a letter */
                { "schem", false },
                { "", false },
                { "\xCC", false },                                /* cut off in a letter */
                { "\xE2\x80", false },
                { "\xC3", false },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (optimiser_text_has(cases[i].text, words) != cases[i].found)
                        fail_msg("\"%s\": expected %d", cases[i].text, cases[i].found);
}

static void test_what_explains_does_at_the_lower_quality(_unused_ void **state) {
        const ModelConf old = { .sizes = all_sizes, .qualities = old_qualities };

        assert_proposal(propose(&model, "a diagram of a pump", "high", "1024x1024", 0), "medium", NULL);
        assert_proposal(propose(&old, "un diagramme", "hd", "1024x1024", 0), "standard", NULL);
        assert_int_equal(propose(&old, "un diagramme", "hd", "1024x1024", 0).quality_rule, OPTIMISER_PROMPT);
        assert_proposal(propose(&model, "a fox", "high", "1024x1024", 0), NULL, NULL);
        assert_proposal(propose(&model, "a diagram", "medium", "1024x1024", 0), NULL, NULL);
        assert_proposal(propose(&model, "a diagram", NULL, "1024x1024", 0), NULL, NULL);
}

static void test_what_needs_no_shape_is_square(_unused_ void **state) {
        assert_proposal(propose(&model, "a fox", "low", "1536x1024", 0), NULL, "1024x1024");
        assert_int_equal(propose(&model, "a fox", "low", "1536x1024", 0).size_rule, OPTIMISER_PROMPT);
        assert_proposal(propose(&model, "a fox", "low", "1024x1536", 0), NULL, "1024x1024");
        assert_proposal(propose(&model, "un paysage", "low", "1536x1024", 0), NULL, NULL);
        assert_proposal(propose(&model, "Portrait of a fox", "low", "1024x1536", 0), NULL, NULL);
        assert_proposal(propose(&model, "a fox", "low", "1024x1024", 0), NULL, NULL);
        assert_proposal(propose(&model, "a fox", "low", "auto", 0), NULL, NULL);
        assert_proposal(propose(&model, "a fox", "low", NULL, 0), NULL, NULL);
}

static void test_pressure_lowers_quality_and_then_size(_unused_ void **state) {
        assert_proposal(propose(&model, "a landscape", "high", "1536x1024", QUALITY_FROM - 1), NULL, NULL);
        assert_proposal(propose(&model, "a landscape", "high", "1536x1024", QUALITY_FROM), "medium", NULL);
        assert_proposal(propose(&model, "a landscape", "high", "1536x1024", SIZE_FROM - 1), "medium", NULL);
        assert_proposal(propose(&model, "a landscape", "high", "1536x1024", SIZE_FROM), "medium", "1024x1024");
        assert_int_equal(propose(&model, "a landscape", "high", "1536x1024", SIZE_FROM).size_rule, OPTIMISER_PRESSURE);
}

static void test_pressure_goes_one_step_and_no_further(_unused_ void **state) {
        assert_proposal(propose(&model, "a fox", "medium", "1024x1024", QUALITY_FROM), "low", NULL);
        assert_proposal(propose(&model, "a fox", NULL, "1024x1024", QUALITY_FROM), "medium", NULL);
        assert_proposal(propose(&model, "a fox", "auto", "auto", SIZE_FROM), "medium", "1024x1024");
        assert_proposal(propose(&model, "a fox", "low", "1024x1024", MICROS_PER_DOLLAR), NULL, NULL);
        assert_proposal(propose(&model, "a diagram", "high", "1024x1024", QUALITY_FROM), "medium", NULL);
}

static void test_only_what_the_model_takes_is_proposed(_unused_ void **state) {
        char *wide[] = { (char *) "1536x1024", NULL }, *best[] = { (char *) "high", NULL };
        const ModelConf narrow = { .sizes = wide, .qualities = best };

        assert_proposal(propose(&narrow, "a diagram", "high", "1536x1024", MICROS_PER_DOLLAR), NULL, NULL);
        assert_int_equal(propose(&narrow, "a diagram", "high", "1536x1024", 0).quality_rule, OPTIMISER_NONE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words_are_found_at_the_beginning_of_words),
                cmocka_unit_test(test_what_explains_does_at_the_lower_quality),
                cmocka_unit_test(test_what_needs_no_shape_is_square),
                cmocka_unit_test(test_pressure_lowers_quality_and_then_size),
                cmocka_unit_test(test_pressure_goes_one_step_and_no_further),
                cmocka_unit_test(test_only_what_the_model_takes_is_proposed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
