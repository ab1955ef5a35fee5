#include "conf/settings-tables.h"

#include <string.h>

#include "base/network-list.h"
#include "base/web-origin.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define PROMPT_CHARS_MAX 1000000
#define TERM_BYTES_MAX 100 /* forbidden_terms; as many as CONF_STRINGS_MAX */

#define FIELD(type, member) .offset = offsetof(type, member)
#define RANGE(low, high) .min = (low), .max = (high)
#define BUDGET_RANGE RANGE(1, MICROS_INFINITY)

static const char *const environment_names[] = { "development", "staging", "production", NULL };

/* In the order of syslog's levels. */
static const char *const log_level_names[] = {
        "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug", NULL,
};

static const char *const provider_kind_names[] = { "sandbox", "openai", "openrouter", "openai-compatible", NULL };
static const char *const server_names[] = {
        "localai", "stable-diffusion.cpp", "vllm-omni", "sglang", "mistral.rs", NULL,
};
static const char *const receiver_kind_names[] = { "slack", "webhook", RECEIVER_NAME_JOURNALD, NULL };
static const char *const require_key_names[] = { "auto", "always", "never", NULL };
static const char *const over_budget_names[] = { "refuse", "hold", NULL };
static const char *const cache_names[] = { "auto", "true", "false", NULL };
static const char *const optimise_names[] = { "never", "asked", "always", NULL };
static const char *const severity_names[] = { "info", "warning", "critical", NULL };
static const char *const answer_names[] = { "url", "b64_json", NULL };

static const ConfElement web_origin = {
        web_origin_valid,
        "origins as browsers write them, such as [ \"https://app.example.com\", \"http://localhost:3000\" ]: no path, no final "
        "slash, no port that goes without saying",
};

static const ConfElement network = {
        network_valid, "addresses and networks such as [ \"127.0.0.1\", \"10.0.0.0/8\", \"2001:db8::/32\", \"unix\" ]",
};

static bool term_fits(const char *text) {
        size_t length = strlen(text);

        return length >= 1 && length <= TERM_BYTES_MAX;
}

static const ConfElement term = { term_fits, "terms of 1 to 100 bytes" };

static const ConfSetting provider_settings[] = {
        { "name", CONF_STRING, FIELD(ProviderConf, name), RANGE(1, 64),
          .help = "Name by which models and messages call the provider." },
        { "kind", CONF_ENUM, FIELD(ProviderConf, kind), .values = provider_kind_names, .fallback = "openai",
          .help = "What it speaks: the sandbox draws pictures itself, openai is OpenAI or a server that speaks "
                  "alike in all, openrouter is OpenRouter, openai-compatible a server of your own." },
        { "environments", CONF_FLAGS, FIELD(ProviderConf, environments), .values = environment_names,
          .fallback = "development, staging, production",
          .help = "Environments in which the provider is used; elsewhere its models do not exist." },
        { "base_url", CONF_URL, FIELD(ProviderConf, base_url),
          .help = "What comes before /images/generations; needed by the kinds openai and openai-compatible." },
        { "key", CONF_SECRET, FIELD(ProviderConf, key),
          .help = "Where the worker finds the API key; none is sent while unset, and the variable NAME_API_KEY "
                  "wins." },
        { "server", CONF_ENUM, FIELD(ProviderConf, server), .values = server_names, .fallback = "localai",
          .help = "Which server it is, where the kind is openai-compatible: it is sent what it knows, and prompts hold no "
                  "commands to it." },
        { "app_url", CONF_URL, FIELD(ProviderConf, app_url),
          .help = "Address of the application that OpenRouter is told requests come from; nothing is told while unset." },
        { "app_title", CONF_STRING, FIELD(ProviderConf, app_title), RANGE(1, 128), .help = "The same for its name." },
        { "keys", CONF_STRINGS, FIELD(ProviderConf, keys), RANGE(0, PROVIDER_KEYS_MAX),
          .help = "Several keys in place of the one, each as there: the next is used when one is refused or its quota "
                  "is used up. NAME_API_KEY wins over all of them." },
        { "connect_timeout", CONF_DURATION, FIELD(ProviderConf, connect_timeout),
          RANGE(USEC_PER_MSEC, 5 * USEC_PER_MINUTE), .fallback = "5s",
          .help = "How long connecting may take; an attempt that ends here was not sent and costs nothing." },
        { "timeout", CONF_DURATION, FIELD(ProviderConf, timeout), RANGE(USEC_PER_MSEC, USEC_PER_HOUR),
          .fallback = "5min", .help = "How long one attempt may take." },
        { "retry_unknown", CONF_BOOL, FIELD(ProviderConf, retry_unknown), .fallback = "false",
          .help = "Whether an attempt that may have been paid for without an answer is made again." },
        { "concurrency", CONF_INTEGER, FIELD(ProviderConf, concurrency), RANGE(1, 1024), .fallback = "8",
          .help = "Generations in progress at the provider at a time." },
        { "images_per_minute", CONF_INTEGER, FIELD(ProviderConf, images_per_minute), RANGE(0, 1000000),
          .fallback = "0",
          .help = "Images that are asked for in any minute, by all its models together; further jobs wait. 0 is no "
                  "limit of ours." },
        { "delay", CONF_DURATION, FIELD(ProviderConf, delay), RANGE(0, 10 * USEC_PER_MINUTE), .fallback = "0",
          .help = "How long a picture of the sandbox takes." },
        {},
};

