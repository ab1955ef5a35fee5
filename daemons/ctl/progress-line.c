#include "progress-line.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/text.h"
#include "printable.h"
#include "size-text.h"

#define COLUMNS_DEFAULT 80

struct ProgressLine {
        FILE *stream;       /* NULL: quiet */
        bool terminal;
        size_t columns;     /* of the terminal */
        size_t shown;       /* columns that the line on the terminal takes */
        char *last;         /* what was told last */
        usec_t written_at;  /* the last plain line; 0: none yet */
};

int progress_line_new_on(ProgressLine **ret, FILE *stream, bool terminal, size_t columns) {
        ProgressLine *line;

        line = calloc(1, sizeof(*line));
        if (!line)
                return -ENOMEM;
        line->stream = stream;
        line->terminal = terminal;
        line->columns = columns;
        *ret = line;
        return 0;
}

int progress_line_new(ProgressLine **ret, bool quiet) {
        struct winsize size = {};
        bool terminal = isatty(STDERR_FILENO) && !text_equal(getenv("TERM"), "dumb");

        if (terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0)
                size.ws_col = 0;
        return progress_line_new_on(ret, quiet ? NULL : stderr, terminal, size.ws_col ?: COLUMNS_DEFAULT);
}

ProgressLine *progress_line_free(ProgressLine *line) {
        if (!line)
                return NULL;

        progress_line_clear(line);
        free(line->last);
        free(line);
        return NULL;
}

void progress_line_clear(ProgressLine *line) {
        if (line->shown == 0)
                return;
        fprintf(line->stream, "\r%*s\r", (int) line->shown, "");
        (void) fflush(line->stream);
        line->shown = 0;
}

/* What is left of a longer line before is written over with blanks. */
static void show_on_terminal(ProgressLine *line, const char *text) {
        size_t columns = printable_columns(text);
        int rest = line->shown > columns ? (int) (line->shown - columns) : 0;

        fprintf(line->stream, "\r%s%*s", text, rest, "");
        (void) fflush(line->stream);
        line->shown = columns;
}

static void show_plainly(ProgressLine *line, const char *text, usec_t now) {
        if (line->written_at > 0 && now - line->written_at < PROGRESS_PLAIN_USEC)
                return;
        fprintf(line->stream, "%s\n", text);
        line->written_at = now;
}

void progress_line_show_at(ProgressLine *line, const char *text, usec_t now) {
        _cleanup_free_ char *shown = printable_text(text, line->terminal ? line->columns - 1 : 0);

        if (!shown)
                return;
        if (text_equal(shown, line->last))
                return;
        (void) sd_notifyf(0, "STATUS=%s", shown);
        if (line->stream && line->terminal)
                show_on_terminal(line, shown);
        else if (line->stream)
                show_plainly(line, shown, now);
        free(line->last);
        line->last = TAKE_PTR(shown);
}

void progress_line_show(ProgressLine *line, const char *text) {
        progress_line_show_at(line, text, time_now_monotonic());
}

void progress_line_show_bytes(ProgressLine *line, const char *what, int64_t done, int64_t total) {
        char have[SIZE_TEXT_MAX], want[SIZE_TEXT_MAX];
        _cleanup_free_ char *text = NULL;

        (void) size_text((uint64_t) MAX(done, 0), have);
        (void) size_text((uint64_t) MAX(total, 0), want);
        if (total > 0)
                text = text_format("%s: %d %%, %s of %s", what,
                                   (int) (100.0 * (double) MIN(done, total) / (double) total), have, want);
        else if (done > 0)
                text = text_format("%s: %s", what, have);
        else
                text = strdup(what);
        if (text)
                progress_line_show(line, text);
}
