/* A whole scheduler in this process, with folders, a configuration and a socket of its own; beside it, on the same
 * loop, a worker that is none: it gives a snapshot away and takes an adoption in, as io.atelier.Store says, or fails
 * in ways that a test chooses. */
#pragma once

#include "conf-folder.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "../../daemons/scheduler/manager.h"
#include "base/hash.h"
#include "base/time.h"
#include "interfaces/interfaces.h"
#include "io/varlink-client.h"

#define FIXTURE_PATIENCE_USEC (20 * USEC_PER_SEC)
#define FIXTURE_MEMBERS_MAX 64
#define FIXTURE_CALLS_MAX 16
#define FIXTURE_REPLY_MEMBERS 3   /* of the snapshot, in one reply */

typedef struct FakeMember {
        char name[128];
        size_t size;
        char sha256[SHA256_TEXT_MAX];
        uint32_t seed;  /* of its bytes */
} FakeMember;

/* What the worker does otherwise than it should. */
typedef struct FakeFaults {
        const char *refuse;        /* Snapshot and PrepareAdoption answer this error */
        bool hang;                 /* Snapshot stops after its first reply, and keeps the call */
        bool leave;                /* … closes the connection there */
        size_t keep_back;          /* members that are announced and do not come */
        size_t missing;
        const char *refuse_member; /* Receive refuses it unread */
        const char *spoil_member;  /* Receive answers another hash for it */
        bool refuse_state;         /* Adopt */
        bool hang_adopt;
} FakeFaults;

typedef struct FakeWorker {
        VarlinkServer *server;
        int listener;
        FakeMember members[FIXTURE_MEMBERS_MAX];   /* of the snapshot */
        size_t n_members;
        FakeMember received[FIXTURE_MEMBERS_MAX];
        size_t n_received;
        unsigned prepared, adopted, abandoned, receives;
        VarlinkCall *kept;
        FakeFaults faults;
} FakeWorker;

typedef struct SchedulerFixture SchedulerFixture;

typedef struct FixtureCall {
        SchedulerFixture *fixture;
        VarlinkClient *client;
        unsigned replies;
        bool over;
        int status;
        char error[96];
        JsonValue *reply, *first;
} FixtureCall;

struct SchedulerFixture {
        ConfFolder *folder;
        char state[96], backups[96], socket[96], worker_socket[96];
        PollSet *poll;
        Service *service;
        SchedulerManager *manager;
        FakeWorker worker;
        FixtureCall calls[FIXTURE_CALLS_MAX];
        size_t n_calls;
};

#define WAIT_UNTIL(fixture, condition) ({ \
        usec_t _deadline = time_now_monotonic() + FIXTURE_PATIENCE_USEC; \
        while (!(condition)) { \
                assert_true(time_now_monotonic() < _deadline); \
                assert_true(sd_event_run(service_event((fixture)->service), 100 * USEC_PER_MSEC) >= 0); \
        } \
})

/* ------------------------------------------------------------------ the worker's part */

/* A member's bytes follow from its seed and size. */
static inline void *fake_content(const FakeMember *member) {
        uint8_t *data = malloc(member->size + 1);
        uint32_t state = member->seed;

        assert_non_null(data);
        for (size_t i = 0; i < member->size; i++) {
                state = state * 1664525 + 1013904223;
                data[i] = (uint8_t) (state >> 24);
        }
        return data;
}

static inline int fake_member_fd(const FakeMember *member) {
        _cleanup_free_ void *data = fake_content(member);
        int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, member->size), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

static inline FakeMember *new_member(SchedulerFixture *fixture, uint32_t seed, size_t size) {
        FakeMember *member = &fixture->worker.members[fixture->worker.n_members++];
        _cleanup_free_ void *data = NULL;

        assert_true(fixture->worker.n_members <= FIXTURE_MEMBERS_MAX);
        *member = (FakeMember) { .seed = seed, .size = size };
        data = fake_content(member);
        assert_int_equal(sha256_text(data, size, member->sha256), 0);
        return member;
}

static inline void add_member(SchedulerFixture *fixture, const char *name, size_t size) {
        uint32_t seed = 1;

        for (const char *p = name; *p; p++)
                seed = seed * 31 + (uint8_t) *p;
        (void) snprintf(new_member(fixture, seed, size)->name, sizeof(((FakeMember *) NULL)->name), "%s", name);
}

/* Named after its content, and moved to where that name stands among the images. */
static inline void add_image(SchedulerFixture *fixture, unsigned number, size_t size) {
        FakeMember *member = new_member(fixture, number, size);

        (void) stpcpy(stpcpy(mempcpy(stpcpy(member->name, "images/"), member->sha256, 2), "/"), member->sha256);
        (void) strcat(member->name, ".png");
        for (; member > fixture->worker.members && text_after(member[-1].name, "images/") &&
               strcmp(member[-1].name, member->name) > 0; member--) {
                FakeMember before = member[-1];

                member[-1] = member[0];
                member[0] = before;
        }
}

