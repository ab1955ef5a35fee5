/* The problem: many transfers at once on one thread; and each POST costs money at the other end, so it must be known
 * whether it can have been taken, and it must never be sent again by itself.
 *
 * The model: libcurl's multi interface tells which descriptors to watch (socket callback) and when to be called at the
 * latest (timer callback). The descriptors lie in one PollSet, libcurl has one timer source, and each transfer one for
 * its own deadline. What has ended is taken from libcurl one message a turn, by a defer source, so that a handler may
 * start or cancel transfers and no burst of endings starves the loop.
 *
 * Never twice: libcurl repeats a request by itself when a reused connection is closed before the first byte of an
 * answer, even if the request has left whole. For that it must rewind the body; the body therefore comes from a read
 * callback whose seek callback refuses, and the transfer then ends with an error (after a new connection was made, on
 * which nothing is sent). What libcurl may still repeat are requests of whose body nothing was written. To make this
 * rare, a connection is not reused once it has been idle for IDLE_CONNECTION_SECONDS_MAX, by when servers begin to
 * close it.
 *
 * `sent` is true as soon as any byte of the request has been handed to the kernel or to TLS.
 *
 * Answers are paid for, so when too much of them is under way, none is refused: a transfer is paused before the bytes
 * that would pass the bound, and its deadline with it. The first to be stopped there is the leader: it goes on in
 * spite of the bound until it ends, else all could wait for one another. Whenever a transfer ends, those that pause
 * are tried again, the oldest first.
 *
 * Invariants: a transfer is in the client's list and in the multi handle, or is being ended; `done` is called exactly
 * once, never from http_client_start(). Secrets: header lines are wiped here after use; libcurl's own copy of the
 * request lives as long as its transfer. Proxies of the environment, .netrc and cookies are not used. */
#include "io/http-client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/text.h"
#include "io/http-form.h"
#include "io/poll-set.h"

#ifndef ATELIER_VERSION
#define ATELIER_VERSION "0"
#endif

#define HEADER_BYTES_MAX (64 * 1024)       /* of an answer, all lines together */
#define HEADER_NAME_BYTES_MAX 64           /* longer names are of no interest to anybody here */
#define IDLE_CONNECTION_SECONDS_MAX 3L
#define IDLE_CONNECTIONS_FACTOR 4          /* idle connections kept, of all hosts, in multiples of one host's */
#define DEADLINE_ACCURACY_USEC (10 * USEC_PER_MSEC)
#define KEEPALIVE_IDLE_SECONDS 30L
#define KEEPALIVE_INTERVAL_SECONDS 15L

struct HttpClient {
        sd_event *event;
        CURLM *multi;
        CURLSH *share;                     /* TLS sessions, for quick handshakes */
        PollSet *sockets;
        sd_event_source *timer;
        sd_event_source *defer;            /* takes one ended transfer a turn */
        sd_event_source *resume;           /* lets what pauses go on */
        HttpTransfer *transfers;           /* the newest first */
        HttpTransfer *leader;              /* goes on past the bound; or NULL */
        uint64_t answers_bytes, answers_bytes_max;
        unsigned n_paused;
        bool global_ready;
        bool inside;                       /* libcurl is running: its functions must not be entered again */
};

struct HttpTransfer {
        HttpClient *client;
        HttpTransfer *next, *previous;
        CURL *easy;
        sd_event_source *deadline;
        HttpHandlers handlers;
        void *userdata;

        struct curl_slist *headers;
        uint8_t *body;
        size_t body_size, body_read;
        HttpForm *form;                    /* in place of the body; or NULL */

        uint64_t answer_bytes, answer_bytes_max;
        size_t header_bytes;
        long status;
        usec_t time_left;                  /* until its deadline, while it pauses */
        bool paused;
        bool final;                        /* the status line is not that of a 1xx */
        bool added;                        /* to the multi handle */
        int error;                         /* why a callback stopped the transfer */
        char problem[CURL_ERROR_SIZE];
};

