/* What images cost: exact sums, ceilings for what is open, and no price where none is written. */
#include "conf-folder.h"
#include "conf/model-terms.h"
#include "conf/settings.h"
#include "money/price-book.h"

#define SHIPPED "etc"

#define PROVIDERS "providers = ( { name = \"box\"; base_url = \"http://127.0.0.1:1\"; }, " \
                  "{ name = \"free\"; kind = \"sandbox\"; } );\n"

static usec_t day(const char *text) {
        usec_t time;

        assert_int_equal(time_parse_day(text, &time), 0);
        return time;
}

static PriceBook *open_book(ConfFolder *folder, const char *path) {
        ConfSources sources = { path, folder->environment };
        _cleanup_(settings_freep) Settings *settings = NULL;
        Buffer errors = BUFFER_INIT(0);
        PriceBook *book;

        if (settings_load(&settings, &sources, &errors) != 0)
                fail_msg("refused:\n%.*s", (int) errors.size, (const char *) errors.data);
        buffer_done(&errors);
        assert_int_equal(price_book_new(&book, settings), 0);
        return book;
}

/* One entry for model m of box. */
static PriceBook *book_of(ConfFolder *folder, const char *per_image, const char *per_million_tokens) {
        _cleanup_free_ char *text = text_format(PROVIDERS "prices = ( { name = \"m\"; provider = \"box\"; model = \"m\"; "
                                                "per_image = [ %s ]; per_million_tokens = [ %s ]; } );\n", per_image,
                                                per_million_tokens);

        folder_write(folder, "prices.conf", text);
        return open_book(folder, folder->path);
}

static PricedRequest request_for(const char *size, const char *quality, uint64_t n) {
        return (PricedRequest) { .provider = "box", .model = "m", .size = size, .quality = quality, .n = n };
}

static micros_t quote(const PriceBook *book, PricedRequest request, usec_t now) {
        Buffer reason = BUFFER_INIT(0);
        micros_t cost = -1;

        if (price_book_quote(book, &request, now, &cost, &reason) != 0)
                fail_msg("no quote: %.*s", (int) reason.size, (const char *) reason.data);
        buffer_done(&reason);
        return cost;
}

static void assert_missing(const PriceBook *book, PricedRequest request, usec_t now, const char *why) {
        Buffer reason = BUFFER_INIT(0);
        _cleanup_free_ char *text = NULL;
        micros_t cost = -1;

        assert_int_equal(price_book_quote(book, &request, now, &cost, &reason), PRICE_MISSING);
        assert_int_equal(cost, -1);
        text = buffer_take_text(&reason);
        if (!strstr(text, why))
                fail_msg("expected \"%s\" in: %s", why, text);
}

static void test_size_and_quality_choose_the_line(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"1024x1024 low $0.006\", \"1024x1024 high $0.211\", \"1536x1024 high $0.165\"", "");

        assert_int_equal(quote(book, request_for("1024x1024", "low", 1), 0), 6000);
        assert_int_equal(quote(book, request_for("1024x1024", "high", 1), 0), 211000);
        assert_int_equal(quote(book, request_for("1536x1024", "high", 1), 0), 165000);
        assert_int_equal(quote(book, request_for("1536x1024", "high", 10), 0), 1650000);
        assert_missing(book, request_for("1536x1024", "low", 1), 0, "expected a line \"1536x1024 low $AMOUNT\"");
        assert_missing(book, request_for("1024x1536", "high", 1), 0, "1024x1536 high");
}

static void test_auto_is_the_dearest(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"1024x1024 low $0.006\", \"1024x1024 high $0.211\", \"1536x1024 high $0.3\"", "");

        assert_int_equal(quote(book, request_for(NULL, NULL, 1), 0), 300000);
        assert_int_equal(quote(book, request_for("auto", "auto", 2), 0), 600000);
        assert_int_equal(quote(book, request_for("1024x1024", "auto", 1), 0), 211000);
        assert_int_equal(quote(book, request_for("auto", "low", 1), 0), 6000);
}

