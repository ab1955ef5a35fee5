/* What a model takes: each rule at its limit and one past it, and what the refusal says. */
#include "conf-folder.h"

#include "queue/request-check.h"
#include "queue/request-translate.h"

/* 2026-12-01 in UTC. */
#define NOW (INT64_C(1796083200) * USEC_PER_SEC)

static const char configuration[] =
        "providers = (\n"
        "  { name = \"box\"; kind = \"sandbox\"; },\n"
        "  { name = \"ai\"; kind = \"openai\"; base_url = \"http://127.0.0.1:1/v1\"; key = \"env:KEY\"; } );\n"
        "models = (\n"
        "  { name = \"plain\"; provider = \"box\"; sizes = [ \"auto\", \"64x64\" ]; qualities = [ \"low\" ];\n"
        "    prompt_max = 4; images_max = 3; answer = \"url\"; },\n"
        "  { name = \"free\"; provider = \"ai\"; provider_model = \"theirs\"; sizes = [ \"auto\" ];\n"
        "    free_sizes = true; edge_multiple = 16; edge_min = 32; edge_max = 256; pixels_min = 2048;\n"
        "    pixels_max = 32768; ratio_max = 4;\n"
        "    formats = [ \"png\", \"webp\" ]; gpt_fields = true; streams = true; style = true;\n"
        "    default_size = \"auto\";\n"
        "    images_max = 100; takes_response_format = true; },\n"
        "  { name = \"jpeg\"; provider = \"ai\"; sizes = [ \"auto\" ]; formats = [ \"jpeg\" ]; gpt_fields = true; },\n"
        "  { name = \"old\"; alias_of = \"theirs\"; sizes = [ \"8x8\", \"16x16\" ];\n"
        "    translated_sizes = [ \"8x8 16x16\" ]; qualities = [ \"standard\", \"hd\" ];\n"
        "    translated_qualities = [ \"standard low\", \"hd high\" ]; default_quality = \"standard\";\n"
        "    style = true; answer = \"url\"; prompt_max = 4; images_max = 1; },\n"
        "  { name = \"theirs\"; provider = \"ai\"; provider_model = \"theirs-1\"; sizes = [ \"auto\", \"16x16\" ];\n"
        "    qualities = [ \"low\", \"high\" ]; },\n"
        "  { name = \"gone\"; provider = \"box\"; sizes = [ \"auto\" ]; shutdown_date = \"2026-12-01\";\n"
        "    replaced_by = \"plain\"; },\n"
        "  { name = \"lost\"; alias_of = \"gone\"; sizes = [ \"auto\" ]; },\n"
        "  { name = \"going\"; provider = \"box\"; sizes = [ \"auto\" ]; shutdown_date = \"2026-12-02\"; } );\n"
        "worker = { default_model = \"plain\"; images_per_request_max = 100; };\n";

typedef struct Fixture {
        ConfFolder *folder;
        Settings *settings;
        Failure failure;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));
        _cleanup_(buffer_done) Buffer errors = {};
        ConfSources sources;

        assert_int_equal(folder_setup((void **) &fixture->folder), 0);
        folder_write(fixture->folder, "atelier.conf", configuration);
        folder_set(fixture->folder, "KEY=secret");
        sources = folder_sources(fixture->folder);
        assert_int_equal(settings_load(&fixture->settings, &sources, &errors), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        void *folder = fixture->folder;

        failure_done(&fixture->failure);
        (void) settings_free(fixture->settings);
        (void) folder_teardown(&folder);
        free(fixture);
        return 0;
}

static JsonValue *parse(const char *text) {
        JsonValue *value = NULL;

        assert_int_equal(json_parse(text, strlen(text), &value, NULL), 0);
        return value;
}

