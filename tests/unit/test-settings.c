/* The settings themselves: defaults, presets, the shipped files, what must fit together, the manual. */
#include "conf-folder.h"

#include <syslog.h>

#include "base/file.h"
#include "conf/model-terms.h"
#include "conf/settings-tables.h"
#include "conf/settings.h"

/* Tests run in the top folder of the source. */
#define SHIPPED "etc"
#define MANUAL "docs/configuration.md"
#define MANUAL_BEGIN "<!-- begin settings -->\n"
#define MANUAL_END "\n<!-- end settings -->\n"
#define MANUAL_BYTES_MAX (1024 * 1024)

static Settings *load_from(ConfFolder *folder, const char *path) {
        ConfSources sources = { path, folder->environment };
        Buffer errors = BUFFER_INIT(0);
        Settings *settings = NULL;
        int r;

        r = settings_load(&settings, &sources, &errors);
        folder_keep_errors(folder, &errors);
        if (r != 0)
                fail_msg("refused:\n%s", folder->errors);
        return settings;
}

static Settings *load(ConfFolder *folder) {
        return load_from(folder, folder->path);
}

static Settings *load_text(ConfFolder *folder, const char *text) {
        folder_write(folder, "atelier.conf", text);
        return load(folder);
}

static void assert_refused(ConfFolder *folder, const char *text, const char *expected) {
        ConfSources sources = folder_sources(folder);
        Buffer errors = BUFFER_INIT(0);
        Settings *settings = NULL;

        folder_write(folder, "atelier.conf", text);
        assert_int_equal(settings_load(&settings, &sources, &errors), -EBADMSG);
        folder_keep_errors(folder, &errors);
        assert_null(settings);
        assert_string_equal(folder->errors, expected);
}

static void assert_out_of_range(ConfFolder *folder, const char *text) {
        _cleanup_(buffer_done) Buffer errors = {};
        ConfSources sources = folder_sources(folder);
        _cleanup_free_ char *said = NULL;
        Settings *settings = NULL;

        folder_write(folder, "atelier.conf", text);
        assert_int_equal(settings_load(&settings, &sources, &errors), -EBADMSG);
        said = buffer_take_text(&errors);
        assert_non_null(strstr(said, "expected"));
        assert_non_null(strstr(said, " to "));
}

static void test_defaults(void **state) {
        _cleanup_(settings_freep) Settings *settings = load(*state);

        assert_int_equal(settings->common.environment, ENVIRONMENT_DEVELOPMENT);
        assert_false(settings->common.trust_loopback);
        assert_int_equal(settings->common.providers.count, 0);
        assert_int_equal(settings->api.body_bytes_max, 1024 * 1024);
        assert_int_equal(settings->api.connections_max, 16384);
        assert_int_equal(settings->api.connection_timeout, 30 * USEC_PER_SEC);
        assert_int_equal(settings->api.idle_timeout, 60 * USEC_PER_SEC);
        assert_int_equal(settings->api.drain_timeout, 30 * USEC_PER_SEC);
        assert_int_equal(settings->api.worker_connections_max, 960);
        assert_int_equal(settings->worker.concurrency, 64);
        assert_int_equal(settings->worker.queue_max, 100000);
        assert_int_equal(settings->worker.attempts_max, 3);
        assert_int_equal(settings->worker.stall_timeout, 60 * USEC_PER_SEC);
        assert_int_equal(settings->worker.idle_timeout, 60 * USEC_PER_SEC);
        assert_int_equal(settings->worker.storage_free_min, 256 * 1024 * 1024);
        assert_int_equal(settings->scheduler.idle_timeout, 60 * USEC_PER_SEC);
        assert_int_equal(settings->alerter.drain_timeout, 30 * USEC_PER_SEC);
        assert_null(settings->worker.default_model);
        assert_null(settings->api.public_url);
}

static void assert_preset(ConfFolder *folder, const char *text, int images, int level) {
        _cleanup_(settings_freep) Settings *settings = load_text(folder, text);

        assert_int_equal(settings->worker.images_per_request_max, images);
        assert_int_equal(settings->common.log_level, level);
}

static void test_presets_of_the_guide(void **state) {
        assert_preset(*state, "environment = \"development\";", 10, LOG_DEBUG);
        assert_preset(*state, "environment = \"staging\";", 5, LOG_INFO);
        assert_preset(*state, "environment = \"production\";", 3, LOG_WARNING);
}