static inline JsonValue *snapshot_reply(FakeWorker *worker, VarlinkCall *call, size_t first, size_t end) {
        JsonValue *reply = json_new_object(), *members = json_new_array(), *missing = json_new_array();
        size_t bytes = 0;

        for (size_t i = first; i < end; i++) {
                const FakeMember *member = &worker->members[i];
                _cleanup_close_ int fd = fake_member_fd(member);
                JsonValue *value = json_new_object();

                assert_int_equal(json_add_string(value, "name", member->name), 0);
                assert_int_equal(json_add_integer(value, "size_bytes", (int64_t) member->size), 0);
                assert_int_equal(json_append(members, value), 0);
                assert_int_equal(varlink_call_push_fd(call, fd), 0);
        }
        for (size_t i = 0; i < worker->n_members; i++)
                bytes += worker->members[i].size;
        for (size_t i = 0; i < worker->faults.missing; i++)
                assert_int_equal(json_append(missing, cJSON_CreateString("images/ff/lost.png")), 0);
        assert_int_equal(json_add(reply, "members", members), 0);
        assert_int_equal(json_add_integer(reply, "members_total", (int64_t) worker->n_members), 0);
        assert_int_equal(json_add_integer(reply, "bytes_total", (int64_t) bytes), 0);
        assert_int_equal(json_add_integer(reply, "missing_total", (int64_t) worker->faults.missing), 0);
        assert_int_equal(json_add(reply, "missing", missing), 0);
        return reply;
}

static inline void on_kept_closed(_unused_ VarlinkCall *call, void *userdata) {
        FakeWorker *worker = userdata;

        worker->kept = NULL;
}

static inline int keep_call(FakeWorker *worker, VarlinkCall *call) {
        worker->kept = call;
        varlink_call_set_closed_handler(call, on_kept_closed, worker);
        return 0;
}

static inline int on_snapshot(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        FakeWorker *worker = userdata;
        size_t end;

        if (worker->faults.refuse)
                return varlink_call_error(call, worker->faults.refuse, NULL);
        for (size_t i = 0; i + worker->faults.keep_back < worker->n_members; i = end) {
                end = MIN(i + FIXTURE_REPLY_MEMBERS, worker->n_members - worker->faults.keep_back);
                assert_int_equal(varlink_call_notify(call, snapshot_reply(worker, call, i, end)), 0);
                if (worker->faults.hang)
                        return keep_call(worker, call);
                if (worker->faults.leave) {
                        varlink_call_abandon(call);
                        return 0;
                }
        }
        return varlink_call_reply(call, snapshot_reply(worker, call, 0, 0));
}

static inline int on_prepare(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        FakeWorker *worker = userdata;
        JsonValue *reply = json_new_object();

        worker->prepared++;
        worker->n_received = 0;
        if (worker->faults.refuse) {
                (void) json_free(reply);
                return varlink_call_error(call, worker->faults.refuse, NULL);
        }
        assert_int_equal(json_add_string(reply, "adoption", "adoption-1"), 0);
        return varlink_call_reply(call, reply);
}

/* Reads to the end, however much that is; false when it is not what was announced. */
static inline bool receive_member(FakeWorker *worker, const JsonValue *member, int fd) {
        FakeMember *received = &worker->received[worker->n_received++];
        static uint8_t data[8 << 20];
        ssize_t size = fd_read_all(fd, data, sizeof(data));

        assert_true(worker->n_received <= FIXTURE_MEMBERS_MAX);
        assert_true(size >= 0);
        (void) snprintf(received->name, sizeof(received->name), "%s", json_get_string(member, "name"));
        received->size = (size_t) size;
        assert_int_equal(sha256_text(data, received->size, received->sha256), 0);
        return json_get_integer(member, "size_bytes", -1) == size;
}

static inline int refuse_member(VarlinkCall *call, const char *name) {
        JsonValue *parameters = json_new_object();

        assert_int_equal(json_add_string(parameters, "name", name), 0);
        assert_int_equal(json_add_string(parameters, "reason", "it is purple"), 0);
        return varlink_call_error(call, "io.atelier.Store.MemberRefused", parameters);
}