static const ConfSetting model_settings[] = {
        { "name", CONF_STRING, FIELD(ModelConf, name), RANGE(1, 128),
          .help = "Name by which clients call the model." },
        { "provider", CONF_STRING, FIELD(ModelConf, provider), RANGE(1, 64),
          .help = "Name of the provider that has it." },
        { "provider_model", CONF_STRING, FIELD(ModelConf, provider_model), RANGE(1, 128),
          .help = "The model's name there; the same name while unset." },
        { "sizes", CONF_STRINGS, FIELD(ModelConf, sizes), .help = "Sizes it takes: WIDTHxHEIGHT or auto." },
        { "free_sizes", CONF_BOOL, FIELD(ModelConf, free_sizes), .fallback = "false",
          .help = "Whether it also takes every size that keeps the rule of the next six settings." },
        { "edge_multiple", CONF_INTEGER, FIELD(ModelConf, edge_multiple), RANGE(1, 1024), .fallback = "16",
          .help = "Both edges are multiples of this many pixels." },
        { "edge_min", CONF_INTEGER, FIELD(ModelConf, edge_min), RANGE(1, 16384), .fallback = "16",
          .help = "Shortest edge in pixels." },
        { "edge_max", CONF_INTEGER, FIELD(ModelConf, edge_max), RANGE(1, 16384), .fallback = "3840",
          .help = "Longest edge in pixels." },
        { "pixels_min", CONF_INTEGER, FIELD(ModelConf, pixels_min), RANGE(1, 16384 * 16384), .fallback = "1",
          .help = "Fewest pixels of a picture." },
        { "pixels_max", CONF_INTEGER, FIELD(ModelConf, pixels_max), RANGE(1, 16384 * 16384), .fallback = "8294400",
          .help = "Most pixels of a picture." },
        { "ratio_max", CONF_INTEGER, FIELD(ModelConf, ratio_max), RANGE(1, 16384), .fallback = "3",
          .help = "How many times longer than the other one edge may be." },
        { "qualities", CONF_STRINGS, FIELD(ModelConf, qualities), .help = "Values of quality it takes." },
        { "formats", CONF_STRINGS, FIELD(ModelConf, formats),
          .help = "Values of output_format it takes; the field is refused while empty." },
        { "default_size", CONF_STRING, FIELD(ModelConf, default_size), RANGE(1, 32),
          .help = "Size that is sent when a request names none; nothing is sent while unset." },
        { "default_quality", CONF_STRING, FIELD(ModelConf, default_quality), RANGE(1, 32),
          .help = "Quality that is sent when a request names none; nothing is sent while unset." },
        { "daily_budget", CONF_MONEY, FIELD(ModelConf, daily_budget), BUDGET_RANGE, .fallback = "infinity",
          .help = "What its images of one day may cost." },
        { "monthly_budget", CONF_MONEY, FIELD(ModelConf, monthly_budget), BUDGET_RANGE, .fallback = "infinity",
          .help = "The same of one month." },
        { "total_budget", CONF_MONEY, FIELD(ModelConf, total_budget), BUDGET_RANGE, .fallback = "infinity",
          .help = "The same in all." },
        { "images_max", CONF_INTEGER, FIELD(ModelConf, images_max), RANGE(1, 100), .fallback = "10",
          .help = "Images of one request (n)." },
        { "prompt_max", CONF_INTEGER, FIELD(ModelConf, prompt_max), RANGE(1, PROMPT_CHARS_MAX), .fallback = "32000",
          .help = "Characters of a prompt." },
        { "answer", CONF_ENUM, FIELD(ModelConf, answer), .values = answer_names, .fallback = "b64_json",
          .help = "How images are answered when a request names no response_format." },
        { "takes_response_format", CONF_BOOL, FIELD(ModelConf, takes_response_format), .fallback = "false",
          .help = "Whether the provider takes response_format; clients may always send it." },
        { "gpt_fields", CONF_BOOL, FIELD(ModelConf, gpt_fields), .fallback = "false",
          .help = "Whether it takes background, moderation, output_format and output_compression." },
        { "streams", CONF_BOOL, FIELD(ModelConf, streams), .fallback = "false",
          .help = "Whether it takes stream and partial_images." },
        { "style", CONF_BOOL, FIELD(ModelConf, style), .fallback = "false", .help = "Whether it takes style." },
        { "chat", CONF_BOOL, FIELD(ModelConf, chat), .fallback = "false",
          .help = "Whether it is asked by the chat route of an openrouter provider, for models that are offered there alone: "
                  "one image a request, no stream, and sizes as that route has them." },
        { "modalities", CONF_STRINGS, FIELD(ModelConf, modalities), RANGE(0, 2),
          .help = "What such a model is asked for: image and text while empty, image alone for those that make nothing "
                  "else." },
        { "edit_images_max", CONF_INTEGER, FIELD(ModelConf, edit_images_max), RANGE(0, 16), .fallback = "0",
          .help = "Images that a request may bring along to be edited, the mask apart; 0: the model makes no edits." },
        { "edit_bytes_max", CONF_SIZE, FIELD(ModelConf, edit_bytes_max), RANGE(KIB, 64 * MIB), .fallback = "50M",
          .help = "Largest of these images; a mask may have 4M at most." },
        { "input_fidelity", CONF_BOOL, FIELD(ModelConf, input_fidelity), .fallback = "false",
          .help = "Whether it takes input_fidelity." },
        { "owned_by", CONF_STRING, FIELD(ModelConf, owned_by), RANGE(1, 64), .fallback = "atelier",
          .help = "Owner shown in the list of models." },
        { "created", CONF_INTEGER, FIELD(ModelConf, created), RANGE(0, INT64_C(1) << 53), .fallback = "0",
          .help = "When the model was created, in seconds since 1970." },
        { "alias_of", CONF_STRING, FIELD(ModelConf, alias_of), RANGE(0, 128),
          .help = "Makes it an alias: the model that is asked in its place, by the provider which that one has. The "
                  "other settings of an alias say what its clients may send; \"\" makes it a model of its own again." },
        { "translated_sizes", CONF_STRINGS, FIELD(ModelConf, translated_sizes),
          .help = "What an alias makes of a size, each as FROM TO; the same where there is no line." },
        { "translated_qualities", CONF_STRINGS, FIELD(ModelConf, translated_qualities),
          .help = "What an alias makes of a quality, each as FROM TO; the same where there is no line." },
        { "shutdown_date", CONF_STRING, FIELD(ModelConf, shutdown_date), RANGE(0, 10),
          .help = "The day, YYYY-MM-DD in UTC, from which on the model is gone and requests for it are refused; \"\" "
                  "for none. An alias goes with its model at the latest." },
        { "replaced_by", CONF_STRING, FIELD(ModelConf, replaced_by), RANGE(0, 128),
          .help = "Model that the refusal then names to be used instead." },
        { "fallback", CONF_STRINGS, FIELD(ModelConf, fallback), RANGE(0, MODEL_FALLBACKS_MAX),
          .help = "Models that make its jobs, in this order, while its provider is out, refuses all keys, or when its "
                  "attempts are used up. What they may cost is reserved from the start." },
        {},
};

