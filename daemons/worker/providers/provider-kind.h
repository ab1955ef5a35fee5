/* What a kind of provider implements, and what all of them share. For provider.c and providers/ only. */
#pragma once

#include "providers/provider.h"

typedef struct ProviderKind {
        const char *name;
        const char *base_url;   /* when the settings give none; NULL: the kind dials nothing */
        bool paid;
        int (*generate)(Provider *provider, const GenerationRequest *request, GenerationDone done, void *userdata,
                        Generation **ret);
        void (*cancel)(Generation *generation);

        /* Starts the check; ends with provider_checked(). cancel_check() ends it without. */
        int (*check)(Provider *provider);
        void (*cancel_check)(Provider *provider);
} ProviderKind;

extern const ProviderKind provider_kind_sandbox;
extern const ProviderKind provider_kind_openai;
extern const ProviderKind provider_kind_openrouter;
extern const ProviderKind provider_kind_openai_compatible;

struct Provider {
        const ProviderKind *kind;
        ProviderContext context;
        char *name, *base_url;  /* base_url without a final slash */
        ProviderKeys keys;
        unsigned key_number;    /* of the one to send; 0: none */
        const char *key;        /* the same, in locked pages that core dumps leave out; NULL: none. An attempt under
                                 * way has its own, which may be another: Generation.key */
        char *app_url, *app_title;    /* NULL: not told */
        int server;               /* ServerKind, where the kind has such */
        usec_t connect_timeout, sandbox_delay;

        ProviderChecked checked;  /* of the check under way; NULL: none is */
        void *checked_userdata;
        usec_t checked_since;
        bool check_refused;       /* the key, by the last check */
        void *check;              /* the kind's own */
};

/* First member of every kind's generation. */
struct Generation {
        Provider *provider;
        GenerationDone done;
        void *userdata;
        GenerationPartial partial;  /* NULL: nobody looks */
        const char *key;            /* with which it was sent; NULL: none */
};

/* Hands a partial image out and frees what nobody took. */
void generation_tell_partial(Generation *generation, PartialImage *image);

/* Tells the caller of provider_check(). */
void provider_checked(Provider *provider, const char *message);

/* Fills in why there are no images. code, param and message may be NULL and are copied; what memory has no room for
 * stays NULL. `cause` is for the log. */
void generation_result_fail(GenerationResult *result, GenerationOutcome outcome, int status, const char *type,
                            const char *code, const char *message);
void generation_result_set_cause(GenerationResult *result, const char *format, ...) _printf_(2, 3);

/* Our own disk or memory failed (negative errno), not the provider. */
void generation_result_fail_locally(GenerationResult *result, GenerationOutcome outcome, int error);

/* Frees what nobody took. */
void generation_result_done(GenerationResult *result);
