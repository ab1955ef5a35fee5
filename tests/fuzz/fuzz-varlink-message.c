/* Any bytes as Varlink: messages by themselves, the stream in fragments, and a server that is sent all of it. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "io/varlink-message.h"
#include "io/varlink-server.h"
#include "io/varlink-stream.h"

#define INPUT_BYTES_MAX (32 * 1024)  /* fits the socket's buffer, so that nothing blocks */
#define FRAGMENT_FIRST 143           /* two primes: the fragments end everywhere in a message */
#define FRAGMENT_NEXT 137

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char interface_text[] =
        "interface io.example.Fuzz\n"
        "type T (next: ?T, kind: (a, b), map: ?[string]int)\n"
        "method Take(text: ?string, number: ?int, ratio: ?float, any: ?object, flags: ?[]bool, t: ?T) -> ()\n"
        "method Many(to: int) -> ()\n";

/* A call that is taken can be written again, and is then the same. */
static void fuzz_request(const char *text, size_t size) {
        _cleanup_(varlink_request_done) VarlinkRequest first = {}, second = {};
        _cleanup_(buffer_done) Buffer buffer = {};

        if (varlink_request_parse(&first, text, size) < 0)
                return;
        if (varlink_request_format(&buffer, first.method, first.parameters, first.more) < 0)
                return;

        assert(varlink_request_parse(&second, (const char *) buffer.data, buffer.size - 1) == 0);
        assert(strcmp(first.method, second.method) == 0);
        assert(first.more == second.more);
}

static void fuzz_response(const char *text, size_t size) {
        _cleanup_(varlink_response_done) VarlinkResponse first = {}, second = {};
        _cleanup_(buffer_done) Buffer buffer = {};

        if (varlink_response_parse(&first, text, size) < 0)
                return;
        if (varlink_response_format(&buffer, first.error, first.parameters, first.continues) < 0)
                return;

        assert(varlink_response_parse(&second, (const char *) buffer.data, buffer.size - 1) == 0);
        assert(first.continues == second.continues);
        assert(!first.error == !second.error);
}

/* Sends the input in fragments; after each `step` runs. */
static void send_fragments(int fd, const uint8_t *data, size_t size, void (*step)(void *userdata), void *userdata) {
        size_t fragment = FRAGMENT_FIRST;

        while (size > 0) {
                size_t n = MIN(fragment, size);

                if (send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t) n)
                        return;
                data += n;
                size -= n;
                fragment = FRAGMENT_NEXT;
                step(userdata);
        }
}

typedef struct StreamCheck {
        VarlinkStream *stream;
        const uint8_t *expected;
} StreamCheck;

/* What comes out is what was sent, cut at the NULs. */
static void check_stream(void *userdata) {
        StreamCheck *check = userdata;
        const char *text;
        VarlinkFds fds;
        size_t size;

        assert(varlink_stream_read(check->stream) == VARLINK_STREAM_READ);
        while (varlink_stream_next(check->stream, &text, &size, &fds)) {
                assert(fds.n == 0);
                assert(memchr(text, 0, size + 1) == text + size);
                assert(memcmp(text, check->expected, size + 1) == 0);
                check->expected += size + 1;
        }
}

static void fuzz_stream(const uint8_t *data, size_t size) {
        StreamCheck check = { .expected = data };
        const uint8_t *last = memrchr(data, 0, size);
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return;
        if (varlink_stream_new(&check.stream, pair[0]) >= 0) {
                send_fragments(pair[1], data, size, check_stream, &check);
                assert(check.expected == (last ? last + 1 : data));
                varlink_stream_free(check.stream);
        }
        fd_close(pair[1]);
}

static int on_take(VarlinkCall *call, const JsonValue *parameters, _unused_ void *userdata) {
        assert(cJSON_IsObject(parameters));
        return varlink_call_reply(call, NULL);
}

static int on_many(VarlinkCall *call, const JsonValue *parameters, _unused_ void *userdata) {
        int64_t to = MIN(json_get_integer(parameters, "to", 0), INT64_C(8));

        for (int64_t i = 0; i < to; i++)
                if (varlink_call_notify(call, NULL) == -ECONNRESET)
                        return 0;
        return varlink_call_reply(call, NULL);
}

static void run_loop(void *userdata) {
        while (sd_event_run(userdata, 0) > 0)
                continue;
}

static void fuzz_server(const uint8_t *data, size_t size) {
        static const VarlinkProduct product = { "Example", "Fuzz", "1", "https://example.com/" };
        static const VarlinkMethod methods[] = { { "Take", on_take, false }, { "Many", on_many, true }, {} };
        static VarlinkServer *server;
        static sd_event *event;
        int pair[2];

        if (!server && (sd_event_new(&event) < 0 || varlink_server_new(&server, event, &product, NULL) < 0 ||
                        varlink_server_add_interface(server, interface_text, methods, NULL) < 0))
                abort();
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return;
        if (varlink_server_adopt(server, pair[0]) >= 0)
                send_fragments(pair[1], data, size, run_loop, event);
        fd_close(pair[1]);
        run_loop(event);
        assert(!varlink_server_busy(server));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size > INPUT_BYTES_MAX)
                return 0;

        fuzz_request((const char *) data, size);
        fuzz_response((const char *) data, size);
        fuzz_stream(data, size);
        fuzz_server(data, size);
        return 0;
}