static const ConfSetting receiver_settings[] = {
        { "name", CONF_STRING, FIELD(ReceiverConf, name), RANGE(1, 64),
          .help = "Name by which it is shown: letters, digits, dot, dash, underscore." },
        { "kind", CONF_ENUM, FIELD(ReceiverConf, kind), .values = receiver_kind_names, .fallback = "webhook",
          .help = "What it takes: slack an attachment in colour, webhook a plain JSON document; journald, of that "
                  "name, is always there." },
        { "url", CONF_SECRET, FIELD(ReceiverConf, url),
          .help = "Where the alerter finds the URL, which is a secret; needed but for journald, and the variable "
                  "NAME_WEBHOOK_URL wins. A receiver whose URL is not there is not used." },
        { "severity", CONF_ENUM, FIELD(ReceiverConf, severity), .values = severity_names, .fallback = "info",
          .help = "The least severe alerts that it is told." },
        { "timeout", CONF_DURATION, FIELD(ReceiverConf, timeout), RANGE(100 * USEC_PER_MSEC, USEC_PER_MINUTE),
          .fallback = "5s", .help = "How long one request may take." },
        {},
};

static const ConfSetting price_settings[] = {
        { "name", CONF_STRING, FIELD(PriceConf, name), RANGE(1, 128),
          .help = "Name of the entry, by which another file changes it." },
        { "provider", CONF_STRING, FIELD(PriceConf, provider), RANGE(1, 64),
          .help = "Name of the provider that asks this price." },
        { "model", CONF_STRING, FIELD(PriceConf, model), RANGE(1, 128),
          .help = "The model as the provider calls it." },
        { "from", CONF_STRING, FIELD(PriceConf, from), RANGE(10, 10), .fallback = "1970-01-01",
          .help = "The day, YYYY-MM-DD in UTC, from which on the entry counts instead of older ones." },
        { "per_image", CONF_STRINGS, FIELD(PriceConf, per_image), RANGE(0, 256),
          .help = "Prices of one image, each as SIZE QUALITY $AMOUNT; * is every size, or quality, without a line of "
                  "its own." },
        { "per_million_tokens", CONF_STRINGS, FIELD(PriceConf, per_million_tokens), RANGE(0, 6),
          .help = "Prices of a million tokens, each as KIND $AMOUNT; the kinds are text_input, text_input_cached, "
                  "image_input, image_input_cached, text_output, image_output." },
        {},
};

