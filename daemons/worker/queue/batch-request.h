/* The inner side of the batches' calls. */
#pragma once

#include "keys/key-rates.h"
#include "queue/queue-private.h"
#include "store/store-batch.h"

/* One call about a batch. */
typedef struct BatchRequest {
        QueueRequest request;        /* first; its own id is not used */
        char id[BATCH_ID_MAX];
        Batch *batch;                /* as it was read */
        const RateClaim *rates;      /* that the answer tells of; NULL: none */
} BatchRequest;

void batch_request_init(BatchRequest *request, Queue *queue, VarlinkCall *call, const Caller *caller, const char *id,
                        int (*apply)(Write *, Store *), void (*done)(Write *, int));
void batch_request_done(BatchRequest *request);   /* what is not the QueueRequest's */

static inline BatchRequest *batch_request_of(Write *write) {
        return CONTAINER_OF(CONTAINER_OF(write, QueueRequest, write), BatchRequest, request);
}

/* Reads the batch of its id. STORE_NOT_FOUND as well when the caller may not see it. */
int batch_request_read(BatchRequest *request, Store *store);

/* The answer: the batch, or what else there is to say; says nothing where the client has gone. */
void batch_request_answer(BatchRequest *request, int result);
int batch_reply_result(VarlinkCall *call, const char *id, int result);
