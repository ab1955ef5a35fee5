#include "run-history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

/* All runs that the file has are in memory too, oldest first: at most 2 × HISTORY_RUNS_MAX of them. */

#define HISTORY_NAME "history"
#define HISTORY_DAMAGED_NAME "history.damaged"
#define HISTORY_FILE_BYTES_MAX (16 * 1024 * 1024)   /* 2000 runs with the longest messages, each byte escaped */
#define INTERRUPTED_MESSAGE "the scheduler ended before the run did"

struct RunHistory {
        int folder_fd, fd;
        off_t size;                /* of the file, in whole lines */
        unsigned dropped_lines;
        RunRecord *runs;
        size_t count, allocated;
};

static const char *const result_names[] = {
        [RUN_RUNNING] = "running",
        [RUN_SUCCEEDED] = "succeeded",
        [RUN_FAILED] = "failed",
        [RUN_INTERRUPTED] = "interrupted",
};

const char *run_result_name(RunResult result) {
        return result_names[result];
}

RunResult run_result_from_name(const char *name) {
        for (size_t i = 0; i < ELEMENTS(result_names); i++)
                if (text_equal(result_names[i], name))
                        return (RunResult) i;
        return RUN_RESULT_INVALID;
}

/* ---------------------------------------------------------------- in memory */

static RunRecord *find_run(RunHistory *history, const char *id) {
        for (size_t i = history->count; i > 0; i--)
                if (text_equal(history->runs[i - 1].id, id))
                        return &history->runs[i - 1];
        return NULL;
}

static int add_run(RunHistory *history, const char *id, const char *task, usec_t at) {
        RunRecord *run;

        if (history->count == history->allocated) {
                size_t allocated = MAX(history->allocated * 2, (size_t) 64);
                RunRecord *runs = reallocarray(history->runs, allocated, sizeof(*runs));

                if (!runs)
                        return -ENOMEM;
                history->runs = runs;
                history->allocated = allocated;
        }

        run = &history->runs[history->count++];
        *run = (RunRecord) { .result = RUN_RUNNING, .started_at = at };
        (void) snprintf(run->id, sizeof(run->id), "%s", id);
        (void) snprintf(run->task, sizeof(run->task), "%s", task);
        return 0;
}

static int end_run(RunRecord *run, RunResult result, usec_t at, const char *message) {
        char *copy = NULL;

        if (message) {
                copy = strndup(message, HISTORY_MESSAGE_MAX - 1);
                if (!copy)
                        return -ENOMEM;
        }
        free(run->message);
        run->message = copy;
        run->result = result;
        run->ended_at = at;
        return 0;
}

static void drop_oldest(RunHistory *history, size_t count) {
        if (count == 0)
                return;
        for (size_t i = 0; i < count; i++)
                free(history->runs[i].message);
        history->count -= count;
        memmove(history->runs, history->runs + count, history->count * sizeof(*history->runs));
}

/* ---------------------------------------------------------------- lines */

static int format_line(Buffer *buffer, const JsonValue *line) {
        _cleanup_free_ char *text = json_format(line);
        int r;

        if (!text)
                return -ENOMEM;
        r = buffer_append_text(buffer, text);
        return r < 0 ? r : buffer_append(buffer, "\n", 1);
}

static int format_begin(Buffer *buffer, const char *id, const char *task, usec_t at) {
        _cleanup_(json_freep) JsonValue *line = json_new_object();
        int r;

        r = json_add_string(line, "begin", id);
        if (r >= 0)
                r = json_add_string(line, "task", task);
        if (r >= 0)
                r = json_add_integer(line, "at", (int64_t) at);
        return r < 0 ? r : format_line(buffer, line);
}

static int format_end(Buffer *buffer, const RunRecord *run) {
        _cleanup_(json_freep) JsonValue *line = json_new_object();
        int r;

        r = json_add_string(line, "end", run->id);
        if (r >= 0)
                r = json_add_string(line, "result", run_result_name(run->result));
        if (r >= 0)
                r = json_add_integer(line, "at", (int64_t) run->ended_at);
        if (r >= 0)
                r = json_add_string(line, "message", run->message);
        return r < 0 ? r : format_line(buffer, line);
}

/* False for a line that makes no sense; one that only is of a later version makes none either. */
static bool take_line(RunHistory *history, const JsonValue *line) {
        const char *begin = json_get_string(line, "begin"), *end = json_get_string(line, "end");
        const char *task = json_get_string(line, "task");
        int64_t at = json_get_integer(line, "at", -1);
        RunResult result = run_result_from_name(json_get_string(line, "result"));
        RunRecord *run;

        if (at < 0)
                return false;
        if (begin && task && id_valid(begin) && strlen(task) < HISTORY_TASK_MAX)
                return !find_run(history, begin) && add_run(history, begin, task, (usec_t) at) >= 0;

        run = end ? find_run(history, end) : NULL;
        if (!run || result <= RUN_RUNNING)
                return false;
        return end_run(run, result, (usec_t) at, json_get_string(line, "message")) >= 0;
}

static void take_text(RunHistory *history, char *text, size_t size) {
        char *end = text + size, *stop;

        for (char *line = text; line < end; line = stop + 1) {
                _cleanup_(json_freep) JsonValue *value = NULL;

                stop = memchr(line, '\n', (size_t) (end - line));
                /* The last line without its end has been torn. */
                if (!stop || json_parse(line, (size_t) (stop - line), &value, NULL) < 0 || !take_line(history, value))
                        history->dropped_lines++;
                if (!stop)
                        break;
        }
}

/* ---------------------------------------------------------------- the file */