static const ConfSetting webhook_settings[] = {
        { "name", CONF_STRING, FIELD(WebhookConf, name), RANGE(1, 64),
          .help = "Name by which requests ask for it: letters, digits, dash, underscore." },
        { "url", CONF_URL, FIELD(WebhookConf, url),
          .help = "Where the end of a job is told: https, or http on this host." },
        { "secrets", CONF_STRINGS, FIELD(WebhookConf, secrets), RANGE(1, WEBHOOK_SECRETS_MAX),
          .help = "Where the worker finds what it signs with, each as base64 of 24 to 64 bytes behind whsec_; several while "
                  "one takes the other's place." },
        { "all", CONF_BOOL, FIELD(WebhookConf, all), .fallback = "false",
          .help = "Whether it is told of every job, and not only of those whose request names it." },
        { "timeout", CONF_DURATION, FIELD(WebhookConf, timeout), RANGE(100 * USEC_PER_MSEC, USEC_PER_MINUTE),
          .fallback = "15s", .help = "How long one request may take." },
        {},
};

const ConfTable provider_table = { "providers", provider_settings, sizeof(ProviderConf) };
const ConfTable model_table = { "models", model_settings, sizeof(ModelConf) };
const ConfTable receiver_table = { "receivers", receiver_settings, sizeof(ReceiverConf) };
const ConfTable price_table = { "prices", price_settings, sizeof(PriceConf) };
const ConfTable webhook_table = { "webhooks", webhook_settings, sizeof(WebhookConf) };

static const ConfSetting common_settings[] = {
        { "environment", CONF_ENUM, FIELD(CommonSettings, environment), "ENV_NAME", .values = environment_names,
          .fallback = "development", .help = "Chooses the presets of other settings." },
        { "debug", CONF_BOOL, FIELD(CommonSettings, debug), "DEBUG", .fallback = "false",
          .help = "Sets log_level to debug, whatever else it says." },
        { "log_level", CONF_ENUM, FIELD(CommonSettings, log_level), "LOG_LEVEL", .values = log_level_names,
          .presets = { "debug", "info", "warning" }, .help = "The least urgent records that are logged." },
        { "trust_loopback", CONF_BOOL, FIELD(CommonSettings, trust_loopback), .fallback = "false",
          .help = "Whether TCP clients on this host may spend money where a paid provider is configured, as long as "
                  "no key is required." },
        { "require_key", CONF_ENUM, FIELD(CommonSettings, require_key), .values = require_key_names,
          .fallback = "auto", .presets = { NULL, NULL, "always" },
          .help = "When clients on this machine must show a key, but for root and group atelier on the Unix socket: auto from "
                  "the first key on that was ever made, always even before, never (in development alone). Clients of other "
                  "machines always must." },
        { "providers", CONF_GROUPS, FIELD(CommonSettings, providers), .max = 128, .table = &provider_table,
          .help = "Who makes images." },
        { "models", CONF_GROUPS, FIELD(CommonSettings, models), .max = 256, .table = &model_table,
          .help = "What clients may ask for." },
        { "prices", CONF_GROUPS, FIELD(CommonSettings, prices), .max = 1024, .table = &price_table,
          .help = "What images cost, in prices.conf." },
        { "webhooks", CONF_GROUPS, FIELD(CommonSettings, webhooks), .max = 32, .table = &webhook_table,
          .help = "Who is told of the end of jobs." },
        { "receivers", CONF_GROUPS, FIELD(CommonSettings, receivers), .max = 32, .table = &receiver_table,
          .help = "Who is told of alerts." },
        {},
};

#define TIMEOUT_MIN ((int64_t) USEC_PER_MSEC)
#define IDLE_HELP "Exit after so long without work; the sockets stay and start the daemon again."
#define DRAIN_HELP "How long work in progress may take when the daemon is stopped."
#define LIFETIME_SETTINGS(type, drain) \
        { "idle_timeout", CONF_DURATION, FIELD(type, idle_timeout), RANGE(TIMEOUT_MIN, 365 * (int64_t) USEC_PER_DAY), \
          .fallback = "60s", .help = IDLE_HELP }, \
        { "drain_timeout", CONF_DURATION, FIELD(type, drain_timeout), RANGE(TIMEOUT_MIN, (int64_t) USEC_PER_HOUR), \
          .fallback = drain, .help = DRAIN_HELP }