static void test_production_serves_nobody_without_a_key(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        assert_refused(*state, "environment = \"production\"; require_key = \"auto\";",
                       "atelier.conf:1: require_key: clients without a key are not served in production; expected \"always\"\n");
        assert_refused(*state, "environment = \"production\"; require_key = \"never\"; trust_loopback = true;",
                       "atelier.conf:1: require_key: clients without a key are not served in production; expected \"always\"\n"
                       "atelier.conf:1: trust_loopback: not taken in production; expected false\n");
        assert_refused(*state, "environment = \"staging\"; require_key = \"never\";",
                       "atelier.conf:1: require_key: \"never\" is for development alone; expected \"auto\" or \"always\"\n");
        settings = load_text(*state, "environment = \"production\";");
        assert_int_equal(settings->common.require_key, REQUIRE_KEY_ALWAYS);
        assert_true(settings->api.require_https);
}

static void test_variables_of_the_guide(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder_set(*state, "ENV_NAME=production");
        folder_set(*state, "DEBUG=false");
        folder_set(*state, "LOG_LEVEL=WARNING");
        folder_set(*state, "MAX_IMAGES_PER_REQUEST=4");
        settings = load(*state);
        assert_int_equal(settings->common.environment, ENVIRONMENT_PRODUCTION);
        assert_int_equal(settings->common.log_level, LOG_WARNING);
        assert_int_equal(settings->worker.images_per_request_max, 4);
}

static void assert_level(ConfFolder *folder, const char *variable, int level) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder->variables = 0;
        folder_set(folder, variable);
        settings = load(folder);
        assert_int_equal(settings->common.log_level, level);
}

static void test_log_levels_in_any_case(void **state) {
        assert_level(*state, "LOG_LEVEL=DEBUG", LOG_DEBUG);
        assert_level(*state, "LOG_LEVEL=Info", LOG_INFO);
        assert_level(*state, "LOG_LEVEL=notice", LOG_NOTICE);
        assert_level(*state, "LOG_LEVEL=WARNING", LOG_WARNING);
        assert_level(*state, "LOG_LEVEL=error", LOG_ERR);
        assert_level(*state, "LOG_LEVEL=CRITICAL", LOG_CRIT);
}

static void test_debug_wins_over_the_log_level(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder_set(*state, "DEBUG=true");
        settings = load_text(*state, "environment = \"production\"; log_level = \"error\";");
        assert_int_equal(settings->common.log_level, LOG_DEBUG);
}

static void test_shipped_files_in_development(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_from(*state, SHIPPED);
        const ModelConf *model = settings_find_model(settings, "gpt-image-2");

        assert_string_equal(settings->worker.default_model, "sandbox");
        assert_true(settings_find_provider(settings, "sandbox")->enabled);
        assert_true(settings_find_provider(settings, "sandbox")->retry_unknown);
        assert_false(settings_find_provider(settings, "openai")->retry_unknown);
        assert_string_equal(settings_find_provider(settings, "openai")->key, "credential:openai-api-key");
        assert_string_equal(model->provider_model, "gpt-image-2");
        assert_int_equal(model->answer, ANSWER_B64_JSON);
        assert_false(model->takes_response_format);
        assert_int_equal(settings_find_model(settings, "sandbox")->answer, ANSWER_URL);
}

static void assert_sent(const Settings *settings, const char *alias, const char *asked, const char *expected) {
        const ModelConf *model = settings_find_model(settings, alias);
        _cleanup_free_ char *size = strndup(asked, strcspn(asked, " "));
        _cleanup_free_ char *sent = text_format("%s %s %s", settings_model_asked(settings, model)->name,
                                                alias_size(model, size), alias_quality(model, strchr(asked, ' ') + 1));

        assert_string_equal(sent, expected);
}

static void test_shipped_aliases(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_from(*state, SHIPPED);
        const ModelConf *alias = settings_find_model(settings, "dall-e-3");

        assert_string_equal(alias->provider, "openai");
        assert_string_equal(alias->provider_model, "gpt-image-2");
        assert_int_equal(alias->answer, ANSWER_URL);
        assert_int_equal(alias->images_max, 1);
        assert_int_equal(alias->prompt_max, 4000);
        assert_true(alias->style);
        assert_null(alias->shutdown_date);
        assert_sent(settings, "dall-e-3", "1024x1024 standard", "gpt-image-2 1024x1024 medium");
        assert_sent(settings, "dall-e-3", "1792x1024 hd", "gpt-image-2 1792x1024 high");
        assert_sent(settings, "dall-e-2", "256x256 standard", "gpt-image-2 816x816 low");
        assert_sent(settings, "dall-e-2", "1024x1024 auto", "gpt-image-2 1024x1024 low");
}

