#include "audit-journal.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "base/text.h"

#define UNIT_MATCH "_SYSTEMD_UNIT=atelier-worker.service" /* set by journald: nobody else can claim it */
#define TEXT_BYTES_MAX 80

static void journal_close(sd_journal **journal) {
        sd_journal_close(*journal);
}

/* "" where the record has no such field. */
static int read_field(sd_journal *journal, const char *name, char ret[static TEXT_BYTES_MAX]) {
        const void *data;
        size_t length, skip = strlen(name) + 1;
        int r;

        *ret = 0;
        r = sd_journal_get_data(journal, name, &data, &length);
        if (r == -ENOENT || (r >= 0 && (length < skip || length - skip >= TEXT_BYTES_MAX)))
                return 0;
        if (r < 0)
                return r;
        *(char *) mempcpy(ret, (const char *) data + skip, length - skip) = 0;
        return 0;
}

static int compare_record(sd_journal *journal, AuditLookup lookup, void *userdata, char **problem) {
        char text[TEXT_BYTES_MAX], hash[TEXT_BYTES_MAX];
        uint64_t number;
        const char *known;
        int r;

        r = read_field(journal, "ATELIER_AUDIT_NUMBER", text);
        if (r >= 0)
                r = read_field(journal, "ATELIER_AUDIT_HASH", hash);
        if (r < 0)
                return r;
        if (text_to_unsigned(text, INT64_MAX, &number) < 0)
                return 0;
        known = lookup((int64_t) number, userdata);
        if (!known)
                return -ECANCELED;
        if (text_equal(known, hash))
                return 0;
        *problem = *known ? text_format("record %s is another one in the journal: the worker's was altered", text)
                          : text_format("record %s is in the journal, and the worker has it no more", text);
        return *problem ? 1 : -ENOMEM;
}

static int compare_all(sd_journal *journal, const char *chain, AuditLookup lookup, void *userdata, AuditJournal *ret,
                       char **problem) {
        char text[TEXT_BYTES_MAX];
        int r;

        *ret = (AuditJournal) {};
        while ((r = sd_journal_next(journal)) > 0) {
                r = read_field(journal, "ATELIER_AUDIT_CHAIN", text);
                if (r < 0)
                        return r;
                if (!text_equal(text, chain)) {
                        ret->others++;
                        continue;
                }
                r = compare_record(journal, lookup, userdata, problem);
                if (r != 0)
                        return r;
                ret->compared++;
        }
        return r;
}

int audit_journal_compare(const char *chain, AuditLookup lookup, void *userdata, AuditJournal *ret, char **problem) {
        __attribute__((cleanup(journal_close))) sd_journal *journal = NULL;
        int r;

        r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = sd_journal_add_match(journal, "ATELIER_AUDIT=1", 0);
        if (r >= 0)
                r = sd_journal_add_match(journal, UNIT_MATCH, 0);
        return r < 0 ? r : compare_all(journal, chain, lookup, userdata, ret, problem);
}