static const ConfSetting api_settings[] = {
        { "public_url", CONF_URL, FIELD(ApiSettings, public_url),
          .help = "Base of links to images; built from the Host of the request while unset." },
        { "hosts", CONF_STRINGS, FIELD(ApiSettings, hosts), .help = "Names taken in Host beside those of loopback." },
        { "tls_certificate", CONF_STRING, FIELD(ApiSettings, tls_certificate), .fallback = "/etc/atelier/tls/fullchain.pem",
          .help = "Certificate of the socket for TLS and those that vouch for it, as PEM. Read again at reload." },
        { "tls_key", CONF_STRING, FIELD(ApiSettings, tls_key), .fallback = "/etc/atelier/tls/privkey.pem",
          .help = "Its private key, as PEM, which nobody but atelier-api may read." },
        { "require_https", CONF_BOOL, FIELD(ApiSettings, require_https), .fallback = "false", .presets = { NULL, NULL, "true" },
          .help = "Refuse /v1 to clients that ask over TCP without TLS, unless a trusted proxy says that they came to it by https." },
        { "trusted_proxies", CONF_STRINGS, FIELD(ApiSettings, trusted_proxies), .element = &network,
          .help = "Where proxies ask from whose X-Forwarded-For and X-Forwarded-Proto are believed." },
        { "refused_keys_per_minute", CONF_INTEGER, FIELD(ApiSettings, refused_keys_per_minute), RANGE(0, 60000), .fallback = "20",
          .help = "How often an address may show a key that is refused, or none; then it gets 429 unasked. 0: as often as it likes." },
        { "cors_origins", CONF_STRINGS, FIELD(ApiSettings, cors_origins), .environment = "CORS_ORIGINS", .element = &web_origin,
          .help = "Origins of web pages that may ask from a browser (CORS); none while empty." },
        { "cors_max_age", CONF_DURATION, FIELD(ApiSettings, cors_max_age), RANGE(0, USEC_PER_DAY), .fallback = "1h",
          .help = "For how long a browser may keep what it was told of them." },
        { "body_bytes_max", CONF_SIZE, FIELD(ApiSettings, body_bytes_max), RANGE(KIB, 64 * MIB), .fallback = "1M",
          .help = "Largest body of a request." },
        { "upload_bytes_max", CONF_SIZE, FIELD(ApiSettings, upload_bytes_max), RANGE(KIB, 64 * MIB), .fallback = "50M",
          .help = "Largest picture that a request may bring along." },
        { "uploads_bytes_max", CONF_SIZE, FIELD(ApiSettings, uploads_bytes_max), RANGE(KIB, GIB), .fallback = "100M",
          .help = "The pictures of one request together." },
        { "uploads_in_flight_max", CONF_SIZE, FIELD(ApiSettings, uploads_in_flight_max), RANGE(KIB, 1024 * GIB),
          .fallback = "1G",
          .help = "Those of all requests under way together, in files of /var/tmp; further ones get 503." },
        { "connections_max", CONF_INTEGER, FIELD(ApiSettings, connections_max), RANGE(1, 65536), .fallback = "16384",
          .help = "Client connections to each socket at a time. Takes effect at the next start." },
        { "connection_timeout", CONF_DURATION, FIELD(ApiSettings, connection_timeout),
          RANGE(TIMEOUT_MIN, (int64_t) USEC_PER_HOUR), .fallback = "30s",
          .help = "A client connection that sends or takes nothing for so long is closed. Takes effect at the next start." },
        { "worker_connections_max", CONF_INTEGER, FIELD(ApiSettings, worker_connections_max), RANGE(1, 1000),
          .fallback = "960", .help = "Connections to the worker at a time, one call each. Takes effect at the next start." },
        LIFETIME_SETTINGS(ApiSettings, "30s"),
        {},
};