/* As the manual and models.conf have it for a server that still has the old models. */
static void test_shipped_aliases_become_models_again(void **state) {
        _cleanup_free_ char *models = NULL;
        _cleanup_(settings_freep) Settings *settings = NULL;
        const ModelConf *model;

        assert_int_equal(file_read(AT_FDCWD, SHIPPED "/models.conf", CONF_FILE_BYTES_MAX, &models, NULL), 0);
        folder_write(*state, "models.conf", models);
        settings = load_text(*state,
                             "providers = ( { name = \"local\"; base_url = \"http://127.0.0.1:1/v1\"; } );\n"
                             "models = ( { name = \"dall-e-3\"; alias_of = \"\"; provider = \"local\"; "
                             "translated_qualities = []; takes_response_format = true; },\n"
                             "{ name = \"gpt-image-1\"; provider = \"local\"; shutdown_date = \"\"; } );");
        model = settings_find_model(settings, "dall-e-3");
        assert_string_equal(model->provider, "local");
        assert_string_equal(model->provider_model, "dall-e-3");
        assert_ptr_equal(settings_model_asked(settings, model), model);
        assert_true(settings_find_model(settings, "gpt-image-1")->shutdown == USEC_INFINITY);
}

static void test_shipped_ends_of_models(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_from(*state, SHIPPED);
        const ModelConf *gone = settings_find_model(settings, "gpt-image-1");

        assert_int_equal(gone->shutdown, INT64_C(1792713600) * USEC_PER_SEC);
        assert_string_equal(gone->replaced_by, "gpt-image-2");
        assert_string_equal(settings_find_model(settings, "gpt-image-1.5")->shutdown_date, "2026-12-01");
        assert_true(settings_find_model(settings, "gpt-image-2")->shutdown == USEC_INFINITY);
}

static void test_shipped_files_in_production(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder_set(*state, "ENV_NAME=production");
        settings = load_from(*state, SHIPPED);
        assert_string_equal(settings->worker.default_model, "gpt-image-2");
        assert_false(settings_find_provider(settings, "sandbox")->enabled);
        assert_false(settings_model_usable(settings, settings_find_model(settings, "sandbox")));
        assert_true(settings_find_provider(settings, "openai")->enabled);
}

/* What atelier.conf shows commented out must be taken as it stands. */
static void test_shipped_examples_are_taken(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_free_ char *models = NULL, *example = NULL;

        assert_int_equal(file_read(AT_FDCWD, SHIPPED "/models.conf", CONF_FILE_BYTES_MAX, &models, NULL), 0);
        assert_int_equal(file_read(AT_FDCWD, SHIPPED "/atelier.conf", CONF_FILE_BYTES_MAX, &example, NULL), 0);
        for (char *p = example; *p; p++)
                if (*p == '#' && (p == example || p[-1] == '\n') && p[1] != ' ')
                        *p = ' ';
        for (char *p = example; (p = strstr(p, "\n#    ")); p++)
                p[1] = ' ';

        folder_write(*state, "models.conf", models);
        settings = load_text(*state, example);
        assert_string_equal(settings->worker.default_model, "gpt-image-2");
        assert_string_equal(settings_find_model(settings, "flux")->provider, "local");
}

#define SANDBOX "providers = ( { name = \"sandbox\"; kind = \"sandbox\"; environments = [ \"staging\" ]; } );\n" \
                "models = ( { name = \"a\"; provider = \"sandbox\"; sizes = [ \"auto\" ]; } );\n"

static void test_sandbox_in_production_where_it_is_named(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder_write(*state, "models.conf", SANDBOX);
        settings = load_text(*state, "environment = \"production\";\n"
                                     "providers = ( { name = \"sandbox\"; environments = [ \"production\" ]; } );");
        assert_true(settings_find_provider(settings, "sandbox")->enabled);
        assert_string_equal(settings->worker.default_model, "a");
}

static void test_key_in_the_environment(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder_set(*state, "OPENAI_API_KEY=sk-1");
        folder_set(*state, "MY_OWN_API_KEY=sk-2");
        folder_set(*state, "EMPTY_API_KEY=");
        settings = load_text(*state, "providers = (\n"
                                     "{ name = \"openai\"; base_url = \"http://a\"; key = \"credential:a\"; },\n"
                                     "{ name = \"my-own\"; base_url = \"http://a\"; },\n"
                                     "{ name = \"empty\"; base_url = \"http://a\"; key = \"credential:b\"; } );");
        assert_string_equal(settings_find_provider(settings, "openai")->key, "env:OPENAI_API_KEY");
        assert_string_equal(settings_find_provider(settings, "my-own")->key, "env:MY_OWN_API_KEY");
        assert_string_equal(settings_find_provider(settings, "empty")->key, "credential:b");
}

static void test_several_keys(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL, *overridden = NULL;

        settings = load_text(*state, "providers = ( { name = \"openai\"; base_url = \"http://a\"; key = \"credential:a\"; "
                                     "keys = [ \"credential:b\", \"file:/c\" ]; } );");
        assert_string_equal(settings_find_provider(settings, "openai")->keys[1], "file:/c");
        folder_set(*state, "OPENAI_API_KEY=sk-1");
        overridden = load_text(*state, "providers = ( { name = \"openai\"; base_url = \"http://a\"; "
                                       "keys = [ \"credential:b\" ]; } );");
        assert_string_equal(settings_find_provider(overridden, "openai")->key, "env:OPENAI_API_KEY");
        assert_null(settings_find_provider(overridden, "openai")->keys[0]);
}

