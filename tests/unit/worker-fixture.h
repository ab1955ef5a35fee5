/* A whole worker in this process, with a folder, a configuration and a socket of its own, and clients on the same
 * loop. Its database lies behind the VFS that fails on command. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "conf-folder.h"
#include "dispatch/dispatcher.h"
#include "fault-vfs.h"
#include "io/varlink-client.h"
#include "manager.h"
#include "queue/queue.h"

#define WORKER_PATIENCE_USEC (20 * USEC_PER_SEC)
#define WORKER_CLIENTS_MAX 128

typedef struct WorkerFixture WorkerFixture;

/* One client's call; what it was last told. */
typedef struct TestCall {
        WorkerFixture *fixture;
        VarlinkClient *client;
        unsigned replies;
        bool over;
        int status;
        char error[96];
        JsonValue *reply;
        size_t n_fds;
} TestCall;

struct WorkerFixture {
        ConfFolder *folder;
        char state[96], socket[96], database[128];
        char option[96];          /* lives as long as the service, as argv does */
        PollSet *poll;
        Service *service;
        Manager *manager;
        TestCall calls[WORKER_CLIENTS_MAX];
        size_t n_calls;
};

/* systemd's part: a listening socket that is number 3. */
static inline void worker_pass_socket(WorkerFixture *fixture) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        char pid[16];

        (void) unlink(fixture->socket);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->socket);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fd, WORKER_CLIENTS_MAX), 0);
        if (fd != SD_LISTEN_FDS_START) {
                assert_int_equal(dup3(fd, SD_LISTEN_FDS_START, O_CLOEXEC), SD_LISTEN_FDS_START);
                (void) close(fd);
        }
        (void) snprintf(pid, sizeof(pid), "%d", (int) getpid());
        (void) setenv("LISTEN_PID", pid, 1);
        (void) setenv("LISTEN_FDS", "1", 1);
        (void) setenv("LISTEN_FDNAMES", "varlink", 1);
}

static inline void worker_start(WorkerFixture *fixture) {
        char *argv[] = { (char *) "atelier-worker", fixture->option, NULL };

        (void) snprintf(fixture->option, sizeof(fixture->option), "--config=%s", fixture->folder->path);
        worker_pass_socket(fixture);
        (void) setenv("STATE_DIRECTORY", fixture->state, 1);
        optind = 0;
        assert_int_equal(service_new(&fixture->service, &worker_service_kind, 2, argv), 0);
        assert_int_equal(manager_new(&fixture->manager, fixture->service), 0);
        assert_int_equal(poll_set_new(&fixture->poll, service_event(fixture->service), "clients", 0), 0);
}

static inline void worker_drop_call(TestCall *call) {
        call->client = varlink_client_free(call->client);
        (void) json_free(call->reply);
        *call = (TestCall) {};
}

static inline void worker_stop(WorkerFixture *fixture) {
        while (fixture->n_calls > 0)
                worker_drop_call(&fixture->calls[--fixture->n_calls]);
        fixture->poll = poll_set_free(fixture->poll);
        fixture->manager = manager_free(fixture->manager);
        fixture->service = service_free(fixture->service);
}

static inline void worker_configure(WorkerFixture *fixture, const char *text) {
        folder_write(fixture->folder, "atelier.conf", text);
}

#define SANDBOX_MODEL \
        "models = ( { name = \"m\"; provider = \"box\"; sizes = [ \"auto\", \"64x64\" ]; } );"
#define SANDBOX_CONFIGURATION \
        "providers = ( { name = \"box\"; kind = \"sandbox\"; retry_unknown = true; } );" SANDBOX_MODEL
#define SLOW_CONFIGURATION \
        "providers = ( { name = \"box\"; kind = \"sandbox\"; delay = \"10min\"; retry_unknown = true; } );" \
        SANDBOX_MODEL

/* The folder and the configuration; nothing runs yet. */
static inline int worker_set_up(void **state) {
        WorkerFixture *fixture = calloc(1, sizeof(*fixture));
        void *folder = NULL;

        memset(&disk, 0, sizeof(disk));
        assert_int_equal(folder_setup(&folder), 0);
        fixture->folder = folder;
        (void) snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->folder->path);
        (void) snprintf(fixture->socket, sizeof(fixture->socket), "%s/socket", fixture->folder->path);
        (void) snprintf(fixture->database, sizeof(fixture->database), "%s/current/atelier.db", fixture->state);
        assert_int_equal(mkdir(fixture->state, 0700), 0);
        worker_configure(fixture, SANDBOX_CONFIGURATION);
        *state = fixture;
        return 0;
}