static const ConfSetting worker_settings[] = {
        { "concurrency", CONF_INTEGER, FIELD(WorkerSettings, concurrency), RANGE(1, 1024), .fallback = "64",
          .help = "Jobs in progress at a time." },
        { "queue_max", CONF_INTEGER, FIELD(WorkerSettings, queue_max), RANGE(1, 10000000), .fallback = "100000",
          .help = "Jobs that may wait; further ones are refused with 503." },
        { "requests_per_minute", CONF_INTEGER, FIELD(WorkerSettings, requests_per_minute), "RATE_LIMIT_PER_MINUTE",
          RANGE(0, 1000000), .fallback = "0", .presets = { NULL, "30", "20" },
          .help = "Requests for images that a client's key may make in a minute, where it has no limit of its own; further "
                  "ones are refused with 429. 0 is no limit." },
        { "images_per_minute", CONF_INTEGER, FIELD(WorkerSettings, images_per_minute), RANGE(0, 1000000), .fallback = "0",
          .help = "The same for images that are made for them: those of the cache do not count." },
        { "attempts_max", CONF_INTEGER, FIELD(WorkerSettings, attempts_max), RANGE(1, 20), .fallback = "3",
          .help = "Attempts of one job: an attempt is made again where it was not charged and may go better, or where "
                  "retry_unknown says so." },
        { "retry_min", CONF_DURATION, FIELD(WorkerSettings, retry_min), RANGE(USEC_PER_MSEC, 2 * USEC_PER_MINUTE),
          .fallback = "500ms",
          .help = "Pause before the second attempt, less up to a quarter by chance, where the provider names none; it "
                  "doubles with each further one." },
        { "retry_max", CONF_DURATION, FIELD(WorkerSettings, retry_max), RANGE(USEC_PER_MSEC, 2 * USEC_PER_MINUTE),
          .fallback = "8s", .help = "The longest of these pauses." },
        { "breaker_failures", CONF_INTEGER, FIELD(WorkerSettings, breaker_failures), RANGE(1, 1000), .fallback = "5",
          .help = "Failures in a row after which a model at its provider is left alone (the circuit opens): its jobs "
                  "wait." },
        { "breaker_cooldown", CONF_DURATION, FIELD(WorkerSettings, breaker_cooldown),
          RANGE(USEC_PER_MSEC, (int64_t) USEC_PER_HOUR), .fallback = "30s",
          .help = "How long it is left alone before one job is tried, whose end decides." },
        { "job_timeout", CONF_DURATION, FIELD(WorkerSettings, job_timeout),
          RANGE(USEC_PER_MSEC, 30 * (int64_t) USEC_PER_DAY), .fallback = "15min",
          .help = "Deadline of a job, from its first attempt on: one that could only be tried again after it fails." },
        { "interruptions_max", CONF_INTEGER, FIELD(WorkerSettings, interruptions_max), RANGE(1, 1000), .fallback = "20",
          .help = "Attempts of one job over which the worker itself ended: bounds a job that ends it each time." },
        { "daily_budget", CONF_MONEY, FIELD(WorkerSettings, daily_budget), "DAILY_BUDGET_LIMIT", BUDGET_RANGE,
          .fallback = "$50", .help = "What all images of one day may cost." },
        { "monthly_budget", CONF_MONEY, FIELD(WorkerSettings, monthly_budget), BUDGET_RANGE, .fallback = "infinity",
          .help = "The same of one month." },
        { "total_budget", CONF_MONEY, FIELD(WorkerSettings, total_budget), BUDGET_RANGE, .fallback = "infinity",
          .help = "The same in all." },
        { "budget_alert", CONF_SHARE, FIELD(WorkerSettings, budget_alert), "COST_ALERT_THRESHOLD",
          RANGE(1, MICROS_PER_DOLLAR), .fallback = "80%", .help = "Share of a budget whose spending is alerted." },
        { "budget_pause", CONF_BOOL, FIELD(WorkerSettings, budget_pause), "AUTO_PAUSE_ON_BUDGET_EXCEEDED",
          .fallback = "true",
          .help = "Whether a request that goes past the daily budget stops all that cost money until the next day or "
                  "`atelierctl budget resume`; otherwise cheaper ones that still fit are taken." },
        { "over_budget", CONF_ENUM, FIELD(WorkerSettings, over_budget), .values = over_budget_names, .fallback = "refuse",
          .help = "What becomes of a request with Prefer: respond-async that does not fit into a budget, or comes while "
                  "spending is paused: it is refused, or its job waits until it fits." },
        { "time_zone", CONF_STRING, FIELD(WorkerSettings, time_zone), RANGE(1, 64), .fallback = "UTC",
          .help = "By whose clock days and months of budgets begin: a name such as Europe/Paris, in the system's zone "
                  "database." },
        { "optimise", CONF_ENUM, FIELD(WorkerSettings, optimise), .values = optimise_names, .fallback = "never",
          .help = "Whether requests are made cheaper where the prompt or what is left of the budget suggests it: never, "
                  "where a request asks for it, or always but where one asks not to." },
        { "optimise_quality_from", CONF_SHARE, FIELD(WorkerSettings, optimise_quality_from),
          RANGE(1, MICROS_PER_DOLLAR), .fallback = "70%",
          .help = "Share of a budget from which on the optimiser takes the next lower quality." },
        { "optimise_size_from", CONF_SHARE, FIELD(WorkerSettings, optimise_size_from), RANGE(1, MICROS_PER_DOLLAR),
          .fallback = "85%", .help = "The same for the size 1024x1024." },
        { "optimise_cache_from", CONF_SHARE, FIELD(WorkerSettings, optimise_cache_from), RANGE(1, MICROS_PER_DOLLAR),
          .fallback = "95%",
          .help = "The same for images that are there already, by the cache: others are refused, or wait for the budget." },
        { "images_per_request_max", CONF_INTEGER, FIELD(WorkerSettings, images_per_request_max),
          "MAX_IMAGES_PER_REQUEST", RANGE(1, 100), .presets = { "10", "5", "3" },
          .help = "Images of one request (n), whatever the model allows." },
        { "forbidden_terms", CONF_STRINGS, FIELD(WorkerSettings, forbidden_terms), "FORBIDDEN_TERMS", .element = &term,
          .help = "Words, and sequences of words, that no prompt may have in it, in whatever case." },
        { "prompt_min", CONF_INTEGER, FIELD(WorkerSettings, prompt_min), "PROMPT_MIN_LENGTH", RANGE(1, PROMPT_CHARS_MAX),
          .fallback = "1", .presets = { NULL, "10", "10" }, .help = "Characters (code points) that a prompt has at least." },
        { "prompt_max", CONF_INTEGER, FIELD(WorkerSettings, prompt_max), "PROMPT_MAX_LENGTH", RANGE(1, PROMPT_CHARS_MAX),
          .fallback = "1000000", .presets = { NULL, "1000", "1000" },
          .help = "And at most, as far as its model takes as many." },
        { "stall_timeout", CONF_DURATION, FIELD(WorkerSettings, stall_timeout),
          RANGE(TIMEOUT_MIN, (int64_t) USEC_PER_DAY), .fallback = "60s",
          .help = "With work waiting and no progress for so long the watchdog is no longer fed." },
        { "storage_free_min", CONF_SIZE, FIELD(WorkerSettings, storage_free_min), RANGE(0, 1024 * GIB),
          .fallback = "256M", .help = "With less space free, new jobs are refused and the health is degraded." },
        { "answers_bytes_max", CONF_SIZE, FIELD(WorkerSettings, answers_bytes_max), RANGE(MIB, 1024 * GIB),
          .fallback = "1G",
          .help = "Of the providers' answers under way together, as they are sent. Those that would pass it are read on "
                  "as others end, and lose none of their time by it; one of them is always read." },
        { "cache", CONF_ENUM, FIELD(WorkerSettings, cache), "ENABLE_CACHING", .values = cache_names, .fallback = "auto",
          .help = "Whether images answer the same request again: auto if cache_ttl says for how long, true (for an hour where that "
                  "does not say), false never." },
        { "cache_ttl", CONF_DURATION, FIELD(WorkerSettings, cache_ttl), "CACHE_TTL",
          RANGE(0, 365 * (int64_t) USEC_PER_DAY), .fallback = "0",
          .help = "For so long an image answers the same request again, at no cost; 0: never." },
        { "cache_bytes_max", CONF_SIZE, FIELD(WorkerSettings, cache_bytes_max), RANGE(MIB, 1024 * GIB),
          .fallback = "1G",
          .help = "Size of the images that do so; beyond it those go first that were asked for the longest ago. It is "
                  "not space that they take: they belong to their jobs." },
        { "cache_per_key", CONF_BOOL, FIELD(WorkerSettings, cache_per_key), .fallback = "false",
          .help = "Whether a client's requests are answered by images of its own key alone." },
        { "default_model", CONF_STRING, FIELD(WorkerSettings, default_model), RANGE(1, 128),
          .help = "Model of requests that name none; the first usable one while unset." },
        /* Longer than an attempt may take: what is paid for is waited for. */
        LIFETIME_SETTINGS(WorkerSettings, "6min"),
        {},
};