/* Whoever writes a key itself there does not find it in the message. */
static void test_bad_keys(void **state) {
        assert_refused(*state, "providers = ( { name = \"a\"; base_url = \"http://a\"; keys = [ \"sk-secret\" ]; } );",
                       "atelier.conf:1: providers.a.keys: a value (not shown) is not taken; expected "
                       SECRET_REFERENCE_EXPECTED "\n");
        assert_refused(*state, "providers = ( { name = \"a\"; base_url = \"http://a\"; "
                               "keys = [ \"env:A\", \"env:A\" ]; } );",
                       "atelier.conf:1: providers.a.keys: \"env:A\" is wrong; expected each key once\n");
}

#define KEYS_8 "\"env:A\", \"env:B\", \"env:C\", \"env:D\", \"env:E\", \"env:F\", \"env:G\", \"env:H\""
#define PROVIDER_WITH(keys) "providers = ( { name = \"a\"; base_url = \"http://a\"; keys = [ " keys " ]; } );"

static void test_number_of_keys(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_text(*state, PROVIDER_WITH(KEYS_8));

        assert_string_equal(settings_find_provider(settings, "a")->keys[PROVIDER_KEYS_MAX - 1], "env:H");
        assert_out_of_range(*state, PROVIDER_WITH(KEYS_8 ", \"env:I\""));
}

#define CHAIN(of_a, of_alias) \
        "providers = ( { name = \"p\"; kind = \"sandbox\"; } );\n" \
        "models = ( { name = \"a\"; provider = \"p\"; sizes = [ \"auto\" ]; " of_a " },\n" \
        "{ name = \"b\"; provider = \"p\"; sizes = [ \"auto\" ]; fallback = [ \"a\" ]; },\n" \
        "{ name = \"c\"; alias_of = \"a\"; sizes = [ \"auto\" ]; " of_alias " } );"

/* Two models may stand in for each other: a chain ends with its list. */
#define CHAT(kind, members) \
        "providers = ( { name = \"p\"; kind = \"" kind "\"; base_url = \"http://localhost/v1\"; } );\n" \
        "models = ( { name = \"a\"; provider = \"p\"; chat = true; " members " } );\n"

static void test_models_of_the_chat_route(void **state) {
        _cleanup_(settings_freep) Settings *settings =
                load_text(*state, CHAT("openrouter", "images_max = 1; sizes = [ \"auto\", \"1344x768\" ];"));

        assert_true(settings_find_model(settings, "a")->chat);
        assert_refused(*state, CHAT("openai", "images_max = 1; sizes = [ \"auto\" ];"),
                       "atelier.conf:2: models.a.chat: not of use; expected a provider of the kind openrouter\n");
        assert_refused(*state, CHAT("openrouter", "images_max = 1; edit_images_max = 1; sizes = [ \"auto\" ];"),
                       "atelier.conf:2: models.a.edit_images_max: not taken by this kind of provider; expected 0\n");
        assert_refused(*state, CHAT("openrouter", "sizes = [ \"auto\" ];"),
                       "atelier.conf:2: models.a.images_max: above what the chat route gives; expected 1\n");
        assert_refused(*state, CHAT("openrouter", "images_max = 1; streams = true; sizes = [ \"auto\" ];"),
                       "atelier.conf:2: models.a.chat: without streams, gpt_fields and takes_response_format; expected "
                       "these false\n");
        assert_refused(*state, CHAT("openrouter", "images_max = 1; free_sizes = true;"),
                       "atelier.conf:2: models.a.free_sizes: not taken by the chat route; expected sizes\n");
        assert_refused(*state, CHAT("openrouter", "images_max = 1; sizes = [ \"1344x769\" ];"),
                       "atelier.conf:2: models.a.sizes: \"1344x769\" is wrong; expected auto, 1024x1024 or another size of "
                       "the chat route\n");
        assert_refused(*state, CHAT("openrouter", "images_max = 1; sizes = [ \"auto\" ]; modalities = [ \"video\" ];"),
                       "atelier.conf:2: models.a.modalities: \"video\" is wrong; expected image or text\n");
}

#define HOOK(members) "webhooks = ( { name = \"a\"; secrets = [ \"env:A\" ]; " members " } );"

