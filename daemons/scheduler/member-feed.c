#include "member-feed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive-member.h"
#include "base/fd.h"
#include "base/text.h"

#define PIPE_BYTES (1024 * 1024)
#define PIPE_PATIENCE_USEC (5 * USEC_PER_MINUTE)   /* for a worker that does not read */

typedef struct FeedMember {
        char name[ARCHIVE_MEMBER_NAME_MAX];
        uint64_t size;
        char sha256[SHA256_TEXT_MAX];
        int fd;                        /* memory file: made once */
} FeedMember;

typedef struct FeedSet {
        FeedMember members[FEED_MEMBERS_MAX];
        size_t count;
        uint64_t bytes;
} FeedSet;

struct MemberFeed {
        WorkerDialog *worker;
        const char *adoption;
        FeedSet sets[2];
        FeedSet *gathering, *sent;     /* `sent` NULL: no reply is outstanding */
        bool failed;
        int pipe_fd;                   /* while a large member is under way: the sending end */
};

static int say_errno(MemberFeed *feed, int error, const char *name) {
        task_say(feed->worker->context, error == -ECANCELED ? "stopped" : "%s can't be handed to the worker: %s", name,
                 strerror(-error));
        return error;
}

/* ---------------------------------------------------------------- calls */

static JsonValue *members_to_json(const FeedSet *set) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (size_t i = 0; i < set->count; i++) {
                _cleanup_(json_freep) JsonValue *member = json_new_object();
                int r;

                r = json_add_string(member, "name", set->members[i].name);
                if (r >= 0)
                        r = json_add_integer(member, "size_bytes", (int64_t) set->members[i].size);
                if (r < 0 || json_append(array, TAKE_PTR(member)) < 0)
                        return NULL;
        }
        return TAKE_PTR(array);
}

/* Only what a member has is to be read, also where the memory file once held more. */
static int rewind_file(const FeedMember *member) {
        if (ftruncate(member->fd, (off_t) member->size) < 0 || lseek(member->fd, 0, SEEK_SET) < 0)
                return -errno;
        return 0;
}

static int push_files(MemberFeed *feed, const FeedSet *set) {
        int r;

        for (size_t i = 0; i < set->count; i++) {
                r = rewind_file(&set->members[i]);
                if (r >= 0)
                        r = varlink_dialog_push_fd(feed->worker->dialog, set->members[i].fd);
                if (r < 0)
                        return say_errno(feed, r, set->members[i].name);
        }
        return 0;
}

static int send_set(MemberFeed *feed, FeedSet *set) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "adoption", feed->adoption);
        if (r >= 0)
                r = json_add(parameters, "members", members_to_json(set));
        if (r < 0)
                return say_errno(feed, r, "a member");
        r = worker_dialog_send(feed->worker, "io.atelier.Store.Receive", TAKE_PTR(parameters), false);
        if (r < 0)
                return r;
        feed->sent = set;
        return 0;
}

static int compare_hashes(MemberFeed *feed, const JsonValue *hashes) {
        const FeedSet *set = feed->sent;

        for (size_t i = 0; i < set->count; i++) {
                const char *stored = cJSON_GetStringValue(cJSON_GetArrayItem(hashes, (int) i));

                if (text_equal(stored, set->members[i].sha256))
                        continue;
                task_say(feed->worker->context, "%s did not reach the worker as it was sent", set->members[i].name);
                return -EBADMSG;
        }
        return 0;
}

/* Positive outcomes of the dialog become errors here: whatever it was, the reading of the archive ends. */
static int receive_reply(MemberFeed *feed) {
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        int r;

        if (!feed->sent)
                return 0;
        r = worker_dialog_receive(feed->worker, WORKER_PATIENCE_USEC, &answer);
        if (r == 0)
                r = compare_hashes(feed, json_get_array(answer.parameters, "sha256"));
        feed->sent->count = 0;
        feed->sent->bytes = 0;
        feed->sent = NULL;
        return r > 0 ? -EREMOTEIO : r;
}

/* What was gathered goes, and the other set is free to gather. */
static int turn(MemberFeed *feed) {
        FeedSet *set = feed->gathering;
        int r;

        r = receive_reply(feed);
        if (r < 0 || set->count == 0)
                return r;
        r = push_files(feed, set);
        if (r >= 0)
                r = send_set(feed, set);
        if (r < 0)
                return r;
        feed->gathering = set == &feed->sets[0] ? &feed->sets[1] : &feed->sets[0];
        return 0;
}

/* ---------------------------------------------------------------- a member */

static void take_name(FeedMember *member, const char *name, uint64_t size) {
        (void) snprintf(member->name, sizeof(member->name), "%s", name);
        member->size = size;
        member->sha256[0] = 0;
}