static inline int worker_tear_down(void **state) {
        WorkerFixture *fixture = *state;
        void *folder = fixture->folder;

        memset(&disk, 0, sizeof(disk));
        worker_stop(fixture);
        (void) folder_teardown(&folder);
        free(fixture);
        return 0;
}

/* ------------------------------------------------------------------ calls */

static inline void on_test_reply(_unused_ VarlinkClient *client, const VarlinkReply *reply, void *userdata) {
        TestCall *call = userdata;

        call->replies++;
        call->status = reply->status;
        call->over = !reply->continues;
        call->n_fds = reply->n_fds;
        (void) snprintf(call->error, sizeof(call->error), "%s", reply->error ?: "");
        (void) json_free(call->reply);
        call->reply = reply->parameters ? cJSON_Duplicate(reply->parameters, true) : NULL;
}

static inline TestCall *worker_call(WorkerFixture *fixture, const char *method, JsonValue *parameters, bool more) {
        TestCall *call = &fixture->calls[fixture->n_calls++];
        JsonValue *caller = json_new_object();

        assert_true(fixture->n_calls < WORKER_CLIENTS_MAX);
        assert_int_equal(json_add_string(caller, "origin", "member"), 0);
        assert_int_equal(json_add(parameters, "caller", caller), 0);
        call->fixture = fixture;
        assert_int_equal(varlink_client_connect(&call->client, service_event(fixture->service), fixture->poll,
                                                fixture->socket), 0);
        assert_int_equal(varlink_client_call(call->client, method, parameters, more, USEC_INFINITY, on_test_reply,
                                             call), 0);
        return call;
}

static inline const char *job_id(unsigned number) {
        static char ids[4][JOB_ID_MAX];
        static unsigned next;
        char *id = ids[next++ % ELEMENTS(ids)];

        (void) snprintf(id, JOB_ID_MAX, JOB_ID_PREFIX "%032x", number);
        return id;
}

/* Equal numbers are one job, equal prompts one picture. */
static inline TestCall *worker_submit(WorkerFixture *fixture, unsigned number, const char *prompt, bool more) {
        JsonValue *parameters = json_new_object(), *request = json_new_object();

        assert_int_equal(json_add_string(request, "prompt", prompt), 0);
        assert_int_equal(json_add_string(request, "size", "64x64"), 0);
        assert_int_equal(json_add_string(parameters, "request_id", job_id(number) + strlen(JOB_ID_PREFIX)), 0);
        assert_int_equal(json_add(parameters, "request", request), 0);
        return worker_call(fixture, "io.atelier.Queue.Submit", parameters, more);
}

static inline TestCall *worker_cancel(WorkerFixture *fixture, unsigned number, bool remove) {
        JsonValue *parameters = json_new_object();

        assert_int_equal(json_add_string(parameters, "id", job_id(number)), 0);
        assert_int_equal(json_add_bool(parameters, "delete", remove), 0);
        return worker_call(fixture, "io.atelier.Queue.Cancel", parameters, false);
}

#define WAIT_UNTIL(fixture, condition) ({ \
        usec_t _deadline = time_now_monotonic() + WORKER_PATIENCE_USEC; \
        while (!(condition)) { \
                assert_true(time_now_monotonic() < _deadline); \
                assert_true(sd_event_run(service_event((fixture)->service), 100 * USEC_PER_MSEC) >= 0); \
        } \
})

static inline TestCall *wait_for(TestCall *call) {
        WAIT_UNTIL(call->fixture, call->over);
        return call;
}

static inline const char *told_status(const TestCall *call) {
        return json_get_string(json_get_object(call->reply, "job"), "status");
}

/* ------------------------------------------------------------------ the store */

/* As the worker has it; NULL: no such job. The caller frees it. */
static inline Job *stored_job(WorkerFixture *fixture, unsigned number) {
        Job *job = NULL;
        int r = store_get(commit_group_store(fixture->manager->group), job_id(number), &job);

        assert_true(r == 0 || r == STORE_NOT_FOUND);
        return job;
}

static inline int stored_status(WorkerFixture *fixture, unsigned number) {
        Job *job = stored_job(fixture, number);
        int status = job ? (int) job->status : (int) JOB_STATUS_INVALID;

        (void) job_free(job);
        return status;
}

static inline int64_t stored_waiting(WorkerFixture *fixture) {
        int64_t waiting;

        assert_int_equal(store_count_waiting(commit_group_store(fixture->manager->group), &waiting), 0);
        return waiting;
}