/* Tokens go to these addresses, and are not themselves found by them. */
static void test_secret_managers(void **state) {
        Settings *settings = load_text(*state, "secrets = { vault_address = \"http://127.0.0.1:8200/\"; azure_tenant = \"a-b.c\"; };");

        assert_string_equal(settings->secrets.vault_address, "http://127.0.0.1:8200");
        assert_string_equal(settings->secrets.vault_token, "credential:vault-token");
        assert_string_equal(settings->secrets.aws_metadata, "http://169.254.169.254");
        assert_null(settings->secrets.aws_session_token);
        settings = settings_free(settings);

        folder_set(*state, "VAULT_ADDR=https://vault.example:8200");
        folder_set(*state, "VAULT_TOKEN=hvs.x");
        folder_set(*state, "AWS_SESSION_TOKEN=x");
        settings = load_text(*state, "");
        assert_string_equal(settings->secrets.vault_address, "https://vault.example:8200");
        assert_string_equal(settings->secrets.vault_token, "env:VAULT_TOKEN");
        assert_string_equal(settings->secrets.aws_session_token, "env:AWS_SESSION_TOKEN");
        settings = settings_free(settings);

        assert_refused(*state, "secrets = { aws_endpoint = \"http://aws.example\"; aws_metadata = \"http://metadata.example\"; "
                               "azure_domain = \"a/b\"; azure_client_secret = \"vault:secret/a#b\"; };",
                       "atelier.conf:1: secrets.aws_endpoint: \"http://aws.example\" is wrong; expected https, or http to localhost, 127.0.0.1 or "
                       "[::1]\n"
                       "atelier.conf:1: secrets.aws_metadata: \"http://metadata.example\" is wrong; expected https, or http to localhost, "
                       "127.0.0.1 or [::1], or to a link-local address\n"
                       "atelier.conf:1: secrets.azure_domain: \"a/b\" is wrong; expected letters, digits, dots and dashes\n"
                       "atelier.conf:1: secrets.azure_client_secret: is needed to ask a secret manager, and so cannot be kept by one; expected "
                       "credential:NAME, file:/PATH or env:NAME\n");
        assert_refused(*state, "receivers = ( { name = \"a\"; url = \"vault:secret/a#b\"; } );",
                       "atelier.conf:1: receivers.a.url: not on this machine, and only the worker asks secret managers; expected "
                       "credential:NAME, file:/PATH or env:NAME\n");
}

static void test_webhooks(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_text(*state, HOOK("url = \"https://example.com/a\";"));
        _cleanup_(settings_freep) Settings *local = load_text(*state, HOOK("url = \"http://127.0.0.1:80/a\";"));

        assert_string_equal(settings_find_webhook(settings, "a")->url, "https://example.com/a");
        assert_null(settings_find_webhook(settings, "b"));
        assert_non_null(settings_find_webhook(local, "a"));
        assert_refused(*state, HOOK("url = \"http://example.com/a\";"),
                       "atelier.conf:1: webhooks.a.url: \"http://example.com/a\" is wrong; expected https, or http to "
                       "localhost, 127.0.0.1 or [::1]\n");
        assert_refused(*state, HOOK("url = \"http://127.0.0.1.example.com/a\";"),
                       "atelier.conf:1: webhooks.a.url: \"http://127.0.0.1.example.com/a\" is wrong; expected https, or http "
                       "to localhost, 127.0.0.1 or [::1]\n");
        assert_refused(*state, HOOK(""), "atelier.conf:1: webhooks.a.url: missing; expected an https URL\n");
        assert_refused(*state, "webhooks = ( { name = \"a.b\"; url = \"https://example.com\"; secrets = [ \"env:A\" ]; } );",
                       "atelier.conf:1: webhooks.a.b.name: wrong name; expected letters, digits, dashes and underscores\n");
        assert_refused(*state, "webhooks = ( { name = \"a\"; url = \"https://example.com\"; } );",
                       "atelier.conf:1: webhooks.a.secrets: missing; expected [ \"credential:NAME\" ]\n");
}

static void test_fallbacks(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_text(*state, CHAIN("fallback = [ \"b\" ];", ""));

        assert_string_equal(settings_find_model(settings, "a")->fallback[0], "b");
        assert_refused(*state, CHAIN("fallback = [ \"x\" ];", ""),
                       "atelier.conf:2: models.a.fallback: \"x\" is wrong; expected the name of another model\n");
        assert_refused(*state, CHAIN("fallback = [ \"a\" ];", ""),
                       "atelier.conf:2: models.a.fallback: \"a\" is wrong; expected another model, as this leads back to "
                       "itself\n");
        assert_refused(*state, CHAIN("fallback = [ \"c\" ];", ""),
                       "atelier.conf:2: models.a.fallback: \"c\" is wrong; expected another model, as this leads back to "
                       "itself\n");
        assert_refused(*state, CHAIN("fallback = [ \"b\", \"b\" ];", ""),
                       "atelier.conf:2: models.a.fallback: \"b\" is wrong; expected each model once\n");
        assert_refused(*state, CHAIN("", "fallback = [ \"b\" ];"),
                       "atelier.conf:4: models.c.fallback: not of use; expected none, as the model of an alias has its own\n");
        assert_out_of_range(*state, CHAIN("fallback = [ \"b\", \"c\", \"d\", \"e\", \"f\" ];", ""));
}

