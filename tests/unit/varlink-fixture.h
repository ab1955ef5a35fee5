/* What the Varlink tests share: a loop that runs until a state is reached, and a peer that writes raw bytes. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/time.h"
#include "io/varlink.h"

#define TEST_DEADLINE_USEC (10 * USEC_PER_SEC)
#define TEST_STEP_USEC (5 * USEC_PER_MSEC)

/* Runs the loop until the condition holds; fails the test at the deadline. */
#define run_until(event_, condition_) \
        do { \
                usec_t deadline_ = time_now_monotonic() + TEST_DEADLINE_USEC; \
                while (!(condition_)) { \
                        assert_true(time_now_monotonic() < deadline_); \
                        assert_true(sd_event_run((event_), TEST_STEP_USEC) >= 0); \
                } \
        } while (0)

/* Runs the loop while anything is ready: what does not happen by then does not happen of itself. */
static inline void run_until_quiet(sd_event *event) {
        int r;

        while ((r = sd_event_run(event, 0)) > 0)
                continue;
        assert_int_equal(r, 0);
}

static inline size_t count_open_fds(void) {
        size_t count = 0;

        for (int fd = 0; fd < 512; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

static inline void socket_pair(int pair[static 2]) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(fd_set_nonblocking(pair[0]), 0);
        assert_int_equal(fd_set_nonblocking(pair[1]), 0);
}

/* Sends bytes, with descriptors on the first of them. */
static inline void send_with_fds(int fd, const void *data, size_t size, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * 64)];
        } control = {};
        struct iovec iov = { .iov_base = (void *) data, .iov_len = size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
        }
        assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), size);
}

static inline void send_bytes(int fd, const char *data, size_t size) {
        send_with_fds(fd, data, size, NULL, 0);
}

/* A message: the text and its NUL. */
static inline void send_message(int fd, const char *text) {
        send_bytes(fd, text, strlen(text) + 1);
}

/* What a raw peer has received. */
typedef struct Inbox {
        char data[512 * 1024];
        size_t size;
        bool ended;   /* end of the stream, or reset */
        int fds[64];
        size_t n_fds;
} Inbox;

static inline void inbox_read(Inbox *inbox, int fd) {
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * 64)];
        } control;
        struct iovec iov = { .iov_base = inbox->data + inbox->size, .iov_len = sizeof(inbox->data) - inbox->size };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0) {
                inbox->ended = inbox->ended || errno != EAGAIN;
                return;
        }
        inbox->ended = n == 0;
        inbox->size += (size_t) n;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                memcpy(inbox->fds + inbox->n_fds, CMSG_DATA(c), count * sizeof(int));
                inbox->n_fds += count;
        }
}

static inline void inbox_done(Inbox *inbox) {
        for (size_t i = 0; i < inbox->n_fds; i++)
                fd_close(inbox->fds[i]);
        *inbox = (Inbox) {};
}

/* The first message of the inbox is this text; it is taken out. */
static inline void assert_message(Inbox *inbox, const char *text) {
        size_t size = strlen(text) + 1;

        assert_true(inbox->size >= size);
        assert_string_equal(inbox->data, text);
        inbox->size -= size;
        memmove(inbox->data, inbox->data + size, inbox->size);
}

static inline bool inbox_has_message(const Inbox *inbox) {
        return memchr(inbox->data, 0, inbox->size) != NULL;
}

/* An unlinked file with this text, open for reading. */
static inline int file_with_text(const char *text) {
        int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        return fd;
}

static inline void assert_file_text(int fd, const char *text) {
        char buffer[256] = {};

        assert_true(fd_pread_all(fd, buffer, sizeof(buffer) - 1, 0) >= 0);
        assert_string_equal(buffer, text);
}
