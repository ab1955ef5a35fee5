/* For the tests of snapshots and adoptions: calls of io.atelier.Store on a worker in this process, and a snapshot with all
 * its members. */
#pragma once

#include "worker-fixture.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/hash.h"
#include "io/varlink.h"
#include "state/adoption.h"
#include "state/snapshot.h"

#define TAKEN_MAX 4096

typedef struct TakenMember {
        char name[128];
        int64_t size;
        int fd;
} TakenMember;

/* A snapshot as its caller has it. */
typedef struct Taken {
        WorkerFixture *fixture;
        VarlinkClient *client;
        TakenMember members[TAKEN_MAX];
        size_t n;
        unsigned replies;
        bool over;
        int status;
        char error[96];
        JsonValue *last;          /* the last reply */
} Taken;

static inline void on_taken(_unused_ VarlinkClient *client, const VarlinkReply *reply, void *userdata) {
        Taken *taken = userdata;
        const JsonValue *member;
        size_t index = 0;

        taken->replies++;
        taken->over = !reply->continues;
        taken->status = reply->status;
        (void) snprintf(taken->error, sizeof(taken->error), "%s", reply->error ?: "");
        cJSON_ArrayForEach(member, json_get_array(reply->parameters, "members")) {
                TakenMember *to = &taken->members[taken->n++];

                assert_true(taken->n < TAKEN_MAX);
                assert_true(index < reply->n_fds);
                (void) snprintf(to->name, sizeof(to->name), "%s", json_get_string(member, "name"));
                to->size = json_get_integer(member, "size_bytes", -1);
                to->fd = TAKE_FD(reply->fds[index++]);
        }
        assert_int_equal(index, reply->n_fds);
        (void) json_free(taken->last);
        taken->last = reply->parameters ? cJSON_Duplicate(reply->parameters, true) : NULL;
}

static inline Taken *begin_snapshot(WorkerFixture *fixture) {
        Taken *taken = calloc(1, sizeof(*taken));

        assert_non_null(taken);
        taken->fixture = fixture;
        assert_int_equal(varlink_client_connect(&taken->client, service_event(fixture->service), fixture->poll,
                                                fixture->socket), 0);
        assert_int_equal(varlink_client_call(taken->client, "io.atelier.Store.Snapshot", NULL, true, USEC_INFINITY,
                                             on_taken, taken), 0);
        return taken;
}

/* The members' files stay open: the worker may end. */
static inline Taken *take_snapshot(WorkerFixture *fixture) {
        Taken *taken = begin_snapshot(fixture);

        WAIT_UNTIL(fixture, taken->over);
        assert_int_equal(taken->status, 0);
        assert_string_equal(taken->error, "");
        taken->client = varlink_client_free(taken->client);
        return taken;
}

static inline void taken_free(Taken *taken) {
        (void) varlink_client_free(taken->client);
        for (size_t i = 0; i < taken->n; i++)
                (void) fd_close(taken->members[i].fd);
        (void) json_free(taken->last);
        free(taken);
}

static inline TakenMember *taken_member(Taken *taken, const char *name) {
        for (size_t i = 0; i < taken->n; i++)
                if (text_equal(taken->members[i].name, name))
                        return &taken->members[i];
        return NULL;
}

/* A call without a caller, with descriptors. */
static inline TestCall *store_call(WorkerFixture *fixture, const char *method, JsonValue *parameters, const int *fds,
                                   size_t n_fds) {
        TestCall *call = &fixture->calls[fixture->n_calls++];

        assert_true(fixture->n_calls < WORKER_CLIENTS_MAX);
        call->fixture = fixture;
        assert_int_equal(varlink_client_connect(&call->client, service_event(fixture->service), fixture->poll,
                                                fixture->socket), 0);
        for (size_t i = 0; i < n_fds; i++)
                assert_int_equal(varlink_client_push_fd(call->client, fds[i]), 0);
        assert_int_equal(varlink_client_call(call->client, method, parameters, false, USEC_INFINITY, on_test_reply,
                                             call), 0);
        return call;
}

static inline TestCall *delete_job(WorkerFixture *fixture, unsigned number) {
        return wait_for(worker_cancel(fixture, number, true));
}

/* How many there are in a folder of the state. */
static inline unsigned count_files(const char *state, const char *folder) {
        _cleanup_free_ char *path = text_format("%s/%s", state, folder);
        DIR *entries = opendir(path);
        struct dirent *entry;
        unsigned count = 0;

        if (!entries)
                return 0;
        while ((entry = readdir(entries)))
                count += entry->d_name[0] != '.';
        (void) closedir(entries);
        return count;
}

static inline bool state_has(WorkerFixture *fixture, const char *name) {
        _cleanup_free_ char *path = text_format("%s/%s", fixture->state, name);

        return access(path, F_OK) == 0;
}

/* The only image of a job, as a path below the state's folder. */
static inline const char *image_path(WorkerFixture *fixture, unsigned number) {
        static char paths[4][160];
        static unsigned next;
        char *path = paths[next++ % ELEMENTS(paths)];
        _cleanup_(job_freep) Job *job = stored_job(fixture, number);

        assert_non_null(job);
        assert_int_equal(job->n_images, 1);
        (void) snprintf(path, sizeof(paths[0]), "images/%.2s/%s.%s", job->images[0].facts.sha256,
                        job->images[0].facts.sha256, image_format_name(job->images[0].facts.format));
        return path;
}

static inline void complete_job(WorkerFixture *fixture, unsigned number, const char *prompt) {
        assert_string_equal(told_status(wait_for(worker_submit(fixture, number, prompt, true))), "completed");
}

static inline void set_paused(WorkerFixture *fixture, bool paused) {
        dispatcher_set_paused(fixture->manager->dispatcher, paused);
}

static inline void queue_job(WorkerFixture *fixture, unsigned number, const char *prompt) {
        assert_string_equal(told_status(wait_for(worker_submit(fixture, number, prompt, false))), "queued");
}