static void test_model_of_an_unknown_provider(void **state) {
        assert_refused(*state,
                       "providers = ( { name = \"sandbox\"; kind = \"sandbox\"; } );\n"
                       "models = ( { name = \"a\"; provider = \"sandbx\"; sizes = [ \"auto\" ]; },\n"
                       "{ name = \"b\"; provider = \"elsewhere\"; sizes = [ \"auto\" ]; },\n"
                       "{ name = \"c\"; sizes = [ \"auto\" ]; } );",
                       "atelier.conf:2: models.a.provider: \"sandbx\" is no provider; did you mean \"sandbox\"?\n"
                       "atelier.conf:3: models.b.provider: no such provider; expected the name of one in providers\n"
                       "atelier.conf:4: models.c.provider: missing; expected the name of a provider\n");
}

static void test_provider_without_its_url(void **state) {
        assert_refused(*state, "providers = ( { name = \"a\"; } );",
                       "atelier.conf:1: providers.a.base_url: missing; expected a URL, as the kind is openai\n");
}

#define PROVIDER "providers = ( { name = \"p\"; kind = \"sandbox\"; } );\n"

static void assert_model_refused(ConfFolder *folder, const char *settings, const char *expected) {
        _cleanup_free_ char *text =
                text_format(PROVIDER "models = ( { name = \"a\"; provider = \"p\"; %s } );", settings);
        _cleanup_free_ char *error = text_format("atelier.conf:2: models.a.%s\n", expected);

        assert_refused(folder, text, error);
}

static void test_sizes_of_a_model(void **state) {
        assert_model_refused(*state, "", "sizes: empty; expected sizes, or free_sizes = true");
        assert_model_refused(*state, "sizes = [ \"1024\" ];", "sizes: wrong size; expected WIDTHxHEIGHT or auto");
        assert_model_refused(*state, "sizes = [ \"auto\", \"0x5\" ];",
                             "sizes: wrong size; expected WIDTHxHEIGHT or auto");
        assert_model_refused(*state, "sizes = [ \"1024x1024x3\" ];",
                             "sizes: wrong size; expected WIDTHxHEIGHT or auto");
        assert_model_refused(*state, "sizes = [ \"123456x1\" ];", "sizes: wrong size; expected WIDTHxHEIGHT or auto");
        assert_model_refused(*state, "sizes = [ \"auto\" ]; default_size = \"64x64\";",
                             "default_size: not taken by the model; expected one of its sizes");
        assert_model_refused(*state, "free_sizes = true; edge_min = 65; edge_max = 64;",
                             "edge_min: above edge_max; expected at most that");
        assert_model_refused(*state, "free_sizes = true; pixels_min = 65; pixels_max = 64;",
                             "pixels_min: above pixels_max; expected at most that");
}

static void test_default_quality_of_a_model(void **state) {
        assert_model_refused(*state, "sizes = [ \"auto\" ]; qualities = [ \"low\" ]; default_quality = \"high\";",
                             "default_quality: not taken by the model; expected one of its qualities");
}

static void test_free_default_size(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_text(
                *state, PROVIDER
                "models = ( { name = \"a\"; provider = \"p\"; free_sizes = true; default_size = \"64x64\"; } );");

        assert_string_equal(settings_find_model(settings, "a")->default_size, "64x64");
}

static void test_default_model(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_text(
                *state, PROVIDER
                "models = ( { name = \"a\"; provider = \"p\"; sizes = [ \"auto\" ]; },\n"
                "{ name = \"b\"; provider = \"p\"; sizes = [ \"auto\" ]; } ); worker = { default_model = \"b\"; };");

        assert_string_equal(settings->worker.default_model, "b");
        assert_refused(*state, PROVIDER "worker = { default_model = \"c\"; };",
                       "atelier.conf:2: worker.default_model: there is no model \"c\"; expected one of models\n");
        assert_refused(*state, SANDBOX "worker = { default_model = \"a\"; };",
                       "atelier.conf:3: worker.default_model: the provider of \"a\" is not used in this environment; expected another "
                       "model\n");
}

