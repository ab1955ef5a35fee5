/* Every setting of Atelier: one struct and one table a daemon, and the lists of providers, models, prices and
 * receivers. */
#pragma once

#include "base/money.h"
#include "base/time.h"
#include "conf/conf.h"

typedef enum Environment {
        ENVIRONMENT_DEVELOPMENT,
        ENVIRONMENT_STAGING,
        ENVIRONMENT_PRODUCTION,
} Environment;

typedef enum ProviderKind {
        PROVIDER_SANDBOX,             /* draws a picture itself, free of charge */
        PROVIDER_OPENAI,              /* OpenAI, or a server that speaks as it does */
        PROVIDER_OPENROUTER,
        PROVIDER_OPENAI_COMPATIBLE,   /* a server of one's own */
} ProviderKind;

typedef enum ReceiverKind {
        RECEIVER_SLACK,
        RECEIVER_WEBHOOK,
        RECEIVER_JOURNALD,
} ReceiverKind;

#define PROVIDER_KEYS_MAX 8         /* of one provider */
#define MODEL_FALLBACKS_MAX 4       /* of one model */
#define WEBHOOK_SECRETS_MAX 4       /* of one endpoint */

#define RECEIVER_NAME_JOURNALD "journald"   /* that of the one which is always there */

typedef enum AnswerForm {
        ANSWER_URL,
        ANSWER_B64_JSON,
} AnswerForm;

/* What becomes of a job that does not fit into its budget and that nobody waits for. */
typedef enum OverBudget {
        OVER_BUDGET_REFUSE,
        OVER_BUDGET_HOLD,             /* until there is room for it */
} OverBudget;

/* Whether requests are made cheaper where that may serve. */
typedef enum OptimiseRequests {
        OPTIMISE_NEVER,
        OPTIMISE_ASKED,               /* those that ask for it */
        OPTIMISE_ALWAYS,              /* but those that ask not to be */
} OptimiseRequests;

/* Whether images may answer other requests. */
typedef enum UseCache {
        CACHE_AUTO,                   /* as cache_ttl says */
        CACHE_ON,
        CACHE_OFF,
} UseCache;

typedef enum RequireKey {
        REQUIRE_KEY_AUTO,             /* once there is one */
        REQUIRE_KEY_ALWAYS,
        REQUIRE_KEY_NEVER,            /* of those on this machine */
} RequireKey;

/* Top level. */
typedef struct CommonSettings {
        int environment;              /* Environment; ENV_NAME */
        bool debug;                   /* DEBUG; has set log_level already */
        int log_level;                /* syslog level: LOG_DEBUG, …; LOG_LEVEL (any case) */
        bool trust_loopback;          /* TCP clients on loopback may spend money; for api and worker alike */
        int require_key;              /* RequireKey; of clients that are no members */
        ConfGroups providers;         /* of ProviderConf */
        ConfGroups models;            /* of ModelConf */
        ConfGroups receivers;         /* of ReceiverConf */
        ConfGroups prices;            /* of PriceConf */
        ConfGroups webhooks;          /* of WebhookConf */
} CommonSettings;

typedef struct ProviderConf {
        char *name;
        int kind;                     /* ProviderKind */
        unsigned environments;        /* 1 << Environment of those in which it is used */
        bool enabled;                 /* by `environments`; no setting of its own */
        char *base_url;               /* without final slash */
        char *app_url, *app_title;    /* told to OpenRouter; may be NULL */
        int server;                   /* ServerKind of server-quirks.h; of the kind openai-compatible */
        char *key;                    /* reference */
        char **keys;                  /* references in order of preference, in place of `key`; may be NULL or empty */
        usec_t connect_timeout, timeout;
        bool retry_unknown;           /* an attempt with unknown outcome may be made again */
        int64_t concurrency;          /* generations at a time */
        int64_t images_per_minute;    /* that are asked for; 0: as many as come */
        usec_t delay;                 /* sandbox: how long a picture takes */
} ProviderConf;