/* NULL when the request is good, or the name of the member that is refused. */
static const char *check(Fixture *fixture, const char *text) {
        _cleanup_(json_freep) JsonValue *request = parse(text);
        const ModelConf *model = NULL;
        int r;

        failure_done(&fixture->failure);
        r = request_check(fixture->settings, request, NOW, &model, &fixture->failure);
        if (r == 0) {
                assert_non_null(model);
                return NULL;
        }
        assert_int_equal(r, REQUEST_INVALID);
        assert_string_equal(fixture->failure.type, "invalid_request_error");
        assert_non_null(fixture->failure.message);
        return fixture->failure.param;
}

#define PLAIN(members) "{\"model\": \"plain\", \"prompt\": \"a\"" members "}"
#define FREE(members) "{\"model\": \"free\", \"prompt\": \"a\"" members "}"
#define WEBP(members) FREE(", \"output_format\": \"webp\"" members)
#define JPEG(members) "{\"model\": \"jpeg\", \"prompt\": \"a\", \"output_format\": \"jpeg\"" members "}"
#define SIZE(size) FREE(", \"size\": \"" size "\"")

static void check_all(Fixture *fixture, const char *const *good, const char *const *bad, const char *param) {
        for (; *good; good++)
                assert_null(check(fixture, *good));
        for (; *bad; bad++) {
                const char *refused = check(fixture, *bad);

                if (!refused)
                        fail_msg("taken: %s", *bad);
                assert_string_equal(refused, param);
        }
}

#define GOOD(...) (const char *const[]) { __VA_ARGS__, NULL }
#define BAD(...) (const char *const[]) { __VA_ARGS__, NULL }

static void test_prompt(void **state) {
        check_all(*state, GOOD("{\"prompt\": \"abcd\"}", "{\"prompt\": \"äöüß\"}", "{\"prompt\": \"a\"}"),
                  BAD("{}", "{\"prompt\": \"\"}", "{\"prompt\": \"abcde\"}", "{\"prompt\": \"äöüßx\"}"), "prompt");
}

static void test_model(void **state) {
        Fixture *fixture = *state;

        check_all(fixture, GOOD(PLAIN(""), FREE(""), "{\"prompt\": \"a\"}"),
                  BAD("{\"model\": \"none\", \"prompt\": \"a\"}", "{\"model\": \"\", \"prompt\": \"a\"}"), "model");
        assert_int_equal(fixture->failure.status, 404);
        assert_string_equal(fixture->failure.code, "model_not_found");
}

/* The model's limit, and what one attempt can carry where the configuration allows more. */
static void test_number_of_images(void **state) {
        check_all(*state, GOOD(PLAIN(", \"n\": 1"), PLAIN(", \"n\": 3"), FREE(", \"n\": 10")),
                  BAD(PLAIN(", \"n\": 0"), PLAIN(", \"n\": 4"), PLAIN(", \"n\": -1"), FREE(", \"n\": 11")), "n");
}

static void test_listed_sizes(void **state) {
        Fixture *fixture = *state;

        check_all(fixture, GOOD(PLAIN(", \"size\": \"64x64\""), PLAIN(", \"size\": \"auto\"")),
                  BAD(PLAIN(", \"size\": \"64x65\""), PLAIN(", \"size\": \"\""), PLAIN(", \"size\": \"64X64\"")),
                  "size");
        assert_non_null(strstr(fixture->failure.message, "'auto' or '64x64'"));
}

static void test_free_sizes(void **state) {
        check_all(*state,
                  GOOD(SIZE("auto"), SIZE("64x32"), SIZE("256x128"), SIZE("128x32"), SIZE("32x128"), SIZE("176x176")),
                  BAD(SIZE("32x32"),      /* pixels */
                      SIZE("256x144"),    /* pixels */
                      SIZE("64x40"),      /* multiple */
                      SIZE("160x16"),     /* shortest */
                      SIZE("272x112"),    /* longest */
                      SIZE("144x32"),     /* ratio */
                      SIZE("064x32"), SIZE("64x"), SIZE("x64"), SIZE("64x32 "), SIZE("4294967360x32")), "size");
}

