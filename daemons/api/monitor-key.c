#include "monitor-key.h"

#include <errno.h>

#include "bearer-token.h"
#include "exchange.h"

static int answer_by_route(ApiManager *manager, HttpRequest *request, _unused_ const VarlinkReply *reply,
                           _unused_ HttpReply **ret) {
        const char *token = bearer_token(http_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION));

        /* It has just been found good, and is known by that. Should there be no memory to know it by, nobody asks for ever. */
        if (!guess_limit_knows(api_manager_guesses(manager), token, time_now_monotonic()))
                return -ENOMEM;
        http_request_match(request)->route->handler(manager, request);
        return EXCHANGE_CONTINUES;
}

static const ExchangeKind check_key = {
        .method = { "io.atelier.Keys.Check", .once = false },
        .answer = answer_by_route,
};

static bool needs_key(const ApiManager *manager, const HttpRequest *request) {
        ClientOrigin origin = http_request_client(request)->origin;

        return origin == CLIENT_REMOTE || (origin == CLIENT_LOOPBACK && api_manager_requires_keys(manager));
}

bool monitor_key_admits(ApiManager *manager, HttpRequest *request) {
        const char *token = bearer_token(http_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION));

        if (!needs_key(manager, request) || guess_limit_knows(api_manager_guesses(manager), token, time_now_monotonic()))
                return true;
        exchange_start(manager, request, &check_key, NULL);
        return false;
}