typedef struct ModelConf {
        char *name;
        char *provider;
        char *provider_model;         /* its name there; never NULL: the name where the file says nothing */
        char **sizes;                 /* "1024x1024", …, "auto"; with free_sizes: those beside the rule */
        bool free_sizes;              /* WxH by edge_multiple, edge_min, edge_max, pixels_min, pixels_max, ratio_max */
        int64_t edge_multiple, edge_min, edge_max, pixels_min, pixels_max, ratio_max;
        char **qualities;
        char **formats;               /* output_format values; empty or NULL: the field is refused */
        char *default_size, *default_quality;   /* what is sent when the request says nothing; NULL: not sent */
        micros_t daily_budget, monthly_budget, total_budget;   /* of this model alone */
        int64_t images_max;           /* n */
        int64_t prompt_max;           /* code points */
        int answer;                   /* AnswerForm when response_format is not given */
        bool takes_response_format;   /* the provider takes the field */
        bool gpt_fields;              /* background, moderation, output_format, output_compression */
        bool streams;                 /* stream, partial_images */
        bool style;                   /* takes `style` */
        bool chat;                    /* is asked by the chat route of OpenRouter … */
        char **modalities;            /* … for these; empty or NULL: image and text */
        int64_t edit_images_max;      /* images that it can be given to edit; 0: it makes no edits */
        uint64_t edit_bytes_max;      /* of each of them */
        bool input_fidelity;          /* takes `input_fidelity` */
        char *owned_by;
        int64_t created;              /* seconds since 1970 */
        char *alias_of;               /* the model that is asked in its place, or NULL: it has that one's provider, and
                                       * its images_max, prompt_max and what it takes to edit at most */
        char **translated_sizes, **translated_qualities;  /* of an alias: "FROM TO"; see model-terms.h */
        char *shutdown_date;          /* "2026-12-01", in UTC; NULL: none is known. Of an alias its model's, if earlier */
        char **fallback;              /* models that may make its jobs in its place, in their order; may be NULL */
        char *replaced_by;            /* what to ask for instead from then on, or NULL */
        usec_t shutdown;              /* by shutdown_date; USEC_INFINITY: never. No setting of its own */
} ModelConf;

typedef struct ReceiverConf {
        char *name;                   /* letters, digits, "._-" */
        int kind;                     /* ReceiverKind; that of journald has no other name than this */
        char *url;                    /* reference; NULL for journald */
        int severity;                 /* the least: 0 info, 1 warning, 2 critical */
        usec_t timeout;               /* of one request */
} ReceiverConf;

/* What a provider's model costs from a day on; the newest entry whose day has come counts. */
typedef struct PriceConf {
        char *name;
        char *provider;
        char *model;                  /* as the provider calls it */
        char *from;                   /* "2026-04-21", in UTC */
        usec_t since;                 /* by `from`; no setting of its own */
        char **per_image;             /* price_line_parse_image() */
        char **per_million_tokens;    /* price_line_parse_tokens() */
} PriceConf;

/* Who is told of the end of jobs. */
typedef struct WebhookConf {
        char *name;                   /* letters, digits, "_-" */
        char *url;
        char **secrets;               /* references; each signs */
        bool all;                     /* told of every job, and not only of those that name it */
        usec_t timeout;               /* of one request */
} WebhookConf;

typedef struct ApiSettings {
        char *public_url;             /* base of image links, without final slash; NULL: from Host */
        int64_t refused_keys_per_minute;  /* of an address; 0: as many as come */
        char **cors_origins;          /* of web pages that may ask */
        usec_t cors_max_age;          /* for which a browser may keep the answer to a preflight */
        char **hosts;                 /* further names taken in Host; may be NULL */
        char *tls_certificate, *tls_key;  /* absolute paths of PEM files, of the socket for TLS; never NULL */
        bool require_https;           /* of /v1 on TCP */
        char **trusted_proxies;       /* network_valid(); may be NULL */
        uint64_t body_bytes_max;      /* of a request */
        uint64_t upload_bytes_max;    /* of one picture that is uploaded */
        uint64_t uploads_bytes_max;   /* of those of one request */
        uint64_t uploads_in_flight_max;  /* of those of all requests under way */
        int64_t connections_max;
        usec_t connection_timeout;    /* a connection that sends or takes nothing for so long is closed */
        usec_t idle_timeout;          /* exit after so long without work */
        usec_t drain_timeout;         /* at stop: how long accepted requests may take */
        int64_t worker_connections_max;
} ApiSettings;