static void test_what_a_model_does_not_take(void **state) {
        Fixture *fixture = *state;

        check_all(fixture, GOOD(PLAIN(", \"quality\": \"low\"")), BAD(PLAIN(", \"quality\": \"hd\"")), "quality");
        check_all(fixture, GOOD(FREE(", \"style\": \"vivid\"")),
                  BAD(PLAIN(", \"style\": \"vivid\""), FREE(", \"style\": \"x\"")), "style");
        check_all(fixture, GOOD(FREE(", \"background\": \"opaque\"")),
                  BAD(PLAIN(", \"background\": \"opaque\""), FREE(", \"background\": \"x\"")), "background");
        check_all(fixture, GOOD(FREE(", \"moderation\": \"low\"")),
                  BAD(PLAIN(", \"moderation\": \"low\""), FREE(", \"moderation\": \"high\"")), "moderation");
        check_all(fixture, GOOD(FREE(", \"output_format\": \"webp\"")),
                  BAD(PLAIN(", \"output_format\": \"png\""), FREE(", \"output_format\": \"jpeg\"")), "output_format");
        check_all(fixture, GOOD(WEBP(", \"output_compression\": 0"), WEBP(", \"output_compression\": 100")),
                  BAD(PLAIN(", \"output_compression\": 50"), WEBP(", \"output_compression\": 101"),
                      WEBP(", \"output_compression\": -1")), "output_compression");
        check_all(fixture, GOOD(PLAIN(", \"response_format\": \"b64_json\""), PLAIN(", \"response_format\": \"url\"")),
                  BAD(PLAIN(", \"response_format\": \"uri\"")), "response_format");
}

/* What PNG and JPEG cannot do is refused here, before anybody is asked for it. */
static void test_fields_that_go_with_a_format(void **state) {
        check_all(*state, GOOD(FREE(", \"output_compression\": 100"), WEBP(", \"output_compression\": 99"),
                               JPEG(", \"output_compression\": 99")),
                  BAD(FREE(", \"output_compression\": 99"),
                      FREE(", \"output_format\": \"png\", \"output_compression\": 99")), "output_compression");
        check_all(*state, GOOD(FREE(", \"background\": \"transparent\""), WEBP(", \"background\": \"transparent\""),
                               JPEG(", \"background\": \"opaque\"")),
                  BAD(JPEG(", \"background\": \"transparent\"")), "background");
}

static void test_user(void **state) {
        char text[USER_BYTES_MAX + 64], user[USER_BYTES_MAX + 2];

        memset(user, 'u', sizeof(user));
        user[USER_BYTES_MAX] = 0;
        (void) snprintf(text, sizeof(text), PLAIN(", \"user\": \"%s\""), user);
        assert_null(check(*state, text));
        user[USER_BYTES_MAX] = 'u';
        user[USER_BYTES_MAX + 1] = 0;
        (void) snprintf(text, sizeof(text), PLAIN(", \"user\": \"%s\""), user);
        assert_string_equal(check(*state, text), "user");
}

static void test_generation_has_the_providers_terms(void **state) {
        Fixture *fixture = *state;
        const ModelConf *model = settings_find_model(fixture->settings, "free");
        _cleanup_(json_freep) JsonValue *full =
                parse(FREE(", \"n\": 2, \"size\": \"64x32\", \"output_compression\": 7"));
        _cleanup_(json_freep) JsonValue *bare = parse(FREE(""));
        GenerationRequest generation;

        request_to_generation(full, model, &generation);
        assert_string_equal(generation.model, "theirs");
        assert_string_equal(generation.prompt, "a");
        assert_int_equal(generation.n, 2);
        assert_int_equal(generation.width, 64);
        assert_int_equal(generation.height, 32);
        assert_int_equal(generation.output_compression, 7);
        assert_true(generation.send_response_format);

        request_to_generation(bare, model, &generation);
        assert_int_equal(generation.n, 1);
        assert_string_equal(generation.size, "auto");
        assert_int_equal(generation.width, 0);
        assert_int_equal(generation.output_compression, -1);
        assert_null(generation.quality);
}