static const ConfSetting secrets_settings[] = {
        { "refresh", CONF_DURATION, FIELD(SecretsSettings, refresh), RANGE(USEC_PER_SEC, 24 * USEC_PER_HOUR), .fallback = "5min",
          .help = "How often what secret managers keep is fetched again. It is as well when a provider refuses a key." },
        { "aws_region", CONF_STRING, FIELD(SecretsSettings, aws_region), "AWS_REGION", RANGE(1, 64),
          .help = "Region of AWS Secrets Manager; that of the ARN while unset, where the secret is named by one." },
        { "aws_endpoint", CONF_URL, FIELD(SecretsSettings, aws_endpoint), "AWS_ENDPOINT_URL_SECRETS_MANAGER",
          .help = "Where it is asked, in place of the region's own address." },
        { "aws_metadata", CONF_URL, FIELD(SecretsSettings, aws_metadata), "AWS_EC2_METADATA_SERVICE_ENDPOINT",
          .fallback = "http://169.254.169.254",
          .help = "The instance metadata service (IMDSv2), which gives the credentials where no others are found." },
        { "aws_access_key", CONF_SECRET, FIELD(SecretsSettings, aws_access_key), .fallback = "credential:aws-access-key-id",
          .help = "Where the id of an access key is found, if there is one; the variable AWS_ACCESS_KEY_ID wins." },
        { "aws_secret_key", CONF_SECRET, FIELD(SecretsSettings, aws_secret_key), .fallback = "credential:aws-secret-access-key",
          .help = "And its secret; AWS_SECRET_ACCESS_KEY wins." },
        { "aws_session_token", CONF_SECRET, FIELD(SecretsSettings, aws_session_token),
          .help = "And the session token of one that is temporary; AWS_SESSION_TOKEN wins." },
        { "azure_tenant", CONF_STRING, FIELD(SecretsSettings, azure_tenant), "AZURE_TENANT_ID", RANGE(1, 64),
          .help = "Tenant of an application that may read an Azure Key Vault; the machine's managed identity does while unset." },
        { "azure_client", CONF_STRING, FIELD(SecretsSettings, azure_client), "AZURE_CLIENT_ID", RANGE(1, 64),
          .help = "Its client id; without a tenant that of the managed identity, where the machine has several." },
        { "azure_client_secret", CONF_SECRET, FIELD(SecretsSettings, azure_client_secret),
          .fallback = "credential:azure-client-secret",
          .help = "Where its client secret is found; AZURE_CLIENT_SECRET wins." },
        { "azure_authority", CONF_URL, FIELD(SecretsSettings, azure_authority), "AZURE_AUTHORITY_HOST",
          .fallback = "https://login.microsoftonline.com", .help = "Who gives the application its token." },
        { "azure_metadata", CONF_URL, FIELD(SecretsSettings, azure_metadata), "AZURE_POD_IDENTITY_AUTHORITY_HOST",
          .fallback = "http://169.254.169.254", .help = "Who gives the managed identity its token." },
        { "azure_domain", CONF_STRING, FIELD(SecretsSettings, azure_domain), RANGE(1, 64), .fallback = "vault.azure.net",
          .help = "What stands behind the name of a vault: vault.azure.cn, vault.usgovcloudapi.net in other clouds." },
        { "azure_endpoint", CONF_URL, FIELD(SecretsSettings, azure_endpoint),
          .help = "Where every vault is asked, in place of https://VAULT.azure_domain." },
        { "vault_address", CONF_URL, FIELD(SecretsSettings, vault_address), "VAULT_ADDR", .fallback = "https://127.0.0.1:8200",
          .help = "Where HashiCorp Vault is asked." },
        { "vault_namespace", CONF_STRING, FIELD(SecretsSettings, vault_namespace), "VAULT_NAMESPACE", RANGE(1, 255),
          .help = "Its namespace, where it has some." },
        { "vault_token", CONF_SECRET, FIELD(SecretsSettings, vault_token), .fallback = "credential:vault-token",
          .help = "Where the token is found, read anew each time: a file may be kept by an agent; VAULT_TOKEN wins." },
        {},
};

