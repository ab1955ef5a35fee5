/* What makes images: one form for every service.
 *
 * A Provider is a configured instance ("openai" at a base URL with a key). A Generation is one attempt under way. The
 * dispatcher starts it after the attempt is durable, and is told exactly once how it ended; what is unknown is said
 * so, because money hangs on it. Nothing here reads or writes the database. */
#pragma once

#include "base/json.h"
#include "base/macro.h"
#include "base/money.h"
#include "base/time.h"
#include "images/image-store.h"
#include "io/http-client.h"
#include "io/thread-pool.h"
#include "providers/provider-keys.h"

typedef struct Provider Provider;
typedef struct Generation Generation;

#define GENERATION_IMAGES_MAX 10

/* A picture on the way to the image that was asked for. Valid during the call; what is taken is set to NULL by the
 * taker, the rest is freed by the provider. */
typedef struct PartialImage {
        unsigned index;              /* from 0, as the provider counts */
        TemporaryImage *file;        /* whole and checked; never kept */
        JsonValue *reply;            /* background, output_format, size, quality as given; or NULL */
} PartialImage;

#define PARTIAL_IMAGES_MAX 3

/* From the loop, before `done`, at most partial_images times, with the same userdata. Must not cancel. */
typedef void (*GenerationPartial)(PartialImage *image, void *userdata);

/* A file of the image store to be worked on; the mask is the last one. */
typedef struct GenerationUpload {
        bool mask;
        const char *sha256;
        ImageFormat format;
        uint64_t size_bytes;
} GenerationUpload;

#define GENERATION_UPLOADS_MAX 17

/* All strings belong to the caller and are copied. NULL: not given, so not sent. */
typedef struct GenerationRequest {
        const char *job_id;
        const char *model;           /* the provider's own name of it */
        const char *prompt;
        unsigned n;                  /* 1 to GENERATION_IMAGES_MAX */
        const char *size;            /* "1024x1024", "auto" or NULL */
        unsigned width, height;      /* of `size`, 0 when it is not WxH */
        const char *quality, *style, *background, *moderation, *output_format, *user;
        const char *input_fidelity;  /* of an edit */
        GenerationUpload uploads[GENERATION_UPLOADS_MAX];
        unsigned n_uploads;          /* 0: a picture from nothing but words; else an edit */
        int output_compression;      /* -1: not given */
        bool send_response_format;   /* the model takes response_format: b64_json is asked for */
        bool chat;                   /* the model is asked by the chat route */
        char *const *modalities;     /* of such a one; NULL: "image" and "text" */
        bool stream;                 /* the image is asked for as a stream of events; n is 1 */
        unsigned partial_images;     /* of a stream: 0 to PARTIAL_IMAGES_MAX */
        GenerationPartial partial;   /* NULL: nobody looks at them */
        usec_t timeout;              /* of the attempt */
} GenerationRequest;

typedef enum GenerationOutcome {
        GENERATION_COMPLETED,
        GENERATION_REFUSED,   /* the provider answered with an error: not charged */
        GENERATION_UNSENT,    /* it never got the request: not charged, may be tried again */
        GENERATION_UNKNOWN,   /* it may have got it and may have charged for it */
} GenerationOutcome;

typedef struct GeneratedImage {
        TemporaryImage *file;        /* whole, checked, not yet durable; taken over by whoever takes it */
        char *revised_prompt;
        bool other_format;           /* than the request asked for */
} GeneratedImage;

/* x-should-retry: whether the provider wants to be asked again. */
typedef enum RetryHint {
        RETRY_HINT_NONE,
        RETRY_HINT_YES,
        RETRY_HINT_NO,
} RetryHint;

/* What a provider says of one of its rates (x-ratelimit-*). */
typedef struct RateFacts {
        bool said;                   /* how much remains */
        int64_t limit, remaining;    /* limit 0: not said */
        usec_t reset;                /* until nothing is used any more; 0: not said */
} RateFacts;