typedef struct WorkerSettings {
        int64_t concurrency;          /* jobs in progress at a time */
        int64_t requests_per_minute, images_per_minute;  /* of a client's key, where it says nothing of it; 0: no limit */
        int64_t queue_max;            /* jobs that wait; further ones are refused with 503 */
        int64_t attempts_max;         /* of one job; those that the end of the worker interrupted apart */
        usec_t retry_min, retry_max;  /* between two attempts, where the provider names no time */
        int64_t breaker_failures;     /* in a row of a model at its provider: no attempt begins then, */
        usec_t breaker_cooldown;      /* for so long */
        usec_t job_timeout;           /* no further attempt begins so long after the first */
        int64_t interruptions_max;    /* attempts of a job over which the worker may have ended */
        micros_t daily_budget, monthly_budget, total_budget;   /* of all that is paid; MICROS_INFINITY: no limit */
        int64_t budget_alert;         /* millionths of a budget; COST_ALERT_THRESHOLD */
        bool budget_pause;            /* AUTO_PAUSE_ON_BUDGET_EXCEEDED */
        int over_budget;              /* OverBudget */
        char *time_zone;              /* of budgets' days */
        int optimise;                 /* OptimiseRequests */
        int64_t optimise_quality_from, optimise_size_from, optimise_cache_from;  /* millionths of a budget */
        char **forbidden_terms;       /* FORBIDDEN_TERMS; may be NULL */
        int64_t prompt_min, prompt_max;  /* code points; PROMPT_MIN_LENGTH, PROMPT_MAX_LENGTH */
        int64_t images_per_request_max;  /* MAX_IMAGES_PER_REQUEST; presets 10, 5, 3 */
        usec_t stall_timeout;         /* queue with work and no progress: the watchdog is not fed */
        usec_t idle_timeout, drain_timeout;
        uint64_t storage_free_min;    /* below it /health says degraded and submissions get 503 */
        uint64_t answers_bytes_max;   /* of the providers' answers under way; beyond it their transfers pause */
        int cache;                    /* UseCache; has set cache_ttl already */
        usec_t cache_ttl;             /* 0: no image answers another request */
        uint64_t cache_bytes_max;     /* of the images that may */
        bool cache_per_key;           /* only requests of the same key */
        char *default_model;          /* where the file says nothing: the first whose provider is enabled; else NULL */
} WorkerSettings;

typedef struct SchedulerSettings {
        char *backup_folder;          /* absolute; never NULL */
        usec_t idle_timeout, drain_timeout;
} SchedulerSettings;

typedef struct AlerterSettings {
        usec_t retry_min, retry_max;  /* between two tries to tell a receiver; the least grows to the most */
        usec_t retry_for;             /* then it is given up */
        usec_t idle_timeout, drain_timeout;
} AlerterSettings;

/* How the worker asks secret managers. */
typedef struct SecretsSettings {
        usec_t refresh;
        char *aws_region, *aws_endpoint;      /* may be NULL */
        char *aws_metadata;
        char *aws_access_key, *aws_secret_key, *aws_session_token;  /* references, to what may not be there; the last may be NULL */
        char *azure_tenant, *azure_client;    /* may be NULL */
        char *azure_client_secret;            /* reference */
        char *azure_authority, *azure_metadata, *azure_domain;
        char *azure_endpoint;                 /* may be NULL */
        char *vault_address;
        char *vault_namespace;                /* may be NULL */
        char *vault_token;                    /* reference */
} SecretsSettings;

typedef struct Settings {
        CommonSettings common;
        ApiSettings api;
        WorkerSettings worker;
        SchedulerSettings scheduler;
        AlerterSettings alerter;
        SecretsSettings secrets;
} Settings;

/* As conf_load(), and what concerns several settings at once: a model's provider exists, the default model exists,
 * DEBUG lowers the log level, NAME_API_KEY in the environment is the key of provider NAME and NAME_WEBHOOK_URL the URL
 * of receiver NAME. */
int settings_load(Settings **ret, const ConfSources *sources, Buffer *errors);
Settings *settings_free(Settings *settings);
DEFINE_CLEANUP(Settings *, settings_free);

/* All settings in force, as conf_format(); where each was given as well, unless `origins` is NULL. */
int settings_format(const Settings *settings, const ConfOrigins *origins, Buffer *buffer);

/* All settings there are, as Markdown. */
int settings_document(Buffer *buffer);

/* By name; NULL when there is none. */
ProviderConf *settings_find_provider(const Settings *settings, const char *name);
ModelConf *settings_find_model(const Settings *settings, const char *name);
const WebhookConf *settings_find_webhook(const Settings *settings, const char *name);

/* The reference to the provider's key of that number, from 1 on; NULL past the last. */
const char *settings_provider_key(const ProviderConf *provider, unsigned number);

/* The model that is asked for `model`: that of an alias, else itself. Never NULL in settings that were loaded. */
const ModelConf *settings_model_asked(const Settings *settings, const ModelConf *model);

/* True when the model's provider is used in this environment. */
bool settings_model_usable(const Settings *settings, const ModelConf *model);
