/* A failing disk for one process, put in front of the C library with LD_PRELOAD: it knows the fsyncs and writes of
 * SQLite's write-ahead logs (files named *-wal) and leaves all others alone.
 *
 * In the folder that SYNC_FAULT names:
 *
 *     count     gets one byte for each fsync of a log, when it is over
 *     delay     so many milliseconds, written in it, each fsync lasts longer
 *     fail      while it exists, each fsync fails with EIO (once the delay is over)
 *
 *     cc -shared -fPIC -o sync-fault.so sync-fault.c */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_control(const char *name, int flags) {
        const char *folder = getenv("SYNC_FAULT");
        char path[256];

        if (!folder)
                return -1;
        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        return open(path, flags | O_CLOEXEC);
}

static int is_log(int fd) {
        char link[64], path[4096];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path));
        return n > 4 && memcmp(path + n - 4, "-wal", 4) == 0;
}

static void delay(void) {
        int fd = open_control("delay", O_RDONLY);
        char text[16] = "";

        if (fd < 0)
                return;
        if (read(fd, text, sizeof(text) - 1) > 0)
                (void) usleep(1000 * (useconds_t) atoi(text));
        (void) close(fd);
}

static void count(void) {
        int fd = open_control("count", O_WRONLY | O_APPEND);

        if (fd < 0)
                return;
        if (write(fd, ".", 1) != 1)
                abort();
        (void) close(fd);
}

static int failing(void) {
        int fd = open_control("fail", O_RDONLY);

        if (fd >= 0)
                (void) close(fd);
        return fd >= 0;
}

static int sync_log(int fd, long call) {
        int r;

        delay();
        if (failing()) {
                errno = EIO;
                return -1;
        }
        r = (int) syscall(call, fd);
        count();
        return r;
}

int fdatasync(int fd) {
        return is_log(fd) ? sync_log(fd, SYS_fdatasync) : (int) syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
        return is_log(fd) ? sync_log(fd, SYS_fsync) : (int) syscall(SYS_fsync, fd);
}
