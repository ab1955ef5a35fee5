/* The scheduler's one state struct: what its parts share. */
#pragma once

#include "backup-folder.h"
#include "io/metrics.h"
#include "io/service.h"
#include "io/varlink-messenger.h"
#include "runs.h"

typedef struct SchedulerManager {
        Service *service;
        char *backup_folder;      /* as the settings had it at the start */
        VarlinkMessenger *messenger;
        char *worker_path;        /* of its socket */
        RunHistory *history;
        Runs *runs;
        Metrics *metrics;

        BackupFile newest;        /* for the status line; name.text empty: none */
} SchedulerManager;

extern const ServiceKind scheduler_service_kind;
extern const AccessRule scheduler_access[];  /* scheduler-access.c */

int scheduler_manager_new(SchedulerManager **ret, Service *service);
SchedulerManager *scheduler_manager_free(SchedulerManager *manager);
DEFINE_CLEANUP(SchedulerManager *, scheduler_manager_free);