static void test_urls(void **state) {
        static const char *const wrong[] = {
                "ftp://a", "a.example", "https://", "https:///v1", "https://user:password@a", "https://a/?q",
                "https://a/#f", "https://a b",
        };
        _cleanup_(settings_freep) Settings *settings =
                load_text(*state, "api = { public_url = \"https://images.example:8443/x//\"; };");

        assert_string_equal(settings->api.public_url, "https://images.example:8443/x");
        for (size_t i = 0; i < ELEMENTS(wrong); i++) {
                _cleanup_free_ char *text = text_format("api = { public_url = \"%s\"; };", wrong[i]);
                _cleanup_free_ char *error =
                        text_format("atelier.conf:1: api.public_url: \"%s\" is not taken; expected an http:// or "
                                    "https:// URL without user, query or fragment\n", wrong[i]);

                assert_refused(*state, text, error);
        }
}

static void test_format_shows_what_is_in_force(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_free_ char *text = NULL;
        Buffer buffer = BUFFER_INIT(0);

        settings = load_text(*state, SANDBOX "api = { hosts = [ \"a\", \"b\\\"c\" ]; body_bytes_max = \"1536K\"; };\n"
                                             "worker = { stall_timeout = 5400; storage_free_min = 1000; };");
        assert_int_equal(settings_format(settings, NULL, &buffer), 0);
        text = buffer_take_text(&buffer);
        assert_non_null(strstr(text, "\nenvironment = \"development\"\n"));
        assert_non_null(strstr(text, "\nlog_level = \"debug\"\n"));
        assert_non_null(strstr(text, "\nproviders.sandbox.environments = [ \"staging\" ]\n"));
        assert_non_null(strstr(text, "\nmodels.a.sizes = [ \"auto\" ]\n"));
        assert_non_null(strstr(text, "\n# api.public_url is unset\n"));
        assert_non_null(strstr(text, "\napi.hosts = [ \"a\", \"b\\\"c\" ]\n"));
        assert_non_null(strstr(text, "\napi.body_bytes_max = \"1536K\"\n"));
        assert_non_null(strstr(text, "\nworker.stall_timeout = \"1h 30min\"\n"));
        assert_non_null(strstr(text, "\nworker.storage_free_min = \"1000\"\n"));
}

