#include "dispatch/rate-window.h"

#include "dispatch/retry-policy.h"

static usec_t bucket_wait(const RateWindow *window, usec_t now) {
        int64_t filled;

        if (now >= window->full_at)
                return 0;
        filled = (int64_t) ((now - window->told_at) / window->interval);
        if (window->left + filled > 0)
                return 0;
        return MIN(window->told_at + (usec_t) (1 - window->left) * window->interval, window->full_at);
}

usec_t rate_window_wait(const RateWindow *window, usec_t now) {
        usec_t wait = bucket_wait(window, now);

        return now < window->hold_until ? MAX(wait, window->hold_until) : wait;
}

void rate_window_take(RateWindow *window) {
        window->left--;
}

static void tell_requests(RateWindow *window, const RateFacts *facts, usec_t now) {
        int64_t used = facts->limit - facts->remaining;

        if (!facts->said || facts->reset == 0)
                return;
        window->left = facts->remaining;
        window->told_at = now;
        window->full_at = now + MIN(facts->reset, RATE_HOLD_MAX_USEC);
        window->interval = MAX(used > 1 ? facts->reset / (usec_t) used : facts->reset, (usec_t) 1);
}

static void hold(RateWindow *window, usec_t delay, usec_t now) {
        usec_t until = now + MIN(delay, RATE_HOLD_MAX_USEC);

        window->hold_until = MAX(window->hold_until, until);
}

void rate_window_tell(RateWindow *window, const RateLimits *limits, const GenerationResult *result, usec_t now) {
        tell_requests(window, &result->requests, now);
        if (result->tokens.said && result->tokens.remaining == 0)
                hold(window, result->tokens.reset, now);

        if (result->http_status == 0)
                return;
        if (result->http_status != 429 || retry_is_quota(result->type, result->code)) {
                window->refusals = 0;
                return;
        }
        hold(window,
             result->retry_after ?: retry_backoff(limits->pause_min, limits->pause_max, window->refusals, 0), now);
        window->refusals++;
}