static inline int on_receive(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        FakeWorker *worker = userdata;
        JsonValue *reply = json_new_object(), *hashes = json_new_array();
        const JsonValue *member;
        size_t i = 0;

        worker->receives++;
        assert_string_equal(json_get_string(parameters, "adoption"), "adoption-1");
        assert_int_equal(json_add(reply, "sha256", hashes), 0);
        cJSON_ArrayForEach(member, json_get_array(parameters, "members")) {
                _cleanup_close_ int fd = varlink_call_take_fd(call, i++);
                const char *name = json_get_string(member, "name");

                assert_true(fd >= 0);
                if (text_equal(name, worker->faults.refuse_member) || !receive_member(worker, member, fd)) {
                        (void) json_free(reply);
                        return refuse_member(call, name);
                }
                assert_int_equal(json_append(hashes, cJSON_CreateString(
                        text_equal(name, worker->faults.spoil_member) ? worker->members[0].sha256 :
                        worker->received[worker->n_received - 1].sha256)), 0);
        }
        assert_true(varlink_call_take_fd(call, i) < 0);
        return varlink_call_reply(call, reply);
}

static inline int on_adopt(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        FakeWorker *worker = userdata;
        JsonValue *reply = json_new_object();

        if (worker->faults.hang_adopt) {
                (void) json_free(reply);
                return keep_call(worker, call);
        }
        if (worker->faults.refuse_state) {
                assert_int_equal(json_add_string(reply, "reason", "the database is damaged"), 0);
                return varlink_call_error(call, "io.atelier.Store.StateRefused", reply);
        }
        worker->adopted++;
        assert_int_equal(json_add_integer(reply, "jobs", 12), 0);
        assert_int_equal(json_add_integer(reply, "images", 5), 0);
        assert_int_equal(json_add_integer(reply, "held", 3), 0);
        assert_int_equal(json_add_integer(reply, "missing_total", 0), 0);
        assert_int_equal(json_add_string(reply, "former", "former-1"), 0);
        return varlink_call_reply(call, reply);
}

static inline int on_abandon(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        FakeWorker *worker = userdata;

        worker->abandoned++;
        return varlink_call_reply(call, NULL);
}

static const VarlinkMethod fake_store_methods[] = {
        { "Snapshot", on_snapshot, true },
        { "PrepareAdoption", on_prepare, false },
        { "Receive", on_receive, false },
        { "Adopt", on_adopt, false },
        { "AbandonAdoption", on_abandon, false },
        {},
};

static inline int listen_at(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        (void) unlink(path);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 32), 0);
        return fd;
}

static inline void fake_worker_start(SchedulerFixture *fixture) {
        static const VarlinkProduct product = { "Example", "Worker", "1", "https://example.com/" };
        FakeWorker *worker = &fixture->worker;

        assert_int_equal(varlink_server_new(&worker->server, service_event(fixture->service), &product, worker), 0);
        varlink_server_accept_fds(worker->server, NULL, NULL);
        assert_int_equal(varlink_server_add_interface(worker->server, interface_store, fake_store_methods, worker), 0);
        worker->listener = listen_at(fixture->worker_socket);
        assert_int_equal(varlink_server_listen(worker->server, worker->listener), 0);
}

static inline void fake_worker_stop(SchedulerFixture *fixture) {
        fixture->worker.server = varlink_server_free(fixture->worker.server);
        fixture->worker.listener = fd_close(fixture->worker.listener);
        (void) unlink(fixture->worker_socket);
}

/* ------------------------------------------------------------------ the scheduler's part */

static inline void scheduler_start(SchedulerFixture *fixture) {
        _cleanup_free_ char *option = text_format("--config=%s", fixture->folder->path);
        char *argv[] = { (char *) "atelier-scheduler", option, NULL };
        char pid[16];
        int fd = listen_at(fixture->socket);

        if (fd != SD_LISTEN_FDS_START) {
                assert_int_equal(dup3(fd, SD_LISTEN_FDS_START, O_CLOEXEC), SD_LISTEN_FDS_START);
                (void) close(fd);
        }
        (void) snprintf(pid, sizeof(pid), "%d", (int) getpid());
        (void) setenv("LISTEN_PID", pid, 1);
        (void) setenv("LISTEN_FDS", "1", 1);
        (void) setenv("LISTEN_FDNAMES", "varlink", 1);
        (void) setenv("STATE_DIRECTORY", fixture->state, 1);
        (void) setenv("ATELIER_RUNTIME_DIRECTORY", fixture->folder->path, 1);
        optind = 0;
        assert_int_equal(service_new(&fixture->service, &scheduler_service_kind, 2, argv), 0);
        assert_int_equal(scheduler_manager_new(&fixture->manager, fixture->service), 0);
        assert_int_equal(poll_set_new(&fixture->poll, service_event(fixture->service), "clients", 0), 0);
        fake_worker_start(fixture);
}

static inline void fixture_drop_call(FixtureCall *call) {
        call->client = varlink_client_free(call->client);
        (void) json_free(call->reply);
        (void) json_free(call->first);
        *call = (FixtureCall) {};
}

static inline void scheduler_stop(SchedulerFixture *fixture) {
        while (fixture->n_calls > 0)
                fixture_drop_call(&fixture->calls[--fixture->n_calls]);
        fixture->poll = poll_set_free(fixture->poll);
        fixture->manager = scheduler_manager_free(fixture->manager);
        fake_worker_stop(fixture);
        fixture->service = service_free(fixture->service);
}