static int begin_large(MemberFeed *feed, const char *name, uint64_t size) {
        _cleanup_close_ int reading = -1, writing = -1;
        int fds[2], r;

        /* What came before it goes before it. */
        r = turn(feed);
        if (r >= 0)
                r = receive_reply(feed);
        if (r < 0)
                return r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return say_errno(feed, -errno, name);
        reading = fds[0];
        writing = fds[1];
        r = fd_set_nonblocking(writing);
        if (r >= 0)
                r = varlink_dialog_push_fd(feed->worker->dialog, reading);
        if (r < 0)
                return say_errno(feed, r, name);
        (void) fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES);   /* fewer turns, where it is allowed */

        take_name(&feed->gathering->members[0], name, size);
        feed->gathering->count = 1;
        r = send_set(feed, feed->gathering);
        if (r < 0)
                return r;
        feed->pipe_fd = TAKE_FD(writing);
        return 0;
}

static int begin_small(MemberFeed *feed, const char *name, uint64_t size) {
        FeedMember *member;
        int r;

        if (feed->gathering->count == FEED_MEMBERS_MAX || feed->gathering->bytes + size > FEED_BYTES_MAX) {
                r = turn(feed);
                if (r < 0)
                        return r;
        }

        member = &feed->gathering->members[feed->gathering->count];
        if (member->fd < 0)
                member->fd = memfd_create("member", MFD_CLOEXEC);
        if (member->fd < 0 || lseek(member->fd, 0, SEEK_SET) < 0)
                return say_errno(feed, -errno, name);
        take_name(member, name, size);
        feed->gathering->bytes += size;
        feed->gathering->count++;
        return 0;
}

/* A failure has been told in words, and ends the reading of the archive. */
static int note(MemberFeed *feed, int r) {
        feed->failed |= r < 0;
        return r;
}

bool member_feed_failed(const MemberFeed *feed) {
        return feed->failed;
}

int member_feed_begin(const char *name, uint64_t size, void *userdata) {
        MemberFeed *feed = userdata;

        if (task_cancelled(feed->worker->context))
                return note(feed, say_errno(feed, -ECANCELED, name));
        if (size > FEED_MEMBER_BYTES_MAX)
                return note(feed, begin_large(feed, name, size));
        return note(feed, begin_small(feed, name, size));
}

/* The worker has closed its end: its reply says why. */
static int explain_closed_pipe(MemberFeed *feed, const char *name) {
        int r;

        feed->pipe_fd = fd_close(feed->pipe_fd);
        r = receive_reply(feed);
        return r < 0 ? r : say_errno(feed, -EPIPE, name);
}

static int write_pipe(MemberFeed *feed, const uint8_t *data, size_t size) {
        const char *name = feed->sent->members[0].name;

        while (size > 0) {
                ssize_t n = write(feed->pipe_fd, data, size);
                int r = 0;

                if (n >= 0) {
                        data += n;
                        size -= (size_t) n;
                } else if (errno == EPIPE)
                        return explain_closed_pipe(feed, name);
                else if (errno == EAGAIN)
                        r = task_wait(feed->worker->context, feed->pipe_fd, POLLOUT, PIPE_PATIENCE_USEC);
                else if (errno != EINTR)
                        r = -errno;
                if (r < 0)
                        return say_errno(feed, r, name);
        }
        return 0;
}

int member_feed_data(const void *data, size_t size, void *userdata) {
        MemberFeed *feed = userdata;
        FeedSet *set = feed->gathering;
        int r;

        if (feed->pipe_fd >= 0)
                return note(feed, write_pipe(feed, data, size));
        r = fd_write_all(set->members[set->count - 1].fd, data, size);
        return note(feed, r < 0 ? say_errno(feed, r, set->members[set->count - 1].name) : 0);
}

int member_feed_end(const char *sha256, void *userdata) {
        MemberFeed *feed = userdata;
        FeedSet *set = feed->pipe_fd >= 0 ? feed->sent : feed->gathering;

        (void) snprintf(set->members[set->count - 1].sha256, SHA256_TEXT_MAX, "%s", sha256);
        if (feed->pipe_fd < 0)
                return 0;
        feed->pipe_fd = fd_close(feed->pipe_fd);
        return note(feed, receive_reply(feed));
}

int member_feed_finish(MemberFeed *feed) {
        int r;

        r = turn(feed);
        return note(feed, r < 0 ? r : receive_reply(feed));
}

int member_feed_new(MemberFeed **ret, WorkerDialog *worker, const char *adoption) {
        MemberFeed *feed = calloc(1, sizeof(*feed));

        if (!feed)
                return -ENOMEM;
        feed->worker = worker;
        feed->adoption = adoption;
        feed->pipe_fd = -1;
        feed->gathering = &feed->sets[0];
        for (size_t i = 0; i < ELEMENTS(feed->sets); i++)
                for (size_t j = 0; j < FEED_MEMBERS_MAX; j++)
                        feed->sets[i].members[j].fd = -1;
        *ret = feed;
        return 0;
}

MemberFeed *member_feed_free(MemberFeed *feed) {
        if (!feed)
                return NULL;

        for (size_t i = 0; i < ELEMENTS(feed->sets); i++)
                for (size_t j = 0; j < FEED_MEMBERS_MAX; j++)
                        fd_close(feed->sets[i].members[j].fd);
        fd_close(feed->pipe_fd);
        free(feed);
        return NULL;
}