static void transfer_unlink(HttpTransfer *transfer) {
        if (transfer->next)
                transfer->next->previous = transfer->previous;
        if (transfer->previous)
                transfer->previous->next = transfer->next;
        else if (transfer->client->transfers == transfer)
                transfer->client->transfers = transfer->next;
        transfer->next = transfer->previous = NULL;
}

static void transfer_link(HttpTransfer *transfer) {
        HttpClient *client = transfer->client;

        transfer->next = client->transfers;
        if (client->transfers)
                client->transfers->previous = transfer;
        client->transfers = transfer;
}

/* It has no part in the bound any more. */
static void transfer_leave(HttpTransfer *transfer) {
        HttpClient *client = transfer->client;

        client->answers_bytes -= transfer->answer_bytes;
        transfer->answer_bytes = 0;
        client->n_paused -= transfer->paused;
        transfer->paused = false;
        if (client->leader == transfer)
                client->leader = NULL;
        if (client->n_paused > 0)
                (void) sd_event_source_set_enabled(client->resume, SD_EVENT_ONESHOT);
}

static HttpTransfer *transfer_free(HttpTransfer *transfer) {
        if (!transfer)
                return NULL;

        transfer_unlink(transfer);
        transfer_leave(transfer);
        if (transfer->added)
                (void) curl_multi_remove_handle(transfer->client->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
        (void) http_form_free(transfer->form);
        (void) sd_event_source_disable_unref(transfer->deadline);
        for (struct curl_slist *line = transfer->headers; line; line = line->next)
                explicit_bzero(line->data, strlen(line->data));
        curl_slist_free_all(transfer->headers);
        free(transfer->body);
        free(transfer);
        return NULL;
}
DEFINE_CLEANUP(HttpTransfer *, transfer_free);

/* The one place where libcurl's codes become ours. */
static int translate_connect_error(CURL *easy) {
        long error = 0;

        (void) curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
        switch (error) {
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ENETDOWN:
        case EADDRNOTAVAIL:
                return -EHOSTUNREACH;
        case ETIMEDOUT:
                return -ETIMEDOUT;
        default:
                return -ECONNREFUSED;
        }
}

static int translate_error(CURL *easy, CURLcode code) {
        switch (code) {
        case CURLE_OK:
                return 0;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_COULDNT_CONNECT:
                return translate_connect_error(easy);
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
                return -EHOSTUNREACH;
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_SEND_FAIL_REWIND:
                return -ECONNRESET;
        case CURLE_FILESIZE_EXCEEDED:
                return -EFBIG;
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
        case CURLE_ABORTED_BY_CALLBACK:
                return -ECANCELED;
        case CURLE_URL_MALFORMAT:
                return -EINVAL;
        default:  /* TLS, chunks, header lines, an answer that is not HTTP (CURLE_UNSUPPORTED_PROTOCOL), … */
                return -EPROTO;
        }
}

/* libcurl's counters may start afresh when it repeats a request; what was read of the body stays read. */
static bool transfer_was_sent(const HttpTransfer *transfer) {
        long header_bytes = 0;

        (void) curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &header_bytes);
        return header_bytes > 0 || transfer->body_read > 0;
}

/* Out of the client first, so that `done` may do what it likes. */
static void transfer_end(HttpTransfer *ended, int error, const char *message) {
        _cleanup_(transfer_freep) HttpTransfer *transfer = ended;
        HttpResult result = {
                .error = error,
                .sent = transfer_was_sent(transfer),
                .status = transfer->status,
        };

        (void) snprintf(result.message, sizeof(result.message), "%s", message);
        transfer_unlink(transfer);
        transfer_leave(transfer);
        if (transfer->added)
                (void) curl_multi_remove_handle(transfer->client->multi, transfer->easy);
        transfer->added = false;
        transfer->handlers.done(transfer, &result, transfer->userdata);
}

