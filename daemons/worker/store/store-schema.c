#include "store/store-schema.h"

#include "audit/audit-record.h"
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

        /* 1 → 2. What a client asked an alias for: io.atelier.Queue.Asked; NULL where it named the model itself. */
        "ALTER TABLE job ADD COLUMN asked TEXT;",

        /* 2 → 3: money, in micro-dollars (ledger.h). Kinds and scopes are the numbers of ledger.h and budget.h. */
        "ALTER TABLE job ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN unknown INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN budget_day INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE job ADD COLUMN entry INTEGER NOT NULL DEFAULT 0;"  /* the last of the ledger about it */
        "CREATE TABLE ledger_entry ("
        "  number INTEGER PRIMARY KEY,"
        "  at INTEGER NOT NULL,"
        "  kind INTEGER NOT NULL,"
        "  day INTEGER NOT NULL,"
        "  job TEXT,"
        "  key TEXT,"
        "  model TEXT,"
        "  provider TEXT,"
        "  reserved INTEGER NOT NULL,"
        "  spent INTEGER NOT NULL,"
        "  unknown INTEGER NOT NULL,"
        "  images INTEGER NOT NULL,"
        "  note TEXT,"
        "  hash TEXT NOT NULL"
        ") STRICT;"
        "CREATE TABLE ledger_total ("
        "  scope INTEGER NOT NULL,"
        "  period INTEGER NOT NULL,"       /* 20261123, 202611, 0: ever */
        "  name TEXT NOT NULL,"
        "  reserved INTEGER NOT NULL,"
        "  spent INTEGER NOT NULL,"
        "  unknown INTEGER NOT NULL,"
        "  images INTEGER NOT NULL,"
        "  PRIMARY KEY (scope, period, name)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE TABLE budget_pause ("      /* at most one row */
        "  id INTEGER PRIMARY KEY CHECK (id = 1),"
        "  since INTEGER NOT NULL,"
        "  until_day INTEGER NOT NULL,"
        "  reason TEXT NOT NULL"
        ") STRICT;",

        /* 3 → 4: the clients' keys (client-key.h). They are revoked, never removed: jobs name them, and that there are
         * any is what closes the door to clients without one. A job's key is NULL where none was shown. */
        "CREATE TABLE client_key ("
        "  sequence INTEGER PRIMARY KEY,"  /* order of creation */
        "  id TEXT NOT NULL UNIQUE,"
        "  name TEXT NOT NULL,"
        "  hash BLOB NOT NULL,"            /* HMAC-SHA-256 of the secret */
        "  created_at INTEGER NOT NULL,"
        "  revoked_at INTEGER,"
        "  daily_budget INTEGER,"          /* micro-dollars; NULL: none */
        "  monthly_budget INTEGER"
        ") STRICT;"
        "ALTER TABLE job ADD COLUMN key TEXT;"
        "CREATE INDEX job_key ON job (key) WHERE key IS NOT NULL;",

        /* 4 → 5. Retries wait for their time. What waits is found by its model, so that many jobs of one keep nobody
         * else waiting: retries by their time, then what was never tried in order of acceptance. `<> 0`,
         * since a query would take `> 0` for the range to search. */
        "ALTER TABLE job ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;"  /* of a retry; 0: it is none */
        "ALTER TABLE attempt ADD COLUMN retry_delay INTEGER;"                /* that followed, in microseconds */
        "DROP INDEX job_waiting;"
        "CREATE INDEX job_waiting ON job (model, not_before, sequence) WHERE status = 0 AND held = 0;"
        "CREATE INDEX job_retry ON job (not_before) WHERE status = 0 AND held = 0 AND not_before <> 0;"
        "CREATE INDEX job_begun ON job (started_at) WHERE status = 0 AND held = 0 AND not_before <> 0;",

        /* 5 → 6: Idempotency-Key. As long as the job is there, the same key of the same client is that job. */
        "CREATE TABLE idempotency ("
        "  scope TEXT NOT NULL,"           /* id of the client's key; empty: none was shown */
        "  name TEXT NOT NULL,"
        "  body TEXT NOT NULL,"            /* SHA-256 of the request */
        "  job INTEGER NOT NULL REFERENCES job (sequence) ON DELETE CASCADE,"
        "  PRIMARY KEY (scope, name)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX idempotency_job ON idempotency (job);",

        /* 6 → 7: pictures that serve more than one request (store-cache.h). A job that waits for another one's images
         * is held = 2, and so in none of the indexes of what waits to be dispatched. */
        "ALTER TABLE job ADD COLUMN picture TEXT;"                       /* hash of all that shapes it; NULL: uncached */
        "ALTER TABLE job ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"  /* of its images: the numbers of job.h */
        "ALTER TABLE job ADD COLUMN leader INTEGER;"                     /* sequence of the job that it waited for */
        "CREATE INDEX job_leader ON job (picture, sequence) WHERE status < 2 AND held = 0 AND picture IS NOT NULL;"
        "CREATE INDEX job_follower ON job (leader) WHERE held = 2;"
        "CREATE TABLE cache_entry ("
        "  picture TEXT NOT NULL PRIMARY KEY,"
        "  job INTEGER NOT NULL REFERENCES job (sequence) ON DELETE CASCADE,"
        "  made_at INTEGER NOT NULL,"
        "  used_at INTEGER NOT NULL,"
        "  size_bytes INTEGER NOT NULL"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX cache_job ON cache_entry (job);"
        "CREATE INDEX cache_made ON cache_entry (made_at);"
        "CREATE INDEX cache_used ON cache_entry (used_at);"
        "CREATE TABLE cache_total ("       /* one row: what the entries are together */
        "  id INTEGER PRIMARY KEY CHECK (id = 1),"
        "  entries INTEGER NOT NULL,"
        "  size_bytes INTEGER NOT NULL"
        ") STRICT;"
        "INSERT INTO cache_total (id, entries, size_bytes) VALUES (1, 0, 0);",

        /* 7 → 8: turns (fair-share.h). What was never tried is found by its party, the client's key or none, and goes
         * by its priority among that party's own; retries by their time, as before. A waiting job is in one of the
         * two. */
        "ALTER TABLE job ADD COLUMN party TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"  /* the numbers of job.h */
        "UPDATE job SET party = key WHERE key IS NOT NULL AND status < 2;"
        "DROP INDEX job_waiting;"
        "CREATE INDEX job_turn ON job (model, party, priority, sequence) "
        "  WHERE status = 0 AND held = 0 AND not_before = 0;"
        "CREATE INDEX job_due ON job (model, not_before, sequence) "
        "  WHERE status = 0 AND held = 0 AND not_before <> 0;",

        /* 8 → 9: receipts. Which entries of the ledger are about a job (an index of the ledger by job would be as
         * large, and grow at random places); what its charge is the sum of, and the budgets that it counted on, as
         * JSON. */
        "CREATE TABLE job_entry ("
        "  job INTEGER NOT NULL REFERENCES job (sequence) ON DELETE CASCADE,"
        "  entry INTEGER NOT NULL,"
        "  PRIMARY KEY (job, entry)"
        ") STRICT, WITHOUT ROWID;"
        "INSERT INTO job_entry (job, entry) SELECT job.sequence, ledger_entry.number "
        "FROM ledger_entry JOIN job ON job.id = ledger_entry.job;"
        "CREATE TABLE settlement ("
        "  job INTEGER PRIMARY KEY REFERENCES job (sequence) ON DELETE CASCADE,"
        "  items TEXT,"                    /* of io.atelier.Ledger.PriceItem; NULL: not known */
        "  budgets TEXT NOT NULL"          /* of io.atelier.Ledger.CountedBudget */
        ") STRICT;",

        /* 9 → 10: fallbacks. `model` is NULL where the job's own was asked. */
        "ALTER TABLE attempt ADD COLUMN model TEXT;"
        "ALTER TABLE attempt ADD COLUMN note TEXT;"
        "ALTER TABLE attempt ADD COLUMN next_model TEXT;",

        /* 10 → 11: what the optimiser changed: io.atelier.Queue.Optimised; NULL where that is nothing. */
        "ALTER TABLE job ADD COLUMN optimised TEXT;",

        /* 11 → 12: webhooks (store-webhook.h). */
        "CREATE TABLE webhook_delivery ("
        "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  job INTEGER NOT NULL REFERENCES job (sequence) ON DELETE CASCADE,"
        "  endpoint TEXT NOT NULL,"
        "  state INTEGER NOT NULL,"        /* the numbers of store-webhook.h */
        "  attempts INTEGER NOT NULL DEFAULT 0,"
        "  due INTEGER NOT NULL,"
        "  cause TEXT"                     /* why the last attempt failed */
        ") STRICT;"
        "CREATE INDEX webhook_of_job ON webhook_delivery (job);"
        "CREATE INDEX webhook_due ON webhook_delivery (endpoint, state, due, number);",

        /* 12 → 13: what jobs were given to work on (store-uploads.h). A row outlives its job's end by the time that it takes to
         * remove the file. */
        "CREATE TABLE upload ("
        "  job TEXT NOT NULL CHECK (length(job) = 36),"  /* its id */
        "  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),"
        "  format TEXT NOT NULL CHECK (format IN ('png', 'jpeg', 'webp')),"
        "  size_bytes INTEGER NOT NULL,"
        "  done INTEGER NOT NULL DEFAULT 0,"
        "  PRIMARY KEY (job, sha256, format)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX upload_use ON upload (sha256, format) WHERE done = 0;"
        "CREATE INDEX upload_done ON upload (done) WHERE done = 1;",

        /* 13 → 14: jobs that wait for their budget (store-budget-wait.h), which are held = 3. */
        "CREATE TABLE budget_wait ("
        "  job INTEGER PRIMARY KEY REFERENCES job (sequence) ON DELETE CASCADE,"
        "  amount INTEGER NOT NULL"        /* that it must reserve */
        ") STRICT;"
        "CREATE INDEX job_awaiting ON job (sequence) WHERE held = 3;",

        /* 14 → 15: batches (store-batch.h). `scope`, `name` and `body` are those of idempotency, NULL where no key came
         * with it; `job` is NULL once that was deleted. */
        "CREATE TABLE batch ("
        "  sequence INTEGER PRIMARY KEY,"  /* order of acceptance */
        "  id TEXT NOT NULL UNIQUE,"
        "  key TEXT,"
        "  model TEXT,"
        "  metadata TEXT,"
        "  items INTEGER NOT NULL,"
        "  created_at INTEGER NOT NULL,"
        "  cancelled_at INTEGER,"
        "  scope TEXT,"
        "  name TEXT,"
        "  body TEXT"
        ") STRICT;"
        "CREATE INDEX batch_key ON batch (key) WHERE key IS NOT NULL;"
        "CREATE UNIQUE INDEX batch_idempotency ON batch (scope, name) WHERE name IS NOT NULL;"
        "CREATE TABLE batch_item ("
        "  batch INTEGER NOT NULL REFERENCES batch (sequence) ON DELETE CASCADE,"
        "  number INTEGER NOT NULL,"       /* from 1 */
        "  job INTEGER REFERENCES job (sequence) ON DELETE SET NULL,"
        "  custom_id TEXT,"
        "  PRIMARY KEY (batch, number)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX batch_job ON batch_item (job) WHERE job IS NOT NULL;",

        /* 15 → 16: what was wrong with replies (store-defect.h). `kind` has the numbers of defect.h. A row outlives its job. */
        "CREATE TABLE defect ("
        "  number INTEGER PRIMARY KEY,"
        "  at INTEGER NOT NULL,"
        "  kind INTEGER NOT NULL,"
        "  detail TEXT,"
        "  job TEXT NOT NULL,"             /* its id */
        "  key TEXT,"
        "  provider TEXT NOT NULL,"
        "  model TEXT NOT NULL,"
        "  provider_request_id TEXT,"
        "  image INTEGER NOT NULL,"        /* number within the reply, from 1; 0: the reply */
        "  sha256 TEXT,"
        "  charged INTEGER NOT NULL,"
        "  unknown INTEGER NOT NULL"
        ") STRICT;",

        /* 16 → 17: what keys may do, and their secret before the last rotation (client-key.h). */
        "ALTER TABLE client_key ADD COLUMN owner TEXT;"
        "ALTER TABLE client_key ADD COLUMN former_hash BLOB;"
        "ALTER TABLE client_key ADD COLUMN former_until INTEGER;"
        "ALTER TABLE client_key ADD COLUMN expires_at INTEGER;"
        "ALTER TABLE client_key ADD COLUMN used_at INTEGER;"
        "ALTER TABLE client_key ADD COLUMN models TEXT;"
        "ALTER TABLE client_key ADD COLUMN networks TEXT;"
        "ALTER TABLE client_key ADD COLUMN requests_per_minute INTEGER;"
        "ALTER TABLE client_key ADD COLUMN images_per_minute INTEGER;",

        /* 17 → 18: what keys have used of their rates (store-rate.h). `kind` has the numbers of key-rates.h. */
        "CREATE TABLE rate ("
        "  key TEXT NOT NULL,"
        "  kind INTEGER NOT NULL,"
        "  full_at INTEGER NOT NULL,"      /* when everything has come back */
        "  PRIMARY KEY (key, kind)"
        ") STRICT, WITHOUT ROWID;",

        /* 18 → 19: defects are told with their job (store-defect.h). */
        "CREATE INDEX defect_job ON defect (job);",

        /* 19 → 20: the audit trail (store-audit.h). Its head stands apart, so that records can't vanish from the end unseen. */
        "CREATE TABLE audit ("
        "  number INTEGER PRIMARY KEY,"
        "  at INTEGER NOT NULL,"
        "  action TEXT NOT NULL,"
        "  outcome TEXT NOT NULL,"
        "  key TEXT,"
        "  origin TEXT,"
        "  address TEXT,"
        "  uid INTEGER NOT NULL,"
        "  object TEXT,"
        "  model TEXT,"
        "  cost INTEGER NOT NULL,"
        "  unknown INTEGER NOT NULL,"
        "  count INTEGER NOT NULL,"
        "  detail TEXT,"
        "  hash TEXT NOT NULL"
        ") STRICT;"
        "CREATE INDEX audit_key ON audit (key, number) WHERE key IS NOT NULL;"
        "CREATE TABLE audit_head ("
        "  one INTEGER PRIMARY KEY CHECK (one = 1),"
        "  number INTEGER NOT NULL,"       /* of the last record, and its hash */
        "  hash TEXT NOT NULL,"
        "  emitted INTEGER NOT NULL,"      /* the last one that is known to be in the journal */
        "  chain TEXT NOT NULL"            /* tells this trail from every other in the journal */
        ") STRICT;"
        "INSERT INTO audit_head VALUES (1, 0, '" AUDIT_FIRST_HASH "', 0, lower(hex(randomblob(16))));",
};

const int store_version = (int) ELEMENTS(store_migrations);
