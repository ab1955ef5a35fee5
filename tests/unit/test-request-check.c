/* What a model takes: each rule at its limit and one past it, and what the refusal says. */
#include "conf-folder.h"

#include "request-check.h"

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
        "    images_max = 100; takes_response_format = true; } );\n"
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
        r = request_check(fixture->settings, request, &model, &fixture->failure);
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
        check_all(fixture, GOOD(FREE(", \"output_compression\": 0"), FREE(", \"output_compression\": 100")),
                  BAD(PLAIN(", \"output_compression\": 50"), FREE(", \"output_compression\": 101"),
                      FREE(", \"output_compression\": -1")), "output_compression");
        check_all(fixture, GOOD(PLAIN(", \"response_format\": \"b64_json\""), PLAIN(", \"response_format\": \"url\"")),
                  BAD(PLAIN(", \"response_format\": \"uri\"")), "response_format");
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
                TEST(streams),
                TEST(user),
                TEST(generation_has_the_providers_terms),
                TEST(answer_is_as_asked_or_as_the_model_has_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
