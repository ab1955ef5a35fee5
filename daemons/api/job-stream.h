/* Exchanges that are answered by a stream of events: what they have in common. */
#pragma once

#include "exchange.h"

/* The request's stream, which is begun, and the request answered with it, if it is not there yet. -ECANCELED when the
 * request has an answer of another kind. */
int job_stream_get(ApiManager *manager, HttpRequest *request, const JsonValue *job, EventStream **ret);

/* Pushes what was made, or hands up why it could not be (r < 0). Takes `event` over. */
int job_stream_push(EventStream *stream, int r, EventKind kind, ImageStream *event);

/* The partial image that a reply brings, unless the client has been shown it: a job that is tried again begins with
 * the first one. NULL: none. */
const JsonValue *job_stream_partial(EventStream *stream, const VarlinkReply *reply);

/* For ExchangeKind.fail: as an event if the stream has begun, else as an answer of its own. */
int job_stream_fail(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret);
