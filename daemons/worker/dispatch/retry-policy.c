#include "dispatch/retry-policy.h"

#include "base/text.h"

#define TYPE_QUOTA "insufficient_quota"
#define TYPE_MODERATION "image_generation_user_error"

static bool is_one_of(const char *text, const char *const *names) {
        for (; *names; names++)
                if (text_equal(text, *names))
                        return true;
        return false;
}

/* The type tells all of them since it exists; older and compatible servers give a code alone. */
bool retry_is_quota(const char *type, const char *code) {
        static const char *const codes[] = {
                "insufficient_quota",
                "credit_balance_exhausted",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
                NULL,
        };

        return text_equal(type, TYPE_QUOTA) || is_one_of(code, codes);
}

static bool is_moderation(const char *type, const char *code) {
        static const char *const codes[] = { "moderation_blocked", "content_policy_violation", NULL };

        return text_equal(type, TYPE_MODERATION) || is_one_of(code, codes);
}

usec_t retry_backoff(usec_t delay_min, usec_t delay_max, unsigned retries_made, uint32_t chance) {
        usec_t delay = MIN(delay_min, delay_max);

        for (unsigned i = 0; i < retries_made && delay < delay_max; i++)
                delay = delay > delay_max / 2 ? delay_max : delay * 2;
        return delay - (delay / 4 * chance >> 32);
}

/* Of what was neither charged nor left in doubt, or may be repeated all the same. */
static bool may_go_better(const RetryEnd *end) {
        if (end->outcome != GENERATION_REFUSED)
                return true;
        return end->http_status == 408 || end->http_status == 409 || end->http_status == 429 ||
               end->http_status >= 500;
}

RetryVerdict retry_policy(const RetryEnd *end, const RetryLimits *limits, usec_t *ret_delay) {
        usec_t delay;

        if (retry_is_quota(end->type, end->code))
                return RETRY_NOT_QUOTA;
        if (is_moderation(end->type, end->code))
                return RETRY_NOT_MODERATED;
        if (end->local && end->outcome == GENERATION_REFUSED)
                return RETRY_NOT_REPEATABLE;
        if (end->outcome == GENERATION_UNKNOWN && !limits->retry_unknown)
                return RETRY_NOT_CHARGEABLE;
        if (end->retry_after > RETRY_AFTER_MAX_USEC)
                return RETRY_NOT_SO_LATE;
        if (end->hint == RETRY_HINT_NO)
                return RETRY_NOT_HINTED;
        if (end->hint != RETRY_HINT_YES && !may_go_better(end))
                return RETRY_NOT_REPEATABLE;
        if (limits->retries_made + 1 >= limits->attempts_max)
                return RETRY_NOT_MORE;

        delay = end->retry_after ?: retry_backoff(limits->delay_min, limits->delay_max, limits->retries_made,
                                                  limits->chance);
        if (delay > limits->time_left)
                return RETRY_NOT_IN_TIME;
        *ret_delay = delay;
        return RETRY_LATER;
}

bool retry_may_fall_back(RetryVerdict verdict, const RetryEnd *end) {
        switch (verdict) {
        case RETRY_NOT_QUOTA:
                return end->outcome == GENERATION_REFUSED;
        case RETRY_NOT_SO_LATE:
        case RETRY_NOT_MORE:
        case RETRY_NOT_IN_TIME:
                return true;
        case RETRY_NOT_HINTED:
                return may_go_better(end);
        case RETRY_NOT_REPEATABLE:     /* of the key, which is ours, and of a model that is not there any more */
                return !end->local && (end->http_status == 401 || end->http_status == 402 || end->http_status == 404);
        default:
                return false;
        }
}

const char *retry_verdict_reason(RetryVerdict verdict) {
        static const char *const reasons[_RETRY_VERDICTS] = {
                [RETRY_LATER] = "it is tried again",
                [RETRY_NEXT_KEY] = "another key is used",
                [RETRY_NEXT_MODEL] = "another model is asked",
                [RETRY_NOT_REPEATABLE] = "it would be answered alike",
                [RETRY_NOT_MODERATED] = "the prompt was rejected",
                [RETRY_NOT_QUOTA] = "the provider's quota is exhausted",
                [RETRY_NOT_CHARGEABLE] = "it may have been charged",
                [RETRY_NOT_HINTED] = "the provider asks not to",
                [RETRY_NOT_SO_LATE] = "the provider asks to wait too long",
                [RETRY_NOT_MORE] = "worker.attempts_max is reached",
                [RETRY_NOT_IN_TIME] = "the job's deadline (worker.job_timeout) comes first",
        };

        return reasons[verdict];
}
