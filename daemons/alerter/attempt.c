#include "attempt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "url-mask.h"

#define ANSWER_BYTES_MAX (64 * 1024)
#define WORDS_BYTES_MAX 160              /* of the answer that are shown */

struct Attempt {
        HttpTransfer *transfer;
        AttemptDone done;
        void *userdata;
        char *url;               /* which the answer may quote */
        AttemptResult result;
        char words[WORDS_BYTES_MAX + 1];
        size_t words_size;
};

/* Seconds; the other form, a date, is not worth its clock. */
static void on_header(_unused_ HttpTransfer *transfer, const char *name, const char *value, void *userdata) {
        Attempt *attempt = userdata;
        uint64_t seconds;

        if (text_equal(name, "retry-after") && text_to_unsigned(value, UINT32_MAX, &seconds) >= 0)
                attempt->result.retry_after = MIN(seconds * USEC_PER_SEC, ATTEMPT_RETRY_AFTER_MAX);
}

static int on_body(_unused_ HttpTransfer *transfer, const void *data, size_t size, void *userdata) {
        Attempt *attempt = userdata;
        size_t taken = MIN(size, WORDS_BYTES_MAX - attempt->words_size);

        memcpy(attempt->words + attempt->words_size, data, taken);
        attempt->words_size += taken;
        return 0;
}

/* An answer is one whether or not the rest of it arrived. */
static AttemptOutcome judge(const HttpResult *result) {
        if (result->error == -ECANCELED)
                return ATTEMPT_CANCELLED;
        if (result->status >= 200 && result->status < 300)
                return ATTEMPT_SENT;
        if (result->status == 0 || result->status == 408 || result->status == 429 || result->status >= 500)
                return ATTEMPT_RETRY;
        return ATTEMPT_REFUSED;
}

static void explain(Attempt *attempt, const HttpResult *result) {
        char *error = attempt->result.error;
        size_t size = sizeof(attempt->result.error);

        if (attempt->result.outcome == ATTEMPT_SENT)
                return;
        if (result->status == 0)
                (void) snprintf(error, size, "%s", result->message);
        else if (attempt->words_size > 0)
                (void) snprintf(error, size, "HTTP %ld: %s", result->status, attempt->words);
        else
                (void) snprintf(error, size, "HTTP %ld", result->status);
        url_mask(error, attempt->url);
}

static Attempt *attempt_free(Attempt *attempt) {
        if (attempt)
                (void) secret_free(attempt->url);
        free(attempt);
        return NULL;
}
DEFINE_CLEANUP(Attempt *, attempt_free);

static void on_done(_unused_ HttpTransfer *transfer, const HttpResult *result, void *userdata) {
        Attempt *attempt = userdata;

        attempt->words[attempt->words_size] = 0;
        attempt->result.outcome = judge(result);
        explain(attempt, result);
        attempt->done(&attempt->result, attempt->userdata);
        (void) attempt_free(attempt);
}

static char *idempotency_header(const Receiver *receiver, const Notice *notice) {
        return text_format("Idempotency-Key: %s-%s-%s", notice->alert->id, receiver->name,
                           alert_state_name(notice->state));
}

int attempt_start(Attempt **ret, HttpClient *http, const Receiver *receiver, const Notice *notice, AttemptDone done,
                  void *userdata) {
        static const HttpHandlers handlers = { .header = on_header, .body = on_body, .done = on_done };
        _cleanup_(attempt_freep) Attempt *attempt = calloc(1, sizeof(*attempt));
        _cleanup_free_ char *idempotency = idempotency_header(receiver, notice);
        _cleanup_(buffer_done) Buffer body = {};
        const char *headers[] = {
                "Content-Type: application/json",
                "User-Agent: atelier/" ATELIER_VERSION,
                receiver->notifier->idempotency_key ? idempotency : NULL,
                NULL,
        };
        HttpRequest request = {
                .method = "POST",
                .url = receiver->url,
                .headers = headers,
                .timeout = receiver->timeout,
                .body_bytes_max = ANSWER_BYTES_MAX,
        };
        int r;

        if (!attempt || !idempotency || !(attempt->url = strdup(receiver->url)))
                return -ENOMEM;
        r = receiver->notifier->format(notice, &body);
        if (r < 0)
                return r;
        request.body = body.data;
        request.body_size = body.size;
        attempt->done = done;
        attempt->userdata = userdata;
        r = http_client_start(http, &request, &handlers, attempt, &attempt->transfer);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(attempt);
        return 0;
}

void attempt_cancel(Attempt *attempt) {
        http_transfer_cancel(attempt->transfer);
}
