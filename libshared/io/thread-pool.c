#include "io/thread-pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"

/* Two queues under one lock: tasks that wait for a thread, and tasks that are done and wait for the loop. An eventfd
 * tells the loop about the second; it is written only when that queue was empty, so a burst costs one wake-up. */

#define THREADS_MAX 64
#define THREAD_STACK_BYTES (512 * 1024)

typedef struct Task {
        struct Task *next;
        ThreadWork work;
        ThreadDone done;
        void *data;
        int result;
} Task;

typedef struct TaskQueue {
        Task *first, **end;
} TaskQueue;

struct ThreadPool {
        pthread_mutex_t lock;
        pthread_cond_t wake;
        TaskQueue waiting, finished;
        size_t pending;       /* loop's count: queued, running or not yet reported */
        size_t n_waiting;     /* tasks in `waiting` */
        unsigned idle;        /* threads that wait for a task */
        unsigned n_threads, n_threads_max;
        bool stopping;
        int event_fd;
        sd_event_source *source;
        pthread_t threads[THREADS_MAX];
};

static void queue_push(TaskQueue *queue, Task *task) {
        task->next = NULL;
        *queue->end = task;
        queue->end = &task->next;
}

static Task *queue_take_all(TaskQueue *queue) {
        Task *first = queue->first;

        queue->first = NULL;
        queue->end = &queue->first;
        return first;
}

static Task *queue_pop(TaskQueue *queue) {
        Task *task = queue->first;

        if (task) {
                queue->first = task->next;
                if (!queue->first)
                        queue->end = &queue->first;
        }
        return task;
}

static void *thread_main(void *userdata) {
        ThreadPool *pool = userdata;

        (void) pthread_mutex_lock(&pool->lock);
        for (;;) {
                Task *task;
                bool first;

                while (!pool->waiting.first && !pool->stopping) {
                        pool->idle++;
                        (void) pthread_cond_wait(&pool->wake, &pool->lock);
                        pool->idle--;
                }
                if (pool->stopping)
                        break;

                task = queue_pop(&pool->waiting);
                pool->n_waiting--;
                (void) pthread_mutex_unlock(&pool->lock);
                task->result = task->work(task->data);
                (void) pthread_mutex_lock(&pool->lock);

                first = !pool->finished.first;
                queue_push(&pool->finished, task);
                if (first)
                        (void) eventfd_write(pool->event_fd, 1);
        }
        (void) pthread_mutex_unlock(&pool->lock);
        return NULL;
}

static void report(ThreadPool *pool, Task *task) {
        while (task) {
                Task *next = task->next;

                pool->pending--;
                task->done(task->data, task->result);
                free(task);
                task = next;
        }
}

static int on_finished(_unused_ sd_event_source *source, int fd, _unused_ uint32_t revents, void *userdata) {
        ThreadPool *pool = userdata;
        eventfd_t count;
        Task *tasks;

        (void) eventfd_read(fd, &count);
        (void) pthread_mutex_lock(&pool->lock);
        tasks = queue_take_all(&pool->finished);
        (void) pthread_mutex_unlock(&pool->lock);

        report(pool, tasks);
        return 0;
}

int thread_pool_new(ThreadPool **ret, sd_event *event, const char *description, unsigned n_threads) {
        _cleanup_(thread_pool_freep) ThreadPool *pool = NULL;
        int r;

        assert(n_threads > 0 && n_threads <= THREADS_MAX);

        pool = calloc(1, sizeof(*pool));
        if (!pool)
                return -ENOMEM;
        (void) pthread_mutex_init(&pool->lock, NULL);
        (void) pthread_cond_init(&pool->wake, NULL);
        pool->waiting.end = &pool->waiting.first;
        pool->finished.end = &pool->finished.first;
        pool->n_threads_max = n_threads;

        pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (pool->event_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &pool->source, pool->event_fd, EPOLLIN, on_finished, pool);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(pool->source, description);

        *ret = TAKE_PTR(pool);
        return 0;
}

ThreadPool *thread_pool_free(ThreadPool *pool) {
        Task *tasks;

        if (!pool)
                return NULL;

        (void) pthread_mutex_lock(&pool->lock);
        pool->stopping = true;
        (void) pthread_cond_broadcast(&pool->wake);
        (void) pthread_mutex_unlock(&pool->lock);
        for (unsigned i = 0; i < pool->n_threads; i++)
                (void) pthread_join(pool->threads[i], NULL);

        report(pool, queue_take_all(&pool->finished));
        tasks = queue_take_all(&pool->waiting);
        for (Task *task = tasks; task; task = task->next)
                task->result = -ECANCELED;
        report(pool, tasks);

        (void) sd_event_source_disable_unref(pool->source);
        pool->event_fd = fd_close(pool->event_fd);
        (void) pthread_cond_destroy(&pool->wake);
        (void) pthread_mutex_destroy(&pool->lock);
        free(pool);
        return NULL;
}

/* Signals are the loop's: a helper thread takes none. */
static int start_thread(ThreadPool *pool) {
        pthread_attr_t attributes;
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        (void) pthread_attr_init(&attributes);
        (void) pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
        r = -pthread_create(&pool->threads[pool->n_threads], &attributes, thread_main, pool);
        (void) pthread_attr_destroy(&attributes);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r == 0)
                pool->n_threads++;
        return r;
}

int thread_pool_run(ThreadPool *pool, ThreadWork work, ThreadDone done, void *data) {
        bool more_threads;
        Task *task;
        int r = 0;

        task = malloc(sizeof(*task));
        if (!task)
                return -ENOMEM;
        *task = (Task) { .work = work, .done = done, .data = data };

        (void) pthread_mutex_lock(&pool->lock);
        more_threads = pool->idle <= pool->n_waiting && pool->n_threads < pool->n_threads_max;
        (void) pthread_mutex_unlock(&pool->lock);
        if (more_threads)
                r = start_thread(pool);
        if (r < 0 && pool->n_threads == 0) {
                free(task);
                return r;
        }

        (void) pthread_mutex_lock(&pool->lock);
        queue_push(&pool->waiting, task);
        pool->n_waiting++;
        (void) pthread_cond_signal(&pool->wake);
        (void) pthread_mutex_unlock(&pool->lock);
        pool->pending++;
        return 0;
}

size_t thread_pool_pending(const ThreadPool *pool) {
        return pool->pending;
}