/* The whole file anew, with the newest runs. */
static int rewrite(RunHistory *history) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_close_ int fd = -1;
        int r = 0;

        if (history->count > HISTORY_RUNS_MAX)
                drop_oldest(history, history->count - HISTORY_RUNS_MAX);
        for (size_t i = 0; r >= 0 && i < history->count; i++) {
                const RunRecord *run = &history->runs[i];

                r = format_begin(&text, run->id, run->task, run->started_at);
                if (r >= 0 && run->result != RUN_RUNNING)
                        r = format_end(&text, run);
        }
        if (r >= 0)
                r = file_replace(history->folder_fd, HISTORY_NAME, text.data ?: (const uint8_t *) "", text.size, 0600);
        if (r < 0)
                return r;

        fd = openat(history->folder_fd, HISTORY_NAME, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        fd_close(history->fd);
        history->fd = TAKE_FD(fd);
        history->size = (off_t) text.size;
        return 0;
}

/* A line that did not get there whole is taken back, so that the next one does not stick to it. */
static int append(RunHistory *history, const Buffer *line) {
        int r;

        r = fd_write_all(history->fd, line->data, line->size);
        if (r >= 0 && fdatasync(history->fd) < 0)
                r = -errno;
        if (r < 0) {
                (void) !ftruncate(history->fd, history->size);
                return r;
        }
        history->size += (off_t) line->size;
        return 0;
}

/* No reason to go without backups, restores least of all: what is not written down now is found again by the next start. */
static bool disk_is_full(int error) {
        return error == -ENOSPC || error == -EDQUOT;
}

/* A run that was under way when the last process ended. */
static int end_cut_off(RunHistory *history) {
        usec_t now = time_now_realtime();

        for (size_t i = 0; i < history->count; i++) {
                RunRecord *run = &history->runs[i];
                int r;

                if (run->result != RUN_RUNNING)
                        continue;
                run->cut_off = true;
                r = run_history_end(history, run->id, RUN_INTERRUPTED, now, INTERRUPTED_MESSAGE);
                if (r < 0 && !disk_is_full(r))
                        return r;
        }
        return 0;
}

static int load(RunHistory *history, bool *ret_stale) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r;

        r = file_read(history->folder_fd, HISTORY_NAME, HISTORY_FILE_BYTES_MAX, &text, &size);
        if (r == -EFBIG || r == -EISDIR || r == -EBADF) {
                history->dropped_lines = 1;
                if (renameat(history->folder_fd, HISTORY_NAME, history->folder_fd, HISTORY_DAMAGED_NAME) < 0)
                        return -errno;
                r = -ENOENT;
        }
        if (r < 0 && r != -ENOENT)
                return r;

        if (r == 0)
                take_text(history, text, size);
        history->size = (off_t) size;
        *ret_stale = r == -ENOENT || history->dropped_lines > 0 || history->count > 2 * HISTORY_RUNS_MAX;
        return 0;
}

static int open_file(RunHistory *history) {
        history->fd = openat(history->folder_fd, HISTORY_NAME, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        return history->fd < 0 ? -errno : 0;
}

int run_history_new(RunHistory **ret, const char *folder) {
        _cleanup_(run_history_freep) RunHistory *history = NULL;
        bool stale = false;
        int r;

        history = malloc(sizeof(*history));
        if (!history)
                return -ENOMEM;
        *history = (RunHistory) { .fd = -1, .folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        if (history->folder_fd < 0)
                return -errno;

        r = load(history, &stale);
        if (r < 0)
                return r;
        if (stale) {
                r = rewrite(history);
                if (r < 0 && !disk_is_full(r))
                        return r;
        }
        if (history->fd < 0)
                r = open_file(history);
        if (r >= 0)
                r = end_cut_off(history);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(history);
        return 0;
}

RunHistory *run_history_free(RunHistory *history) {
        if (!history)
                return NULL;

        drop_oldest(history, history->count);
        free(history->runs);
        fd_close(history->fd);
        fd_close(history->folder_fd);
        free(history);
        return NULL;
}

unsigned run_history_dropped_lines(const RunHistory *history) {
        return history->dropped_lines;
}

int run_history_begin(RunHistory *history, const char *id, const char *task, usec_t at) {
        _cleanup_(buffer_done) Buffer line = {};
        int r;

        assert(strlen(task) < HISTORY_TASK_MAX);

        r = add_run(history, id, task, at);
        if (r < 0)
                return r;
        if (history->count > 2 * HISTORY_RUNS_MAX)
                return rewrite(history);
        r = format_begin(&line, id, task, at);
        return r < 0 ? r : append(history, &line);
}

int run_history_end(RunHistory *history, const char *id, RunResult result, usec_t at, const char *message) {
        RunRecord *run = find_run(history, id);
        _cleanup_(buffer_done) Buffer line = {};
        int r;

        if (!run)
                return -ENOENT;
        r = end_run(run, result, at, message);
        if (r < 0)
                return r;
        r = format_end(&line, run);
        return r < 0 ? r : append(history, &line);
}

const RunRecord *run_history_at(const RunHistory *history, size_t index) {
        if (index >= history->count || index >= HISTORY_RUNS_MAX)
                return NULL;
        return &history->runs[history->count - 1 - index];
}

const RunRecord *run_history_last(const RunHistory *history, const char *task, RunResult result) {
        const RunRecord *run;

        for (size_t i = 0; (run = run_history_at(history, i)); i++)
                if (text_equal(run->task, task) && (result == RUN_RESULT_INVALID || run->result == result))
                        return run;
        return NULL;
}