/* With a state of one database, five images (one too large to be gathered) and a configuration. */
static inline int scheduler_set_up(void **state) {
        SchedulerFixture *fixture = calloc(1, sizeof(*fixture));
        _cleanup_free_ char *settings = NULL;
        void *folder = NULL;

        assert_non_null(fixture);
        assert_int_equal(folder_setup(&folder), 0);
        fixture->folder = folder;
        (void) snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->folder->path);
        (void) snprintf(fixture->backups, sizeof(fixture->backups), "%s/backups", fixture->folder->path);
        (void) snprintf(fixture->socket, sizeof(fixture->socket), "%s/io.atelier.Scheduler", fixture->folder->path);
        (void) snprintf(fixture->worker_socket, sizeof(fixture->worker_socket), "%s/io.atelier.Worker",
                        fixture->folder->path);
        assert_int_equal(mkdir(fixture->state, 0700), 0);
        assert_int_equal(mkdir(fixture->backups, 0700), 0);
        settings = text_format("scheduler = { backup_folder = \"%s\"; };", fixture->backups);
        folder_write(fixture->folder, "atelier.conf", settings);

        add_member(fixture, "atelier.db", 300 * 1000);
        for (unsigned i = 1; i <= 4; i++)
                add_image(fixture, i, i * 1000);
        add_image(fixture, 5, 3 << 20);
        add_member(fixture, "config/atelier.conf", 20);
        fixture->worker.listener = -1;
        scheduler_start(fixture);
        *state = fixture;
        return 0;
}

static inline int scheduler_tear_down(void **state) {
        SchedulerFixture *fixture = *state;
        void *folder = fixture->folder;

        scheduler_stop(fixture);
        (void) folder_teardown(&folder);
        free(fixture);
        return 0;
}

/* As after a restart of the daemon. */
static inline void scheduler_restart(SchedulerFixture *fixture) {
        scheduler_stop(fixture);
        scheduler_start(fixture);
}

/* ------------------------------------------------------------------ calls */

static inline void on_fixture_reply(_unused_ VarlinkClient *client, const VarlinkReply *reply, void *userdata) {
        FixtureCall *call = userdata;

        call->replies++;
        call->status = reply->status;
        call->over = !reply->continues;
        (void) snprintf(call->error, sizeof(call->error), "%s", reply->error ?: "");
        (void) json_free(call->reply);
        call->reply = reply->parameters ? cJSON_Duplicate(reply->parameters, true) : NULL;
        if (!call->first && call->reply)
                call->first = cJSON_Duplicate(call->reply, true);
}

/* `member` with the text `value` is the only parameter, unless NULL. */
static inline FixtureCall *begin_call(SchedulerFixture *fixture, const char *method, const char *member,
                                      const char *value, bool more) {
        FixtureCall *call = &fixture->calls[fixture->n_calls++];
        JsonValue *parameters = json_new_object();

        assert_true(fixture->n_calls <= FIXTURE_CALLS_MAX);
        if (value)
                assert_int_equal(json_add_string(parameters, member, value), 0);
        call->fixture = fixture;
        assert_int_equal(varlink_client_connect(&call->client, service_event(fixture->service), fixture->poll,
                                                fixture->socket), 0);
        assert_int_equal(varlink_client_call(call->client, method, parameters, more, USEC_INFINITY, on_fixture_reply,
                                             call), 0);
        return call;
}

static inline FixtureCall *wait_for(FixtureCall *call) {
        WAIT_UNTIL(call->fixture, call->over);
        return call;
}

static inline FixtureCall *begin_backup(SchedulerFixture *fixture, bool more) {
        return begin_call(fixture, "io.atelier.Tasks.Run", "task", "backup", more);
}

static inline const char *run_text(const FixtureCall *call, const char *member) {
        return json_get_string(json_get_object(call->reply, "run"), member);
}

/* Makes one; its name stays valid until the next. */
static inline const char *make_backup(SchedulerFixture *fixture) {
        static char name[ARCHIVE_NAME_MAX];
        BackupFile file;

        assert_string_equal(run_text(wait_for(begin_backup(fixture, false)), "result"), "succeeded");
        assert_int_equal(backup_folder_find(fixture->backups, NULL, &file), 0);
        (void) snprintf(name, sizeof(name), "%s", file.name.text);
        return name;
}

/* Files in the backup folder, of whatever name. */
static inline size_t count_files(const SchedulerFixture *fixture) {
        DIR *folder = opendir(fixture->backups);
        size_t count = 0;

        assert_non_null(folder);
        for (struct dirent *entry; (entry = readdir(folder));)
                count += entry->d_type == DT_REG;
        (void) closedir(folder);
        return count;
}