/* With ATELIER_UPDATE=1 in the environment the manual is written anew instead of compared. */
static void test_manual_is_current(void **state) {
        _cleanup_free_ char *manual = NULL, *expected = NULL;
        Buffer buffer = BUFFER_INIT(0);
        char *begin, *end;

        (void) state;
        assert_int_equal(file_read(AT_FDCWD, MANUAL, MANUAL_BYTES_MAX, &manual, NULL), 0);
        begin = strstr(manual, MANUAL_BEGIN);
        assert_non_null(begin);
        begin += strlen(MANUAL_BEGIN);
        end = strstr(begin, MANUAL_END);
        assert_non_null(end);

        assert_int_equal(buffer_append(&buffer, manual, (size_t) (begin - manual)), 0);
        assert_int_equal(settings_document(&buffer), 0);
        assert_int_equal(buffer_append_text(&buffer, end), 0);
        expected = buffer_take_text(&buffer);
        if (getenv("ATELIER_UPDATE"))
                assert_int_equal(file_replace(AT_FDCWD, MANUAL, expected, strlen(expected), 0644), 0);
        else
                assert_string_equal(manual, expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

/* ------------------------------------------------------------------ prices */

#define BOX "providers = ( { name = \"box\"; base_url = \"http://127.0.0.1:1\"; } );\n"
#define PRICE(name, rest) "{ name = \"" name "\"; provider = \"box\"; model = \"m\"; " rest " }"

static void test_prices(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_text(
                *state, BOX "prices = ( " PRICE("a", "per_image = [ \"* * $1\" ]; from = \"2026-12-01\";") ", "
                PRICE("b", "per_million_tokens = [ \"text_input $1\" ];") " );");
        const PriceConf *price = settings->common.prices.items[0];

        assert_int_equal(settings->common.prices.count, 2);
        assert_string_equal(price->per_image[0], "* * $1");
        assert_int_equal(price->since, INT64_C(1796083200) * USEC_PER_SEC);
        assert_int_equal(((const PriceConf *) settings->common.prices.items[1])->since, 0);
}

static void test_bad_prices(void **state) {
        assert_refused(*state, BOX "prices = ( " PRICE("a", "per_image = [ \"* $1\" ];") " );",
                       "atelier.conf:2: prices.a.per_image: \"* $1\" is wrong; expected SIZE QUALITY $AMOUNT such as "
                       "\"1024x1024 high $0.167\"\n");
        assert_refused(*state, BOX "prices = ( " PRICE("a", "per_million_tokens = [ \"image $1\" ];") " );",
                       "atelier.conf:2: prices.a.per_million_tokens: \"image $1\" is wrong; expected KIND $AMOUNT such "
                       "as \"image_output $30\"\n");
        assert_refused(*state, BOX "prices = ( " PRICE("a", "per_image = [ \"* * $1\" ]; from = \"2026-02-30\";")
                       " );",
                       "atelier.conf:2: prices.a.from: \"2026-02-30\" is wrong; expected a day as YYYY-MM-DD\n");
        assert_refused(*state, BOX "prices = ( " PRICE("a", "") " );",
                       "atelier.conf:2: prices.a.per_image: empty; expected prices there or in per_million_tokens\n");
        assert_refused(*state, "prices = ( " PRICE("a", "per_image = [ \"* * $1\" ];") " );",
                       "atelier.conf:1: prices.a.provider: no such provider; expected the name of one in providers\n");
        assert_refused(*state, BOX "prices = ( " PRICE("a", "per_image = [ \"* * $1\" ];") ", "
                       PRICE("b", "per_image = [ \"* * $2\" ];") " );",
                       "atelier.conf:2: prices.b.from: \"1970-01-01\" is wrong; expected another day, as an entry for "
                       "this model has the same\n");
}

/* ------------------------------------------------------------------ receivers */

#define RECEIVERS "receivers = ( { name = \"pager\"; url = \"file:/x\"; }, { name = \"slack\"; kind = \"slack\"; " \
        "url = \"credential:slack-webhook-url\"; severity = \"warning\"; timeout = \"2s\"; } );"

static const ReceiverConf *receiver_at(const Settings *settings, size_t i) {
        assert_true(i < settings->common.receivers.count);
        return settings->common.receivers.items[i];
}

static void test_receivers(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_text(*state, RECEIVERS);

        assert_string_equal(receiver_at(settings, 0)->name, "pager");
        assert_int_equal(receiver_at(settings, 0)->kind, RECEIVER_WEBHOOK);
        assert_int_equal(receiver_at(settings, 0)->severity, 0);
        assert_int_equal(receiver_at(settings, 0)->timeout, 5 * USEC_PER_SEC);
        assert_int_equal(receiver_at(settings, 1)->kind, RECEIVER_SLACK);
        assert_int_equal(receiver_at(settings, 1)->severity, 1);
        assert_string_equal(receiver_at(settings, 1)->url, "credential:slack-webhook-url");
}

static void test_url_of_the_environment_wins(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder_set(*state, "SLACK_WEBHOOK_URL=https://hooks.example.org/x");
        settings = load_text(*state, RECEIVERS);
        assert_string_equal(receiver_at(settings, 0)->url, "file:/x");
        assert_string_equal(receiver_at(settings, 1)->url, "env:SLACK_WEBHOOK_URL");
}

static void test_bad_receivers(void **state) {
        assert_refused(*state, "receivers = ( { name = \"a b\"; url = \"file:/x\"; } );",
                       "atelier.conf:1: receivers.a b.name: wrong name; expected letters, digits, dots, dashes and "
                       "underscores\n");
        assert_refused(*state, "receivers = ( { name = \"a\"; } );",
                       "atelier.conf:1: receivers.a.url: missing; expected credential:NAME, file:/PATH or env:NAME\n");
        assert_refused(*state, "receivers = ( { name = \"a\"; kind = \"journald\"; } );",
                       "atelier.conf:1: receivers.a.kind: wrong; expected the kind journald for the name journald, and for "
                       "no other\n");
        assert_refused(*state, "receivers = ( { name = \"journald\"; url = \"file:/x\"; } );",
                       "atelier.conf:1: receivers.journald.kind: wrong; expected the kind journald for the name journald, "
                       "and for no other\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_defaults),
                TEST(test_prices),
                TEST(test_bad_prices),
                TEST(test_receivers),
                TEST(test_url_of_the_environment_wins),
                TEST(test_bad_receivers),
                TEST(test_presets_of_the_guide),
                TEST(test_production_serves_nobody_without_a_key),
                TEST(test_variables_of_the_guide),
                TEST(test_log_levels_in_any_case),
                TEST(test_debug_wins_over_the_log_level),
                TEST(test_shipped_files_in_development),
                TEST(test_shipped_aliases),
                TEST(test_shipped_aliases_become_models_again),
                TEST(test_shipped_ends_of_models),
                TEST(test_shipped_files_in_production),
                TEST(test_shipped_examples_are_taken),
                TEST(test_sandbox_in_production_where_it_is_named),
                TEST(test_key_in_the_environment),
                TEST(test_several_keys),
                TEST(test_bad_keys),
                TEST(test_number_of_keys),
                TEST(test_models_of_the_chat_route),
                TEST(test_secret_managers),
                TEST(test_webhooks),
                TEST(test_fallbacks),
                TEST(test_model_of_an_unknown_provider),
                TEST(test_provider_without_its_url),
                TEST(test_sizes_of_a_model),
                TEST(test_default_quality_of_a_model),
                TEST(test_free_default_size),
                TEST(test_default_model),
                TEST(test_urls),
                TEST(test_format_shows_what_is_in_force),
                TEST(test_manual_is_current),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
