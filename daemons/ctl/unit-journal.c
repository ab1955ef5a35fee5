#include "unit-journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "base/buffer.h"
#include "base/secret-mask.h"
#include "base/text-clean.h"
#include "base/text.h"

/* Only fields that nobody can forge are trusted: those with an underscore come from journald itself, and the manager's
 * records are known by _PID=1. */

#define MESSAGE_UNIT_FAILED "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c"
#define MESSAGE_PROCESS_EXIT "MESSAGE_ID=98e322203f7a4ed290d09fe03c09fe15"
#define OF_MANAGER "_PID=1"
#define COMMAND_MAIN "ExecStart"
#define MESSAGES_MAX 100                        /* looked at for secrets that span several */
#define MESSAGE_BYTES_MAX (16 * 1024)
#define RECENT_USEC (10 * USEC_PER_SEC)         /* a failure that brought us here is no older */

typedef struct Reader {
        sd_journal *journal;
        const char *unit;
        const char *invocation;
} Reader;

static void journal_closep(sd_journal **journal) {
        sd_journal_close(*journal);
}

/* ---------------------------------------------------------------- records */

/* "NAME=VALUE" */
static int match(sd_journal *journal, const char *name, const char *value) {
        _cleanup_free_ char *text = text_format("%s=%s", name, value);

        return text ? sd_journal_add_match(journal, text, 0) : -ENOMEM;
}

/* The caller frees it; NULL when the record has no such field. */
static char *copy_field(sd_journal *journal, const char *name) {
        size_t size, prefix = strlen(name) + 1;
        const void *data;

        if (sd_journal_get_data(journal, name, &data, &size) < 0 || size < prefix)
                return NULL;
        return strndup((const char *) data + prefix, size - prefix);
}

/* What the manager itself has recorded of the unit. */
static int match_manager(const Reader *reader, const char *message) {
        int r;

        sd_journal_flush_matches(reader->journal);
        r = sd_journal_add_match(reader->journal, message, 0);
        if (r >= 0)
                r = sd_journal_add_match(reader->journal, OF_MANAGER, 0);
        if (r >= 0)
                r = match(reader->journal, "UNIT", reader->unit);
        if (r >= 0 && *reader->invocation)
                r = match(reader->journal, "INVOCATION_ID", reader->invocation);
        return r;
}

/* What the unit's processes, or the manager about it, have said in this invocation. */
static int match_lines(const Reader *reader, const char *invocation) {
        int r;

        sd_journal_flush_matches(reader->journal);
        r = match(reader->journal, "_SYSTEMD_INVOCATION_ID", invocation);
        if (r >= 0)
                r = match(reader->journal, "_SYSTEMD_UNIT", reader->unit);
        if (r >= 0)
                r = sd_journal_add_disjunction(reader->journal);
        if (r >= 0)
                r = sd_journal_add_match(reader->journal, OF_MANAGER, 0);
        if (r >= 0)
                r = match(reader->journal, "UNIT", reader->unit);
        return r < 0 ? r : match(reader->journal, "INVOCATION_ID", invocation);
}

/* > 0: the journal stands on the newest record that matches. */
static int seek_last(sd_journal *journal) {
        int r;

        r = sd_journal_seek_tail(journal);
        return r < 0 ? r : sd_journal_previous(journal);
}

/* ---------------------------------------------------------------- the failure */

static bool is_recent(sd_journal *journal) {
        uint64_t at = 0;

        return sd_journal_get_realtime_usec(journal, &at) >= 0 && at + RECENT_USEC > time_now_realtime();
}

/* Without an invocation an older failure could be taken for this one: it is, at last, where no other comes. */
static int find_failure(const Reader *reader, bool at_last) {
        int r;

        r = match_manager(reader, MESSAGE_UNIT_FAILED);
        if (r >= 0)
                r = seek_last(reader->journal);
        if (r <= 0)
                return r;
        return *reader->invocation || at_last || is_recent(reader->journal);
}