static void transfer_finish(HttpTransfer *transfer, CURLcode code) {
        const char *message = transfer->problem[0] ? transfer->problem : curl_easy_strerror(code);
        int error = transfer->error < 0 ? transfer->error : translate_error(transfer->easy, code);

        if (error == 0)
                message = "";
        else if (transfer->error < 0)
                message = transfer->error == -EFBIG ? "answer too large" : strerror(-transfer->error);
        transfer_end(transfer, error, message);
}

static int take_ended(_unused_ sd_event_source *source, void *userdata) {
        HttpClient *client = userdata;
        HttpTransfer *transfer = NULL;
        CURLMsg *message;
        int left;

        message = curl_multi_info_read(client->multi, &left);
        if (!message)
                return 0;
        if (left > 0)
                (void) sd_event_source_set_enabled(client->defer, SD_EVENT_ONESHOT);
        if (message->msg != CURLMSG_DONE)
                return 0;

        (void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &transfer);
        transfer_finish(transfer, message->data.result);
        return 0;
}

/* libcurl's own deadline does not count the time that a transfer waits for a connection. */
static int on_deadline(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        transfer_end(userdata, -ETIMEDOUT, "no answer within the time allowed");
        return 0;
}

/* Lets libcurl work on a socket, or on its timeouts, and has what ended by it taken afterwards. */
static void run_multi(HttpClient *client, curl_socket_t socket, int events) {
        int running;

        client->inside = true;
        (void) curl_multi_socket_action(client->multi, socket, events, &running);
        client->inside = false;
        (void) sd_event_source_set_enabled(client->defer, SD_EVENT_ONESHOT);
}

static HttpTransfer *oldest_paused(const HttpClient *client) {
        HttpTransfer *oldest = NULL;

        for (HttpTransfer *transfer = client->transfers; transfer; transfer = transfer->next)
                if (transfer->paused)
                        oldest = transfer;
        return oldest;
}

static void transfer_resume(HttpTransfer *transfer) {
        HttpClient *client = transfer->client;

        client->n_paused--;
        transfer->paused = false;
        (void) sd_event_source_set_time_relative(transfer->deadline, transfer->time_left);
        (void) sd_event_source_set_enabled(transfer->deadline, SD_EVENT_ONESHOT);

        /* What libcurl kept of the answer is handed out from in here, and may pause it again. */
        client->inside = true;
        (void) curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
        client->inside = false;
}

/* Until one of them pauses again, which says that there is no more room. */
static int on_resume(_unused_ sd_event_source *source, void *userdata) {
        HttpClient *client = userdata;
        HttpTransfer *transfer;

        while ((transfer = oldest_paused(client))) {
                transfer_resume(transfer);
                if (transfer->paused)
                        break;
        }
        return 0;
}

static int on_socket(_unused_ PollSource *source, int fd, uint32_t revents, void *userdata) {
        int events = 0;

        if (revents & (EPOLLIN | EPOLLHUP))
                events |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                events |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                events |= CURL_CSELECT_ERR;
        run_multi(userdata, fd, events);
        return 0;
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        run_multi(userdata, CURL_SOCKET_TIMEOUT, 0);
        return 0;
}

/* libcurl: watch this socket so. Its pointer for it is the PollSource. */
static int on_watch(_unused_ CURL *easy, curl_socket_t socket, int what, void *userdata, void *assigned) {
        HttpClient *client = userdata;
        PollSource *source = assigned;
        uint32_t events = 0;
        int r;

        if (what == CURL_POLL_REMOVE) {
                (void) poll_source_free(source);
                (void) curl_multi_assign(client->multi, socket, NULL);
                return 0;
        }

        if (what & CURL_POLL_IN)
                events |= EPOLLIN;
        if (what & CURL_POLL_OUT)
                events |= EPOLLOUT;
        if (source)
                return poll_source_set_events(source, events) < 0 ? -1 : 0;

        r = poll_set_add(client->sockets, socket, events, on_socket, client, &source);
        if (r < 0)
                return -1;
        (void) curl_multi_assign(client->multi, socket, source);
        return 0;
}

