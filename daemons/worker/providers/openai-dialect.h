/* What servers that speak like OpenAI's images API do differently. For providers/ only. */
#pragma once

#include "providers/provider-kind.h"
#include "providers/reply-sink.h"

typedef struct OpenaiDialect {
        const char *path;            /* behind the base URL */
        ReplyLayout layout;          /* of a reply that is no stream */
        bool reports_cost;           /* usage.cost: what it charged, in dollars */
        bool keeps_format;           /* output_format is sent, and kept to */
        bool errors_in_success;      /* a member `error`, whatever the status: nothing came of it, and it is free */

        /* The body, in JSON. -ENOMEM. */
        int (*format)(const Provider *provider, const GenerationRequest *request, char **ret);
} OpenaiDialect;

/* As ProviderKind has them. openai_check_at() asks GET `path`. */
int openai_generate_as(const OpenaiDialect *dialect, Provider *provider, const GenerationRequest *request,
                       GenerationDone done, void *userdata, Generation **ret);
void openai_cancel(Generation *generation);
int openai_check_at(Provider *provider, const char *path);
void openai_cancel_check(Provider *provider);

/* The members of a request that every dialect has, where they were given. */
int openai_add_terms(JsonValue *body, const GenerationRequest *request);
