#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "base/text.h"

/* The log is the one exception to "no mutable global but the Manager": every line of code may need it. */
static struct {
        const char *program;
        int level;
        bool journal;
} log_state = { .program = "atelier", .level = LOG_INFO };

/* systemd names the stream it connected to standard error; another one means that somebody redirected it. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) >= 0 &&
               st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *program) {
        log_state.program = program;
        log_state.journal = stderr_is_journal();
}

void log_set_level(int level) {
        log_state.level = level;
}

int log_get_level(void) {
        return log_state.level;
}

static int send_to_journal(int level, const LogField *fields, const char *message) {
        char *texts[LOG_FIELDS_COUNT_MAX + 3];
        struct iovec iov[ELEMENTS(texts)];
        int count = 0, r;

        texts[count++] = text_format("MESSAGE=%s", message);
        texts[count++] = text_format("PRIORITY=%d", level);
        texts[count++] = text_format("SYSLOG_IDENTIFIER=%s", log_state.program);
        for (; fields && fields->name && count < (int) ELEMENTS(texts); fields++)
                if (fields->value)
                        texts[count++] = text_format("%s=%s", fields->name, fields->value);

        for (int i = 0; i < count; i++)
                iov[i] = (struct iovec) { texts[i], texts[i] ? strlen(texts[i]) : 0 };
        r = sd_journal_sendv(iov, count);
        for (int i = 0; i < count; i++)
                free(texts[i]);
        return r;
}

static void write_to_stderr(const LogField *fields, const char *message) {
        char line[4096];
        int used;

        used = snprintf(line, sizeof(line), "%s: %s", log_state.program, message);
        for (; fields && fields->name && used < (int) sizeof(line); fields++)
                if (fields->value)
                        used += snprintf(line + used, sizeof(line) - (size_t) used, " %s=%s", fields->name, fields->value);
        used = MIN(used, (int) sizeof(line) - 1);
        line[used++] = '\n';
        (void) !write(STDERR_FILENO, line, (size_t) used);
}

int log_record(int level, int error, const LogField *fields, const char *format, ...) {
        char message[2048];
        va_list arguments;
        int length, saved = errno;

        if (level > log_state.level)
                return error;

        va_start(arguments, format);
        length = vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        if (length < 0)
                return error;
        if (error < 0 && (size_t) length < sizeof(message))
                (void) snprintf(message + length, sizeof(message) - (size_t) length, ": %s", strerror(-error));

        if (log_state.journal)
                (void) send_to_journal(level, fields, message);
        else
                write_to_stderr(fields, message);
        errno = saved;
        return error;
}

int log_audit(const LogField *fields, const char *format, ...) {
        char message[2048];
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        if (length < 0)
                return -EINVAL;
        if (log_state.journal)
                return send_to_journal(LOG_INFO, fields, message);
        write_to_stderr(fields, message);
        return 0;
}
