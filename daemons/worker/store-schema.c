#include "store-schema.h"

#include "base/macro.h"

const char *const store_migrations[] = {
        /* 0 → 1. Times are microseconds since 1970 UTC; status and outcome are the numbers of job.h. */
        "CREATE TABLE job ("
        "  sequence INTEGER PRIMARY KEY,"  /* order of acceptance */
        "  id TEXT NOT NULL UNIQUE,"
        "  status INTEGER NOT NULL,"
        "  model TEXT NOT NULL,"
        "  held INTEGER NOT NULL DEFAULT 0,"  /* not to be started until released; of unfinished jobs alone */
        "  response_format TEXT NOT NULL,"
        "  request TEXT NOT NULL,"         /* io.atelier.Queue.ImageRequest */
        "  created_at INTEGER NOT NULL,"
        "  started_at INTEGER,"
        "  ended_at INTEGER,"
        "  lease TEXT,"                    /* of the worker process that has it in progress */
        "  usage TEXT,"
        "  reply TEXT,"
        "  failure TEXT"
        ") STRICT;"
        /* Only what is under way is indexed by state: the many jobs that have ended cost nothing here. */
        "CREATE INDEX job_waiting ON job (sequence) WHERE status = 0 AND held = 0;"
        "CREATE INDEX job_held ON job (sequence) WHERE held = 1;"
        "CREATE INDEX job_in_progress ON job (sequence) WHERE status = 1;"
        "CREATE TABLE attempt ("
        "  job INTEGER NOT NULL REFERENCES job (sequence) ON DELETE CASCADE,"
        "  number INTEGER NOT NULL,"
        "  provider TEXT NOT NULL,"
        "  outcome INTEGER NOT NULL,"
        "  started_at INTEGER NOT NULL,"
        "  ended_at INTEGER,"
        "  provider_request_id TEXT,"
        "  cause TEXT,"
        "  PRIMARY KEY (job, number)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE TABLE image ("
        "  job INTEGER NOT NULL REFERENCES job (sequence) ON DELETE CASCADE,"
        "  number INTEGER NOT NULL,"
        "  sha256 TEXT NOT NULL,"
        "  format TEXT NOT NULL,"
        "  width INTEGER NOT NULL,"
        "  height INTEGER NOT NULL,"
        "  size_bytes INTEGER NOT NULL,"
        "  revised_prompt TEXT,"
        "  PRIMARY KEY (job, number)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX image_use ON image (sha256, format);",

        /* 1 → 2. Retries wait for their time. What waits is found by its model, so that many jobs of one keep nobody
         * else waiting: retries by their time, then what was never tried in order of acceptance. `<> 0`,
         * since a query would take `> 0` for the range to search. */
        "ALTER TABLE job ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;"  /* of a retry; 0: it is none */
        "ALTER TABLE attempt ADD COLUMN retry_delay INTEGER;"                /* that followed, in microseconds */
        "DROP INDEX job_waiting;"
        "CREATE INDEX job_waiting ON job (model, not_before, sequence) WHERE status = 0 AND held = 0;"
        "CREATE INDEX job_retry ON job (not_before) WHERE status = 0 AND held = 0 AND not_before <> 0;"
        "CREATE INDEX job_begun ON job (started_at) WHERE status = 0 AND held = 0 AND not_before <> 0;",
};

const int store_version = (int) ELEMENTS(store_migrations);