static void test_answer_is_as_asked_or_as_the_model_has_it(void **state) {
        Fixture *fixture = *state;
        const ModelConf *plain = settings_find_model(fixture->settings, "plain");
        const ModelConf *free_model = settings_find_model(fixture->settings, "free");
        _cleanup_(json_freep) JsonValue *bare = parse(PLAIN(""));
        _cleanup_(json_freep) JsonValue *asked = parse(PLAIN(", \"response_format\": \"b64_json\""));

        assert_string_equal(request_response_format(bare, plain), "url");
        assert_string_equal(request_response_format(bare, free_model), "b64_json");
        assert_string_equal(request_response_format(asked, plain), "b64_json");
}

/* From the first second of the day on, and what to use instead. */
static void test_model_that_was_shut_down(void **state) {
        Fixture *fixture = *state;

        check_all(fixture, GOOD("{\"model\": \"going\", \"prompt\": \"a\"}"),
                  BAD("{\"model\": \"gone\", \"prompt\": \"a\"}"), "model");
        assert_int_equal(fixture->failure.status, 404);
        assert_string_equal(fixture->failure.code, "model_not_found");
        assert_string_equal(fixture->failure.message,
                            "The model 'gone' was shut down on 2026-12-01. Use 'plain' instead.");
        assert_string_equal(check(fixture, "{\"model\": \"lost\", \"prompt\": \"a\"}"), "model");
        assert_string_equal(fixture->failure.message,
                            "The model 'lost' was shut down on 2026-12-01. Use 'plain' instead.");
}

static void test_model_without_a_successor(void **state) {
        Fixture *fixture = *state;
        _cleanup_(json_freep) JsonValue *request = parse("{\"model\": \"going\", \"prompt\": \"a\"}");
        const ModelConf *model;

        assert_int_equal(request_check(fixture->settings, request, NOW + USEC_PER_DAY - 1, &model, &fixture->failure),
                         0);
        assert_int_equal(request_check(fixture->settings, request, NOW + USEC_PER_DAY, &model, &fixture->failure),
                         REQUEST_INVALID);
        assert_string_equal(fixture->failure.message,
                            "The model 'going' was shut down on 2026-12-02; GET /v1/models lists what can be used.");
}

#define OLD(members) "{\"model\": \"old\", \"prompt\": \"a\"" members "}"

/* What the model behind it takes is of no matter, nor are its words. */
static void test_alias_is_judged_in_its_own_terms(void **state) {
        Fixture *fixture = *state;

        check_all(fixture, GOOD(OLD(""), OLD(", \"size\": \"8x8\""), OLD(", \"quality\": \"hd\""),
                                OLD(", \"style\": \"natural\"")), BAD(OLD(", \"quality\": \"high\"")), "quality");
        assert_non_null(strstr(fixture->failure.message, "'standard' or 'hd'"));
        check_all(fixture, GOOD(OLD(", \"size\": \"16x16\"")), BAD(OLD(", \"size\": \"auto\"")), "size");
        check_all(fixture, GOOD(OLD(", \"n\": 1")), BAD(OLD(", \"n\": 2")), "n");
        check_all(fixture, GOOD("{\"model\": \"old\", \"prompt\": \"abcd\"}"),
                  BAD("{\"model\": \"old\", \"prompt\": \"abcde\"}"), "prompt");
        assert_non_null(strstr(fixture->failure.message, "for old, got 5"));
}

/* The request as it is sent, and what was asked, as JSON texts that the caller frees. */
static void translate(Fixture *fixture, const char *name, const char *text, char **ret_sent, char **ret_asked) {
        _cleanup_(translation_done) Translation translation = {};
        _cleanup_(json_freep) JsonValue *request = parse(text);

        assert_int_equal(request_translate(fixture->settings, request, settings_find_model(fixture->settings, name),
                                           &translation), 0);
        assert_null(translation.model->alias_of);
        *ret_sent = json_format(translation.request);
        *ret_asked = translation.asked ? json_format(translation.asked) : NULL;
}

