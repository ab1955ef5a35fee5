/* What servers of one's own are sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macro.h"
#include "providers/server-quirks.h"

static const GenerationRequest everything = {
        .model = "m", .prompt = "a fox", .n = 2, .size = "512x256", .width = 512, .height = 256, .quality = "hd",
        .style = "vivid", .background = "opaque", .moderation = "low", .output_format = "webp", .user = "u",
        .output_compression = 50, .stream = true,
};

static void test_each_is_sent_the_fields_that_it_knows(_unused_ void **state) {
        static const char *const bodies[_SERVER_KINDS] = {
                [SERVER_LOCALAI] = "{\"model\":\"m\",\"prompt\":\"a fox\",\"n\":2,\"size\":\"512x256\",\"quality\":\"hd\","
                                   "\"response_format\":\"b64_json\",\"user\":\"u\"}",
                [SERVER_STABLE_DIFFUSION_CPP] = "{\"model\":\"m\",\"prompt\":\"a fox\",\"n\":2,\"size\":\"512x256\","
                                                "\"output_format\":\"webp\",\"output_compression\":50}",
                [SERVER_VLLM_OMNI] = "{\"model\":\"m\",\"prompt\":\"a fox\",\"n\":2,\"size\":\"512x256\","
                                     "\"output_format\":\"webp\",\"response_format\":\"b64_json\",\"user\":\"u\"}",
                [SERVER_SGLANG] = "{\"model\":\"m\",\"prompt\":\"a fox\",\"n\":2,\"size\":\"512x256\","
                                  "\"output_format\":\"webp\",\"response_format\":\"b64_json\"}",
                [SERVER_MISTRAL_RS] = "{\"model\":\"m\",\"prompt\":\"a fox\",\"n\":2,\"width\":512,\"height\":256,"
                                      "\"response_format\":\"b64_json\"}",
        };

        for (ServerKind server = 0; server < _SERVER_KINDS; server++) {
                _cleanup_free_ char *body = NULL;

                assert_int_equal(server_quirks_format(server, &everything, &body), 0);
                assert_string_equal(body, bodies[server]);
        }
}

static void test_a_size_that_is_none_is_not_sent(_unused_ void **state) {
        const GenerationRequest request = { .model = "m", .prompt = "a", .n = 1, .size = "auto", .output_compression = -1 };
        _cleanup_free_ char *body = NULL;

        assert_int_equal(server_quirks_format(SERVER_VLLM_OMNI, &request, &body), 0);
        assert_string_equal(body, "{\"model\":\"m\",\"prompt\":\"a\",\"n\":1,\"response_format\":\"b64_json\"}");
}

#define OPEN "<sd_cpp_extra_args>"
#define CLOSE "</sd_cpp_extra_args>"

static void test_commands_are_cut_out_of_prompts(_unused_ void **state) {
        static const struct {
                ServerKind server;
                const char *prompt, *sent;
        } cases[] = {
                { SERVER_STABLE_DIFFUSION_CPP, "a fox", "a fox" },
                { SERVER_STABLE_DIFFUSION_CPP, "a " OPEN "{\"steps\":999}" CLOSE "fox", "a fox" },
                { SERVER_STABLE_DIFFUSION_CPP, "a <SD_CPP_Extra_Args>{}</sd_cpp_EXTRA_args> fox", "a  fox" },
                { SERVER_STABLE_DIFFUSION_CPP, OPEN "1" CLOSE "a" OPEN "2" CLOSE "b", "ab" },
                { SERVER_STABLE_DIFFUSION_CPP, "a " OPEN "{}", "a " },
                { SERVER_STABLE_DIFFUSION_CPP, "a " CLOSE " fox", "a  fox" },
                { SERVER_STABLE_DIFFUSION_CPP, "<sd_cpp_" OPEN "1" CLOSE "extra_args>{\"steps\":9}" CLOSE "fox", "fox" },
                { SERVER_STABLE_DIFFUSION_CPP, CLOSE OPEN, "" },
                { SERVER_STABLE_DIFFUSION_CPP, OPEN "1" OPEN "2" CLOSE "fox" CLOSE, "fox" },
                { SERVER_STABLE_DIFFUSION_CPP, "a</sd_cpp_" CLOSE "extra_args>b", "ab" },
                { SERVER_STABLE_DIFFUSION_CPP, "a|b", "a|b" },
                { SERVER_LOCALAI, "a fox|no hens", "a fox,no hens" },
                { SERVER_LOCALAI, "||", ",," },
                { SERVER_LOCALAI, OPEN "1" CLOSE, OPEN "1" CLOSE },
                { SERVER_SGLANG, "a|b", "a|b" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_free_ char *sent = server_quirks_clean_prompt(cases[i].server, cases[i].prompt);

                assert_string_equal(sent, cases[i].sent);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_is_sent_the_fields_that_it_knows),
                cmocka_unit_test(test_a_size_that_is_none_is_not_sent),
                cmocka_unit_test(test_commands_are_cut_out_of_prompts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
