/* An HTTP request that is answered by a call to the worker. */
#pragma once

#include "http-request.h"
#include "manager.h"
#include "worker-client.h"

enum {
        EXCHANGE_CONTINUES = 1, /* another exchange was begun for the request, which will answer it */
        EXCHANGE_ANSWERED, /* the request has its answer */
};

typedef struct ExchangeKind {
        WorkerMethod method;
        bool anonymous; /* the method takes no `caller` */
        /* Adds the members of the parameters but `caller`. `prepared` is what was given to exchange_start(), at the
         * first try, and is taken over; later NULL. */
        int (*build)(HttpRequest *request, JsonValue *parameters, JsonValue *prepared);
        /* What travels with the call, the request's own; -1: nothing. NULL: nothing ever does. */
        int (*fd)(HttpRequest *request);
        /* Told of each reply that is not the final one; may answer the request. A negative errno breaks off what was
         * answered, or is the answer. NULL: nobody looks. */
        int (*progress)(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply);
        /* Makes the answer from a final reply without an error. Returns 0, an outcome or a negative errno. */
        int (*answer)(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret);
        /* Instead of the usual answer to an error; may be NULL. */
        int (*fail)(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret);
} ExchangeKind;

/* The usual answer to an error. */
void exchange_read_error(HttpRequest *request, const VarlinkReply *reply, ApiError *error);

/* Always leads to an answer. `kind` is static; `prepared` (may be NULL) is taken over. */
void exchange_start(ApiManager *manager, HttpRequest *request, const ExchangeKind *kind, JsonValue *prepared);