/* libcurl: call again after so long. It must not be called from here. */
static int on_set_timer(_unused_ CURLM *multi, long timeout_ms, void *userdata) {
        HttpClient *client = userdata;
        usec_t timeout;

        if (timeout_ms < 0)
                return sd_event_source_set_enabled(client->timer, SD_EVENT_OFF) < 0 ? -1 : 0;

        /* Rounded up: a timer that fires within the same millisecond finds nothing to do. */
        timeout = timeout_ms == 0 ? 0 : (usec_t) timeout_ms * USEC_PER_MSEC + USEC_PER_MSEC - 1;
        if (sd_event_source_set_time_relative(client->timer, timeout) < 0)
                return -1;
        return sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static int add_sources(HttpClient *client) {
        int r;

        r = poll_set_new(&client->sockets, client->event, "http-client-sockets", SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;

        r = sd_event_add_time_relative(client->event, &client->timer, CLOCK_MONOTONIC, 0, 1, on_timer, client);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(client->timer, "http-client-timer");
        r = sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        r = sd_event_add_defer(client->event, &client->defer, take_ended, client);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(client->defer, "http-client-ended");
        r = sd_event_source_set_enabled(client->defer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        r = sd_event_add_defer(client->event, &client->resume, on_resume, client);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(client->resume, "http-client-resume");
        return sd_event_source_set_enabled(client->resume, SD_EVENT_OFF);
}

int http_client_new(HttpClient **ret, sd_event *event, unsigned connections_per_host_max) {
        _cleanup_(http_client_freep) HttpClient *client = NULL;
        int r;

        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        client->event = sd_event_ref(event);
        client->answers_bytes_max = UINT64_MAX;

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        client->global_ready = true;
        client->multi = curl_multi_init();
        client->share = curl_share_init();
        if (!client->multi || !client->share)
                return -ENOMEM;
        r = add_sources(client);
        if (r < 0)
                return r;

        (void) curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        (void) curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
        (void) curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
        (void) curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_set_timer);
        (void) curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
        (void) curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
        (void) curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long) connections_per_host_max);
        (void) curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS,
                                 (long) connections_per_host_max * IDLE_CONNECTIONS_FACTOR);

        *ret = TAKE_PTR(client);
        return 0;
}

HttpClient *http_client_free(HttpClient *client) {
        if (!client)
                return NULL;

        assert(!client->inside);
        while (client->transfers)
                http_transfer_cancel(client->transfers);

        /* Closing its connections, libcurl still uses the sockets' callback. */
        if (client->multi)
                (void) curl_multi_cleanup(client->multi);
        if (client->share)
                (void) curl_share_cleanup(client->share);
        if (client->global_ready)
                curl_global_cleanup();
        (void) poll_set_free(client->sockets);
        (void) sd_event_source_disable_unref(client->timer);
        (void) sd_event_source_disable_unref(client->defer);
        (void) sd_event_source_disable_unref(client->resume);
        (void) sd_event_unref(client->event);
        free(client);
        return NULL;
}

static int transfer_stop(HttpTransfer *transfer, int error) {
        if (transfer->error >= 0)
                transfer->error = error;
        return error;
}

/* Splits "Name: value\r\n" and hands it on. */
static void hand_on_header(HttpTransfer *transfer, const char *line, size_t size) {
        const char *colon = memchr(line, ':', size), *end = line + size;
        char name[HEADER_NAME_BYTES_MAX];
        _cleanup_free_ char *value = NULL;
        size_t length;

        if (!colon || (size_t) (colon - line) >= sizeof(name))
                return;
        length = (size_t) (colon - line);
        for (size_t i = 0; i < length; i++)
                name[i] = (char) tolower((unsigned char) line[i]);
        name[length] = 0;

        for (colon++; colon < end && isspace((unsigned char) *colon);)
                colon++;
        while (end > colon && isspace((unsigned char) end[-1]))
                end--;
        value = strndup(colon, (size_t) (end - colon));
        if (value)
                transfer->handlers.header(transfer, name, value, transfer->userdata);
}

