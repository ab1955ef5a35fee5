#include "audit/audit-chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/store-audit.h"

#define STEP_RECORDS 256 /* a few milliseconds */

typedef struct AuditChain {
        int64_t number; /* of the last record looked at */
        char hash[SHA256_TEXT_MAX];
} AuditChain;

static int new_chain(void **ret) {
        AuditChain *chain = calloc(1, sizeof(*chain));

        if (!chain)
                return -ENOMEM;
        (void) strcpy(chain->hash, AUDIT_FIRST_HASH);
        *ret = chain;
        return 0;
}

static int broken(char **problem, char *text) {
        *problem = text;
        return text ? CHAIN_BROKEN : -ENOMEM;
}

static int check_record(AuditChain *chain, const AuditRecord *record, char **problem) {
        char hash[SHA256_TEXT_MAX];
        int r;

        if (record->number != chain->number + 1)
                return broken(problem, record->number == chain->number + 2
                                               ? text_format("record %lld was removed", (long long) chain->number + 1)
                                               : text_format("records %lld to %lld were removed",
                                                             (long long) chain->number + 1, (long long) record->number - 1));
        r = audit_record_hash(record, chain->hash, hash);
        if (r < 0)
                return r;
        if (!text_equal(hash, record->hash))
                return broken(problem, text_format("record %lld was altered: its hash does not match",
                                                   (long long) record->number));
        chain->number = record->number;
        (void) strcpy(chain->hash, hash);
        return 0;
}

static int check_head(const AuditChain *chain, Store *store, char **problem) {
        AuditHead head;
        int r;

        r = store_audit_head(store, &head);
        if (r < 0)
                return r;
        if (head.number > chain->number)
                return broken(problem, text_format("records %lld to %lld were removed from the end",
                                                   (long long) chain->number + 1, (long long) head.number));
        if (head.number < chain->number || !text_equal(head.hash, chain->hash))
                return broken(problem, text_format("the head was altered: it is that of record %lld, the last is %lld",
                                                   (long long) head.number, (long long) chain->number));
        return 0;
}

static int step_chain(void *userdata, Store *store, char **problem) {
        AuditChain *chain = userdata;
        AuditRecord *records;
        size_t count;
        int r;

        r = store_audit_list(store, chain->number, NULL, STEP_RECORDS, &records, &count);
        if (r < 0)
                return r;
        for (size_t i = 0; i < count && r == 0; i++)
                r = check_record(chain, &records[i], problem);
        audit_records_free(records, count);
        if (r != 0)
                return r;
        return count > 0 ? CHAIN_MORE : check_head(chain, store, problem);
}

static int64_t count_records(const void *chain) {
        return ((const AuditChain *) chain)->number;
}

const ChainKind audit_chain = { "records", new_chain, free, step_chain, count_records };
