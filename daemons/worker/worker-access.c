/* Who may call what on the socket of the worker: docs/permissions.md is made of it. */
#include "manager.h"

const AccessRule worker_access[] = {
        ACCESS_DAEMON,
        { "io.atelier.Queue.Pause", ACCESS_ADMIN },
        { "io.atelier.Queue.Resume", ACCESS_ADMIN },
        { "io.atelier.Queue.Release", ACCESS_ADMIN },
        { "io.atelier.Queue.GetCache", ACCESS_ADMIN },
        { "io.atelier.Queue.ClearCache", ACCESS_ADMIN },
        { "io.atelier.Queue.*", ACCESS_API | ACCESS_ADMIN },
        { "io.atelier.Ledger.GetUsage", ACCESS_MEMBER },
        { "io.atelier.Ledger.Report", ACCESS_MEMBER },
        { "io.atelier.Ledger.GetReceipts", ACCESS_API | ACCESS_ADMIN },
        { "io.atelier.Ledger.*", ACCESS_ADMIN },
        { "io.atelier.Keys.Check", ACCESS_API },
        { "io.atelier.Keys.*", ACCESS_ADMIN },
        { "io.atelier.Webhooks.*", ACCESS_ADMIN },
        { "io.atelier.Audit.Append", ACCESS_API | ACCESS_SCHEDULER | ACCESS_ALERTER },
        { "io.atelier.Audit.*", ACCESS_ADMIN },
        { "io.atelier.Links.Create", ACCESS_API | ACCESS_ADMIN },
        { "io.atelier.Links.*", ACCESS_ADMIN },
        { "io.atelier.Store.Open", ACCESS_API | ACCESS_ADMIN },
        { "io.atelier.Store.DiscardFormer", ACCESS_ADMIN },
        { "io.atelier.Store.*", ACCESS_SCHEDULER },
        {},
};