/* What "*" says hides nothing dearer that a size or quality of its own may cost. */
static void test_auto_is_the_dearest_beside_every_other(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"1024x1024 * $5\", \"* medium $1\", \"* high $2\", \"512x512 high $7\"", "");

        assert_int_equal(quote(book, request_for("1024x1024", "medium", 1), 0), 5000000);
        assert_int_equal(quote(book, request_for(NULL, "medium", 1), 0), 5000000);
        assert_int_equal(quote(book, request_for("1536x1024", NULL, 1), 0), 2000000);
        assert_int_equal(quote(book, request_for("512x512", NULL, 1), 0), 7000000);
        assert_int_equal(quote(book, request_for(NULL, NULL, 1), 0), 7000000);
}

static void test_lines_of_auto_and_of_every_other(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"auto * $0.05\", \"512x512 * $0.01\", \"* high $0.9\", \"* auto $0.4\"", "");

        assert_int_equal(quote(book, request_for(NULL, "high", 1), 0), 50000);      /* its size has a line of its own */
        assert_int_equal(quote(book, request_for("512x512", "high", 1), 0), 10000);
        assert_int_equal(quote(book, request_for("2048x2048", "high", 1), 0), 900000);
        assert_int_equal(quote(book, request_for("2048x2048", NULL, 1), 0), 400000);
        assert_missing(book, request_for("2048x2048", "low", 1), 0, "2048x2048 low");
}

static void test_a_sum_is_rounded_up_once(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"* * $0.04\"", "\"text_input $5\", \"image_output $30\"");
        PricedRequest request = request_for("64x64", "low", 1);

        request.prompt_bytes = 1;                                             /* 5 micros a token */
        assert_int_equal(quote(book, request, 0), 40005);
        request.partial_images = 3;                                           /* 300 tokens of 30 micros */
        assert_int_equal(quote(book, request, 0), 40005 + 9000);
        request.n = 2;
        assert_int_equal(quote(book, request, 0), 80005 + 18000);
}

static void test_images_that_come_along_are_reserved_at_their_most(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(*state, "\"* * $0.01\"", "\"image_input $8\"");
        _cleanup_(price_book_freep) PriceBook *per_image = NULL;
        PricedRequest request = request_for("auto", "auto", 2);

        assert_int_equal(quote(book, request, 0), 20000);
        request.input_images = 2;                                             /* of 8192 tokens of 8 micros */
        assert_int_equal(quote(book, request, 0), 20000 + 131072);
        per_image = book_of(*state, "\"* * $0.01\"", "");
        assert_int_equal(quote(per_image, request, 0), 20000);
}

static void test_fractions_of_micros(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"* * $0\"", "\"text_input $0.4\", \"image_output $0.000001\"");
        PricedRequest request = request_for(NULL, NULL, 1);
        TokenUsage usage = { { [TOKEN_TEXT_INPUT] = 1, [TOKEN_IMAGE_OUTPUT] = 1 } };
        micros_t cost;

        request.prompt_bytes = 5;                                             /* exactly 2 */
        assert_int_equal(quote(book, request, 0), 2);
        request.prompt_bytes = 6;                                             /* 2.4 */
        assert_int_equal(quote(book, request, 0), 3);
        assert_int_equal(price_book_settle(book, &request, &usage, 0, &cost, NULL), 0);
        assert_int_equal(cost, 1);                                            /* 0.400001, not 1 + 1 */
        usage.tokens[TOKEN_TEXT_INPUT] = 5;
        usage.tokens[TOKEN_IMAGE_OUTPUT] = 0;
        assert_int_equal(price_book_settle(book, &request, &usage, 0, &cost, NULL), 0);
        assert_int_equal(cost, 2);
}