/* One line, the status line and the empty one included, of each answer, 1xx included. */
static size_t on_header(char *line, _unused_ size_t one, size_t size, void *userdata) {
        HttpTransfer *transfer = userdata;
        long status = 0;

        transfer->header_bytes += size;
        if (transfer->header_bytes > HEADER_BYTES_MAX) {
                (void) transfer_stop(transfer, -EFBIG);
                return 0;
        }

        if (size > 5 && memcmp(line, "HTTP/", 5) == 0) {
                (void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
                transfer->final = status >= 200;
                transfer->status = transfer->final ? status : 0;
        } else if (transfer->final && transfer->handlers.header && transfer->answer_bytes == 0)
                hand_on_header(transfer, line, size);
        return size;
}

/* Whether so many more bytes are within the bound, or the transfer need not care. */
static bool may_take(HttpTransfer *transfer, size_t size) {
        HttpClient *client = transfer->client;

        if (client->answers_bytes <= client->answers_bytes_max &&
            size <= client->answers_bytes_max - client->answers_bytes)
                return true;
        if (!client->leader)
                client->leader = transfer;
        return client->leader == transfer;
}

static size_t transfer_pause(HttpTransfer *transfer) {
        usec_t now = time_now_monotonic(), deadline = now;

        (void) sd_event_source_get_time(transfer->deadline, &deadline);
        (void) sd_event_source_set_enabled(transfer->deadline, SD_EVENT_OFF);
        transfer->time_left = deadline > now ? deadline - now : 0;
        transfer->paused = true;
        transfer->client->n_paused++;
        return CURL_WRITEFUNC_PAUSE;
}

static size_t on_body(char *data, _unused_ size_t one, size_t size, void *userdata) {
        HttpTransfer *transfer = userdata;
        int r = 0;

        if (!may_take(transfer, size))
                return transfer_pause(transfer);
        transfer->client->answers_bytes += size;
        transfer->answer_bytes += size;
        if (transfer->answer_bytes > transfer->answer_bytes_max)
                r = -EFBIG;
        else if (transfer->handlers.body)
                r = transfer->handlers.body(transfer, data, size, transfer->userdata);
        if (r < 0) {
                (void) transfer_stop(transfer, r);
                return CURL_WRITEFUNC_ERROR;
        }
        return size;
}

static size_t on_read(char *buffer, size_t one, size_t size, void *userdata) {
        HttpTransfer *transfer = userdata;
        size_t n = MIN(one * size, transfer->body_size - transfer->body_read);

        memcpy(buffer, transfer->body + transfer->body_read, n);
        transfer->body_read += n;
        return n;
}

/* Asked before a request is repeated: see above. */
static int on_seek(void *userdata, curl_off_t offset, int origin) {
        HttpTransfer *transfer = userdata;

        if (offset == 0 && origin == SEEK_SET && transfer->body_read == 0)
                return CURL_SEEKFUNC_OK;
        return CURL_SEEKFUNC_FAIL;
}

static long milliseconds(usec_t usec) {
        return (long) MIN((usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC, (usec_t) INT_MAX);
}

static int add_header(HttpTransfer *transfer, const char *line) {
        struct curl_slist *longer;

        for (const char *p = line; *p; p++)
                if (*p == '\r' || *p == '\n')
                        return -EINVAL;

        longer = curl_slist_append(transfer->headers, line);
        if (!longer)
                return -ENOMEM;
        transfer->headers = longer;
        return 0;
}

static int set_body(HttpTransfer *transfer, const HttpRequest *request) {
        CURL *easy = transfer->easy;

        transfer->body = malloc(request->body_size ?: 1);
        if (!transfer->body)
                return -ENOMEM;
        memcpy(transfer->body, request->body, request->body_size);
        transfer->body_size = request->body_size;

        (void) curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void) curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_size);
        (void) curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        (void) curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
        (void) curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        (void) curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
        return add_header(transfer, "Expect:");  /* no waiting for 100 Continue */
}