/* Valid during `done`; what is taken is set to NULL by the taker, the rest is freed by the provider. */
typedef struct GenerationResult {
        GenerationOutcome outcome;
        GeneratedImage images[GENERATION_IMAGES_MAX];
        unsigned n_images;
        JsonValue *usage;            /* or NULL */
        bool cost_told;              /* the provider says what it charged: … */
        micros_t cost;               /* … so much, rounded up */
        JsonValue *reply;            /* background, output_format, size, quality as given; or NULL */
        char *provider_request_id;   /* or NULL */

        /* When not completed: as it shall reach the client, in OpenAI's terms. */
        int status;                  /* HTTP */
        char *type, *code, *param, *message;  /* each may be NULL: not said, or no memory */
        int http_status;             /* the provider's own, before translation; 0: it gave none */
        bool local;                  /* our own disk or memory failed, not the provider */
        usec_t retry_after;          /* as the provider asked; 0: it did not */
        RetryHint hint;
        char *cause;                 /* for the attempt history and the log; no secrets */

        RateFacts requests, tokens;  /* in every case */
} GenerationResult;

typedef void (*GenerationDone)(GenerationResult *result, void *userdata);

typedef struct Secrets Secrets;

/* Filled in by each kind of provider. */
typedef struct ProviderContext {
        sd_event *event;
        HttpClient *http;
        ThreadPool *threads;
        ImageStore *images;
        const Secrets *secrets;      /* NULL: only those on this machine can be resolved */
} ProviderContext;

typedef struct ProviderSettings {
        const char *name;            /* the instance */
        const char *kind;            /* sandbox, openai, openrouter, openai-compatible */
        const char *base_url;        /* NULL: the kind's own */
        const char *key;             /* secret; as provider_add_key(); NULL: none */
        const char *app_url, *app_title;   /* openrouter: on whose behalf; may be NULL */
        int server;                  /* openai-compatible: ServerKind */
        usec_t connect_timeout;
        usec_t sandbox_delay;        /* sandbox: how long a picture takes (tests, rehearsals) */
} ProviderSettings;

/* -EINVAL: unknown kind, or a base_url that is not http(s). */
int provider_new(Provider **ret, const ProviderContext *context, const ProviderSettings *settings);
Provider *provider_free(Provider *provider);  /* no generation may be under way */
DEFINE_CLEANUP(Provider *, provider_free);

const char *provider_name(const Provider *provider);
bool provider_is_paid(const Provider *provider);
bool provider_has_key(const Provider *provider);  /* true as well for those that need none: only a service at its own
                                                   * address does, not a compatible server elsewhere */

/* A further key, used when those before it are set aside: copied into locked memory, and wiped there at the end. NULL:
 * the settings name one that is not there. -E2BIG past KEYS_MAX. */
int provider_add_key(Provider *provider, const char *key);
unsigned provider_key_count(const Provider *provider);

/* Number of the key with which the last attempt or check began; 0: without one. */
unsigned provider_key_number(const Provider *provider);
KeyFault provider_key_fault(const Provider *provider, unsigned number);

/* The provider has refused the key of that number. False: it was set aside already, or there is none. */
bool provider_set_key_aside(Provider *provider, unsigned number, KeyFault fault);
bool provider_keys_all_aside(const Provider *provider);   /* there are some, and no attempt can be made */
int provider_describe_keys(const Provider *provider, Buffer *text);   /* as provider_keys_describe() */

/* Starts an attempt. `done` is called exactly once and later, from the loop, never from here. */
int provider_generate(Provider *provider, const GenerationRequest *request, GenerationDone done, void *userdata,
                      Generation **ret);
void generation_cancel(Generation *generation);  /* `done` comes before this returns, GENERATION_UNKNOWN if sent */

/* A call that costs nothing (GET /models), with the key of that number, or 0: the one that an attempt would have. `message` is NULL when all is well. Called once, from the loop, unless the
 * provider is freed before. -EBUSY while one is under way. */
typedef void (*ProviderChecked)(Provider *provider, bool ok, usec_t latency, const char *message, void *userdata);
int provider_check(Provider *provider, unsigned key, ProviderChecked checked, void *userdata);

/* In `checked`: was the key refused, whatever else may be wrong? */
bool provider_check_refused(const Provider *provider);