/* Without a count it is the ceiling: the prompt may have cost as much. */
static void test_settled_by_tokens_else_by_images(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"* * $0.04\"", "\"text_input $5\", \"image_output $30\"");
        PricedRequest request = request_for(NULL, NULL, 3);
        TokenUsage usage = { { [TOKEN_TEXT_INPUT] = 10, [TOKEN_IMAGE_OUTPUT] = 1056 } };
        micros_t cost;

        request.prompt_bytes = 1000;
        assert_int_equal(price_book_settle(book, &request, &usage, 0, &cost, NULL), 0);
        assert_int_equal(cost, 10 * 5 + 1056 * 30);
        assert_int_equal(price_book_settle(book, &request, NULL, 0, &cost, NULL), 0);
        assert_int_equal(cost, 120000 + 1000 * 5);
        usage.tokens[TOKEN_IMAGE_INPUT] = 1;                                  /* a kind without a price */
        assert_int_equal(price_book_settle(book, &request, &usage, 0, &cost, NULL), 0);
        assert_int_equal(cost, 120000 + 1000 * 5);
}

static void test_items_say_what_a_sum_is_made_of(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(
                *state, "\"* * $0.04\", \"64x64 * $0.03\"", "\"text_input $5\", \"image_output $30\"");
        PricedRequest request = request_for("64x64", "low", 3);
        TokenUsage usage = { { [TOKEN_TEXT_INPUT] = 10, [TOKEN_IMAGE_OUTPUT] = 1056 } };
        PriceItem items[PRICE_ITEMS_MAX];
        size_t n;

        request.prompt_bytes = 7;
        assert_int_equal(price_book_itemise(book, &request, NULL, 0, items, &n, NULL), 0);
        assert_int_equal(n, 2);
        assert_string_equal(items[0].what, "image");
        assert_string_equal(items[0].size, "64x64");
        assert_string_equal(items[0].quality, "*");
        assert_int_equal(items[0].count, 3);
        assert_int_equal(items[0].amount, 30000);
        assert_int_equal(items[0].per, 1);
        assert_string_equal(items[1].what, "text_input");
        assert_int_equal(items[1].count, 7);

        assert_int_equal(price_book_itemise(book, &request, &usage, 0, items, &n, NULL), 0);
        assert_int_equal(n, 2);
        assert_string_equal(items[1].what, "image_output");
        assert_string_equal(items[1].size, "");
        assert_int_equal(items[1].count, 1056);
        assert_int_equal(items[1].amount, 30000000);
        assert_int_equal(items[1].per, 1000000);
}

#define DATED(name, from, amount) "{ name = \"" name "\"; provider = \"box\"; model = \"m\"; from = \"" from "\"; " \
                                  "per_image = [ \"* * " amount "\" ]; }"

static void test_the_newest_that_has_begun(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = NULL;

        folder_write(*state, "prices.conf", PROVIDERS "prices = (" DATED("b", "2026-12-01", "$0.03") ", "
                     DATED("a", "2026-04-21", "$0.05") ", " DATED("c", "2027-01-01", "$0.02") " );");
        book = open_book(*state, ((ConfFolder *) *state)->path);
        assert_missing(book, request_for(NULL, NULL, 1), day("2026-04-21") - 1, "expected an entry");
        assert_int_equal(quote(book, request_for(NULL, NULL, 1), day("2026-04-21")), 50000);
        assert_int_equal(quote(book, request_for(NULL, NULL, 1), day("2026-12-01") - 1), 50000);
        assert_int_equal(quote(book, request_for(NULL, NULL, 1), day("2026-12-01")), 30000);
        assert_int_equal(quote(book, request_for(NULL, NULL, 1), day("2030-01-01")), 20000);
}

static void test_only_a_sandbox_is_free(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(*state, "\"* * $0.04\"", "");
        PricedRequest request = request_for(NULL, NULL, 10);

        request.model = "other";
        assert_missing(book, request, 0, "no price for other of box");
        request.provider = "nobody";
        assert_missing(book, request, 0, "no price for other of nobody");
        request.provider = "free";
        assert_int_equal(quote(book, request, 0), 0);
}