static void test_alias_becomes_its_model(void **state) {
        _cleanup_free_ char *sent = NULL, *asked = NULL;

        translate(*state, "old", OLD(", \"n\": 1, \"size\": \"8x8\", \"quality\": \"hd\", \"style\": \"vivid\", "
                                     "\"user\": \"u\""), &sent, &asked);
        assert_string_equal(sent, "{\"prompt\":\"a\",\"n\":1,\"user\":\"u\",\"model\":\"theirs\","
                                  "\"size\":\"16x16\",\"quality\":\"high\"}");
        assert_string_equal(asked, "{\"model\":\"old\",\"size\":\"8x8\",\"quality\":\"hd\",\"style\":\"vivid\"}");
}

/* Its defaults are asked for in its terms, and what has none is left to the model. */
static void test_alias_gives_its_defaults(void **state) {
        _cleanup_free_ char *sent = NULL, *asked = NULL;

        translate(*state, "old", OLD(""), &sent, &asked);
        assert_string_equal(sent, "{\"prompt\":\"a\",\"model\":\"theirs\",\"quality\":\"low\"}");
        assert_string_equal(asked, "{\"model\":\"old\",\"quality\":\"standard\"}");
}

static void test_what_is_no_alias_stays_as_it_is(void **state) {
        _cleanup_free_ char *sent = NULL, *asked = NULL;

        translate(*state, "free", "{\"model\":\"free\",\"prompt\":\"a\",\"style\":\"vivid\"}", &sent, &asked);
        assert_string_equal(sent, "{\"model\":\"free\",\"prompt\":\"a\",\"style\":\"vivid\"}");
        assert_null(asked);
}

/* What the provider hears, and what the client is answered without response_format. */
static void test_alias_has_the_providers_terms(void **state) {
        Fixture *fixture = *state;
        const ModelConf *alias = settings_find_model(fixture->settings, "old");
        _cleanup_(translation_done) Translation translation = {};
        _cleanup_(json_freep) JsonValue *request = parse(OLD(", \"size\": \"8x8\""));
        GenerationRequest generation;

        assert_int_equal(request_translate(fixture->settings, request, alias, &translation), 0);
        request_to_generation(translation.request, translation.model, &generation);
        assert_string_equal(generation.model, "theirs-1");
        assert_int_equal(generation.width, 16);
        assert_string_equal(generation.quality, "low");
        assert_null(generation.style);
        assert_string_equal(request_response_format(request, alias), "url");
}

static void test_streams(void **state) {
        const char *const good[] = { FREE(", \"stream\": true"), FREE(", \"stream\": true, \"partial_images\": 0"),
                                     FREE(", \"stream\": true, \"partial_images\": 3, \"n\": 1"),
                                     FREE(", \"partial_images\": 0"), PLAIN(", \"stream\": false, \"n\": 3"), NULL };
        const char *const not_taken[] = { PLAIN(", \"stream\": true"), NULL };
        const char *const bad[] = { FREE(", \"stream\": true, \"partial_images\": 4"),
                                    FREE(", \"stream\": true, \"partial_images\": -1"),
                                    FREE(", \"partial_images\": 1"),
                                    FREE(", \"stream\": false, \"partial_images\": 1"), NULL };
        const char *const many[] = { FREE(", \"stream\": true, \"n\": 2"), NULL };

        check_all(*state, good, not_taken, "stream");
        check_all(*state, good, bad, "partial_images");
        check_all(*state, good, many, "n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(prompt),
                TEST(model),
                TEST(number_of_images),
                TEST(listed_sizes),
                TEST(free_sizes),
                TEST(what_a_model_does_not_take),
                TEST(fields_that_go_with_a_format),
                TEST(streams),
                TEST(user),
                TEST(generation_has_the_providers_terms),
                TEST(answer_is_as_asked_or_as_the_model_has_it),
                TEST(model_that_was_shut_down),
                TEST(model_without_a_successor),
                TEST(alias_is_judged_in_its_own_terms),
                TEST(alias_becomes_its_model),
                TEST(alias_gives_its_defaults),
                TEST(what_is_no_alias_stays_as_it_is),
                TEST(alias_has_the_providers_terms),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