static const ConfSetting scheduler_settings[] = {
        { "backup_folder", CONF_STRING, FIELD(SchedulerSettings, backup_folder), RANGE(1, 255),
          .fallback = "/var/backups/atelier",
          .help = "Where archives are kept. Another folder must belong to atelier-scheduler and stand in "
                  "ReadWritePaths= of its unit. Takes effect at the next start." },
        LIFETIME_SETTINGS(SchedulerSettings, "30s"),
        {},
};
static const ConfSetting alerter_settings[] = {
        { "retry_min", CONF_DURATION, FIELD(AlerterSettings, retry_min), RANGE(10 * USEC_PER_MSEC, USEC_PER_HOUR),
          .fallback = "1s",
          .help = "Pause before a receiver that could not be told is tried again; it doubles each time." },
        { "retry_max", CONF_DURATION, FIELD(AlerterSettings, retry_max), RANGE(10 * USEC_PER_MSEC, USEC_PER_DAY),
          .fallback = "5min", .help = "The longest such pause." },
        { "retry_for", CONF_DURATION, FIELD(AlerterSettings, retry_for), RANGE(USEC_PER_SEC, 30 * USEC_PER_DAY),
          .fallback = "24h", .help = "How long an alert is tried to be sent before that is given up." },
        LIFETIME_SETTINGS(AlerterSettings, "30s"),
        {},
};

const ConfTable common_table = { NULL, common_settings, sizeof(CommonSettings) };
const ConfTable api_table = { "api", api_settings, sizeof(ApiSettings) };
const ConfTable worker_table = { "worker", worker_settings, sizeof(WorkerSettings) };
const ConfTable secrets_table = { "secrets", secrets_settings, sizeof(SecretsSettings) };
const ConfTable scheduler_table = { "scheduler", scheduler_settings, sizeof(SchedulerSettings) };
const ConfTable alerter_table = { "alerter", alerter_settings, sizeof(AlerterSettings) };

const ConfTable *const settings_tables[SETTINGS_TABLES_COUNT] = {
        &common_table, &api_table, &worker_table, &scheduler_table, &alerter_table, &secrets_table,
};

void settings_configs(Settings *settings, void *configs[static SETTINGS_TABLES_COUNT]) {
        configs[0] = &settings->common;
        configs[1] = &settings->api;
        configs[2] = &settings->worker;
        configs[3] = &settings->scheduler;
        configs[4] = &settings->alerter;
        configs[5] = &settings->secrets;
}
