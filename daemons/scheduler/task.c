#include "task.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/fd.h"

struct TaskContext {
        ArchiveProgress progress;   /* cancel, done */
        atomic_ullong total;
        atomic_ullong touches;
        int cancel_fd;              /* written once, never read: readable from then on */

        pthread_mutex_t lock;
        VarlinkDialog *dialog;      /* under the lock, so that it lives while it is interrupted */

        char message[TASK_MESSAGE_BYTES_MAX];
};

int task_context_new(TaskContext **ret) {
        TaskContext *context = calloc(1, sizeof(*context));

        if (!context)
                return -ENOMEM;
        context->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (context->cancel_fd < 0) {
                free(context);
                return -errno;
        }
        (void) pthread_mutex_init(&context->lock, NULL);

        *ret = context;
        return 0;
}

TaskContext *task_context_free(TaskContext *context) {
        if (!context)
                return NULL;

        assert(!context->dialog);
        (void) pthread_mutex_destroy(&context->lock);
        fd_close(context->cancel_fd);
        free(context);
        return NULL;
}

bool task_cancelled(const TaskContext *context) {
        return atomic_load(&context->progress.cancel);
}

void task_set_done(TaskContext *context, uint64_t bytes) {
        atomic_store(&context->progress.done, bytes);
}

void task_set_total(TaskContext *context, uint64_t bytes) {
        atomic_store(&context->total, bytes);
}

void task_touch(TaskContext *context) {
        atomic_fetch_add(&context->touches, 1);
}

ArchiveProgress *task_progress(TaskContext *context) {
        return &context->progress;
}

/* A sentence that is cut is cut between two characters. */
static void cut_to_whole_characters(char *text, size_t size) {
        while (size > 0 && ((unsigned char) text[size] & 0xc0) == 0x80)
                size--;
        text[size] = 0;
}

void task_say(TaskContext *context, const char *format, ...) {
        char text[4 * TASK_MESSAGE_BYTES_MAX];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);

        cut_to_whole_characters(text, MIN(strlen(text), sizeof(context->message) - 1));
        memcpy(context->message, text, strlen(text) + 1);
}

void task_say_more(TaskContext *context, const char *text) {
        size_t length = strlen(context->message);

        if (length + strlen(text) < sizeof(context->message))
                (void) strcpy(context->message + length, text);
}

int task_wait(TaskContext *context, int fd, short events, usec_t timeout) {
        struct pollfd fds[] = {
                { .fd = context->cancel_fd, .events = POLLIN },
                { .fd = fd, .events = events },
        };
        int r;

        assert(timeout <= USEC_PER_HOUR);

        r = poll(fds, ELEMENTS(fds), (int) ((timeout + USEC_PER_MSEC - 1) / USEC_PER_MSEC));
        if (r < 0)
                return errno == EINTR ? 0 : -errno;
        if (fds[0].revents)
                return -ECANCELED;
        return r == 0 ? -ETIMEDOUT : 0;
}

void task_set_dialog(TaskContext *context, VarlinkDialog *dialog) {
        (void) pthread_mutex_lock(&context->lock);
        context->dialog = dialog;
        if (dialog && task_cancelled(context))
                varlink_dialog_interrupt(dialog);
        (void) pthread_mutex_unlock(&context->lock);
}

void task_cancel(TaskContext *context) {
        atomic_store(&context->progress.cancel, true);
        (void) eventfd_write(context->cancel_fd, 1);

        (void) pthread_mutex_lock(&context->lock);
        if (context->dialog)
                varlink_dialog_interrupt(context->dialog);
        (void) pthread_mutex_unlock(&context->lock);
}

uint64_t task_done(const TaskContext *context) {
        return atomic_load(&context->progress.done);
}

uint64_t task_total(const TaskContext *context) {
        return atomic_load(&context->total);
}

uint64_t task_touches(const TaskContext *context) {
        return atomic_load(&context->touches) + task_done(context);
}

const char *task_message(const TaskContext *context) {
        return context->message;
}