static int await_failure(const Reader *reader, usec_t patience) {
        usec_t deadline = time_now_monotonic() + patience;
        int r;

        for (;;) {
                usec_t now = time_now_monotonic();

                r = find_failure(reader, now >= deadline);
                if (r != 0 || now >= deadline)
                        return r;
                r = sd_journal_wait(reader->journal, deadline - now);
                if (r < 0)
                        return r;
        }
}

static void take_failure(UnitStory *story, sd_journal *journal) {
        _cleanup_free_ char *invocation = copy_field(journal, "INVOCATION_ID");

        story->result = copy_field(journal, "UNIT_RESULT");
        if (invocation && invocation_valid(invocation))
                (void) snprintf(story->invocation, sizeof(story->invocation), "%s", invocation);
}

static int read_exit(UnitStory *story, const Reader *reader) {
        int r;

        r = match_manager(reader, MESSAGE_PROCESS_EXIT);
        if (r >= 0)
                r = sd_journal_add_match(reader->journal, "COMMAND=" COMMAND_MAIN, 0);
        if (r >= 0)
                r = seek_last(reader->journal);
        if (r <= 0)
                return r;
        story->exit_code = copy_field(reader->journal, "EXIT_CODE");
        story->exit_status = copy_field(reader->journal, "EXIT_STATUS");
        return 0;
}

/* ---------------------------------------------------------------- lines */

int unit_story_take_lines(UnitStory *story, const char *messages) {
        _cleanup_free_ char *masked = secret_mask(messages, strlen(messages));
        const char *lines[UNIT_LINES_MAX];
        size_t count = 0;
        char *rest = masked, *line;

        if (!masked)
                return -ENOMEM;
        while ((line = strsep(&rest, "\n"))) {
                if (!line[strspn(line, " ")])
                        continue;
                if (count == UNIT_LINES_MAX)
                        memmove(&lines[0], &lines[1], --count * sizeof(*lines));
                lines[count++] = line;
        }
        for (size_t i = 0; i < count; i++) {
                story->lines[i] = text_cut(lines[i], UNIT_LINE_BYTES_MAX);
                if (!story->lines[i])
                        return -ENOMEM;
                story->n_lines++;
        }
        return 0;
}

/* Goes back from the newest to the first that is taken, and reads on from there. */
static int read_lines(UnitStory *story, const Reader *reader) {
        _cleanup_(buffer_done) Buffer messages = {};
        _cleanup_free_ char *text = NULL;
        int r;

        r = match_lines(reader, story->invocation);
        if (r >= 0)
                r = sd_journal_seek_tail(reader->journal);
        if (r >= 0)
                r = sd_journal_previous_skip(reader->journal, MESSAGES_MAX);
        while (r > 0) {
                _cleanup_free_ char *message = copy_field(reader->journal, "MESSAGE");

                r = message ? buffer_printf(&messages, "%s\n", message) : 0;
                if (r >= 0)
                        r = sd_journal_next(reader->journal);
        }
        if (r < 0)
                return r;
        text = messages.size > 0 ? buffer_take_text(&messages) : strdup("");
        return text ? unit_story_take_lines(story, text) : -ENOMEM;
}

int unit_story_read(UnitStory *ret, const char *unit, const char *invocation, usec_t patience) {
        _cleanup_(journal_closep) sd_journal *journal = NULL;
        Reader reader = { .unit = unit, .invocation = ret->invocation };
        int r;

        *ret = (UnitStory) {};
        (void) snprintf(ret->invocation, sizeof(ret->invocation), "%s", invocation);
        r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        reader.journal = journal;
        (void) sd_journal_set_data_threshold(journal, MESSAGE_BYTES_MAX);

        r = await_failure(&reader, patience);
        if (r > 0)
                take_failure(ret, journal);
        if (r >= 0 && *ret->invocation)
                r = read_exit(ret, &reader);
        if (r >= 0 && *ret->invocation)
                r = read_lines(ret, &reader);
        return MIN(r, 0);
}

void unit_story_done(UnitStory *story) {
        for (size_t i = 0; i < story->n_lines; i++)
                free(story->lines[i]);
        free(story->result);
        free(story->exit_code);
        free(story->exit_status);
        *story = (UnitStory) {};
}