static void test_a_sandbox_may_pretend(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = NULL;
        PricedRequest request = request_for(NULL, NULL, 1);

        folder_write(*state, "prices.conf", PROVIDERS "prices = ( { name = \"p\"; provider = \"free\"; model = \"m\"; "
                     "per_image = [ \"* * $0.04\" ]; } );");
        book = open_book(*state, ((ConfFolder *) *state)->path);
        request.provider = "free";
        assert_int_equal(quote(book, request, 0), 40000);
}

static void test_tokens_alone_bound_nothing(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(*state, "", "\"image_output $30\"");

        assert_missing(book, request_for(NULL, NULL, 1), 0, "expected a line \"auto auto $AMOUNT\"");
}

static void test_amounts_beyond_all_measure(void **state) {
        _cleanup_(price_book_freep) PriceBook *book = book_of(*state, "\"* * $1000000000\"", "\"text_input $1000000000\"");
        PricedRequest request = request_for(NULL, NULL, 1);
        Buffer reason = BUFFER_INIT(0);
        micros_t cost = -1;

        assert_int_equal(quote(book, request, 0), MICROS_MAX);
        request.n = 2;
        assert_int_equal(price_book_quote(book, &request, 0, &cost, &reason), -ERANGE);
        request.n = UINT64_MAX;
        request.prompt_bytes = UINT64_MAX;
        assert_int_equal(price_book_quote(book, &request, 0, &cost, &reason), -ERANGE);
        request.partial_images = 1;
        assert_int_equal(price_book_quote(book, &request, 0, &cost, &reason), -ERANGE);
        assert_int_equal(cost, -1);
}

/* Whatever the shipped models take has a price as shipped, but for the qualities that no price is known of. */
static void test_as_shipped_every_model_has_a_price(void **state) {
        ConfSources sources = { SHIPPED, ((ConfFolder *) *state)->environment };
        _cleanup_(price_book_freep) PriceBook *book = open_book(*state, SHIPPED);
        _cleanup_(settings_freep) Settings *settings = NULL;
        Buffer errors = BUFFER_INIT(0);

        assert_int_equal(settings_load(&settings, &sources, &errors), 0);
        for (size_t i = 0; i < settings->common.models.count; i++) {
                const ModelConf *model = settings->common.models.items[i];

                for (char **size = model->sizes; size && *size; size++)
                        for (char **quality = model->qualities; quality && *quality; quality++) {
                                PricedRequest request = {
                                        .provider = model->provider, .model = model->provider_model,
                                        .size = alias_size(model, *size), .n = 1,
                                        .quality = alias_quality(model, *quality),
                                };

                                if (text_equal(*quality, "xhigh") || text_equal(*quality, "max"))
                                        assert_missing(book, request, day("2026-11-22"), *quality);
                                else
                                        assert_true(quote(book, request, day("2026-11-22")) >= 0);
                        }
        }
}

#define BOOK_TEST(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                BOOK_TEST(test_size_and_quality_choose_the_line),
                BOOK_TEST(test_auto_is_the_dearest),
                BOOK_TEST(test_auto_is_the_dearest_beside_every_other),
                BOOK_TEST(test_lines_of_auto_and_of_every_other),
                BOOK_TEST(test_a_sum_is_rounded_up_once),
                BOOK_TEST(test_images_that_come_along_are_reserved_at_their_most),
                BOOK_TEST(test_fractions_of_micros),
                BOOK_TEST(test_settled_by_tokens_else_by_images),
                BOOK_TEST(test_items_say_what_a_sum_is_made_of),
                BOOK_TEST(test_the_newest_that_has_begun),
                BOOK_TEST(test_only_a_sandbox_is_free),
                BOOK_TEST(test_a_sandbox_may_pretend),
                BOOK_TEST(test_tokens_alone_bound_nothing),
                BOOK_TEST(test_amounts_beyond_all_measure),
                BOOK_TEST(test_as_shipped_every_model_has_a_price),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