static int set_form(HttpTransfer *transfer, const HttpRequest *request) {
        int r;

        r = http_form_new(&transfer->form, transfer->easy, request->parts, request->n_parts, &transfer->body_read);
        if (r < 0)
                return r;
        if (curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, http_form_mime(transfer->form)) != CURLE_OK)
                return -ENOMEM;
        return add_header(transfer, "Expect:");
}

static int set_request(HttpTransfer *transfer, const HttpRequest *request) {
        CURL *easy = transfer->easy;
        int r = 0;

        if (curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK)
                return -ENOMEM;
        if (request->body)
                r = set_body(transfer, request);
        else if (request->n_parts > 0)
                r = set_form(transfer, request);
        else if (text_equal(request->method, "HEAD"))
                (void) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        if (r < 0)
                return r;
        (void) curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);

        for (const char *const *line = request->headers; line && *line; line++) {
                r = add_header(transfer, *line);
                if (r < 0)
                        return r;
        }
        (void) curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
        (void) curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                                milliseconds(request->connect_timeout ?: request->timeout));
        (void) curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                                (curl_off_t) MIN(request->body_bytes_max, (uint64_t) INT64_MAX));
        return 0;
}

static void set_manners(HttpTransfer *transfer) {
        CURL *easy = transfer->easy;

        (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
        (void) curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->problem);
        (void) curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        (void) curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
        (void) curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        (void) curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
        (void) curl_easy_setopt(easy, CURLOPT_SHARE, transfer->client->share);
        (void) curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        (void) curl_easy_setopt(easy, CURLOPT_PROXY, "");
        (void) curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        (void) curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
        (void) curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        (void) curl_easy_setopt(easy, CURLOPT_USERAGENT, "atelier/" ATELIER_VERSION);
        (void) curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_SECONDS_MAX);
        (void) curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        (void) curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
        (void) curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
}

int http_client_start(HttpClient *client, const HttpRequest *request, const HttpHandlers *handlers, void *userdata,
                      HttpTransfer **ret) {
        _cleanup_(transfer_freep) HttpTransfer *transfer = NULL;
        int r;

        assert(!client->inside);
        assert(request->timeout > 0);
        assert(handlers->done);

        if (!text_after(request->url, "http://") && !text_after(request->url, "https://"))
                return -EINVAL;

        transfer = calloc(1, sizeof(*transfer));
        if (!transfer)
                return -ENOMEM;
        transfer->client = client;
        transfer->handlers = *handlers;
        transfer->userdata = userdata;
        transfer->answer_bytes_max = request->body_bytes_max;
        transfer->easy = curl_easy_init();
        if (!transfer->easy)
                return -ENOMEM;

        set_manners(transfer);
        r = set_request(transfer, request);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(client->event, &transfer->deadline, CLOCK_MONOTONIC, request->timeout,
                                       DEADLINE_ACCURACY_USEC, on_deadline, transfer);
        if (r < 0)
                return r;
        if (curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK)
                return -ENOMEM;
        transfer->added = true;
        transfer_link(transfer);

        *ret = TAKE_PTR(transfer);
        return 0;
}

void http_client_set_answers_max(HttpClient *client, uint64_t bytes) {
        client->answers_bytes_max = bytes;
        if (client->n_paused > 0)
                (void) sd_event_source_set_enabled(client->resume, SD_EVENT_ONESHOT);
}

uint64_t http_client_answers_bytes(const HttpClient *client) {
        return client->answers_bytes;
}

unsigned http_client_paused(const HttpClient *client) {
        return client->n_paused;
}

void http_transfer_cancel(HttpTransfer *transfer) {
        assert(!transfer->client->inside);

        transfer_end(transfer, -ECANCELED, "cancelled");
}

long http_transfer_status(const HttpTransfer *transfer) {
        return transfer->status;
}
