/* A SQLite VFS in front of the usual one that counts and slows the fsyncs of the WAL and makes them, writes to the WAL
 * or to a snapshot's copy, or the opening of databases fail. It becomes the default of the test program. */
#pragma once

#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"

static struct {
        unsigned wal_syncs;
        unsigned sync_delay_usec;
        unsigned failing_syncs;   /* of the WAL; bit 0: the next one, bit 1: the one after, … */
        bool broken;              /* all of them fail */
        bool full;                /* writes to the WAL find no space */
        unsigned full_writes;     /* that have found none */
        unsigned passing_opens;   /* of database files: so many first */
        unsigned failing_opens;   /* and these then */
        bool full_copy;           /* writes to the copy that a snapshot makes find no space */
} disk;

typedef struct FaultFile {
        sqlite3_file file;
        sqlite3_file *real;
        bool wal, copy;
} FaultFile;

#define REAL(file) (((FaultFile *) (file))->real)
#define FORWARD(name, parameters, arguments) \
        static int fault_##name parameters { \
                return REAL(file)->pMethods->name arguments; \
        } \
        struct _semicolon_##name

FORWARD(xClose, (sqlite3_file *file), (REAL(file)));
FORWARD(xRead, (sqlite3_file *file, void *data, int size, sqlite3_int64 offset), (REAL(file), data, size, offset));
FORWARD(xTruncate, (sqlite3_file *file, sqlite3_int64 size), (REAL(file), size));
FORWARD(xFileSize, (sqlite3_file *file, sqlite3_int64 *size), (REAL(file), size));
FORWARD(xLock, (sqlite3_file *file, int lock), (REAL(file), lock));
FORWARD(xUnlock, (sqlite3_file *file, int lock), (REAL(file), lock));
FORWARD(xCheckReservedLock, (sqlite3_file *file, int *ret), (REAL(file), ret));
FORWARD(xFileControl, (sqlite3_file *file, int operation, void *data), (REAL(file), operation, data));
FORWARD(xSectorSize, (sqlite3_file *file), (REAL(file)));
FORWARD(xDeviceCharacteristics, (sqlite3_file *file), (REAL(file)));

static int fault_xWrite(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
        if (((FaultFile *) file)->wal && disk.full) {
                disk.full_writes++;
                return SQLITE_FULL;
        }
        if (((FaultFile *) file)->copy && disk.full_copy)
                return SQLITE_FULL;
        return REAL(file)->pMethods->xWrite(REAL(file), data, size, offset);
}

static int fault_xSync(sqlite3_file *file, int flags) {
        bool failing = false;

        if (((FaultFile *) file)->wal) {
                disk.wal_syncs++;
                (void) usleep(disk.sync_delay_usec);
                failing = disk.broken || disk.failing_syncs & 1;
                disk.failing_syncs >>= 1;
        }
        if (failing)
                return SQLITE_IOERR_FSYNC;
        return REAL(file)->pMethods->xSync(REAL(file), flags);
}

static const sqlite3_io_methods fault_methods = {
        .iVersion = 1,
        .xClose = fault_xClose,
        .xRead = fault_xRead,
        .xWrite = fault_xWrite,
        .xTruncate = fault_xTruncate,
        .xSync = fault_xSync,
        .xFileSize = fault_xFileSize,
        .xLock = fault_xLock,
        .xUnlock = fault_xUnlock,
        .xCheckReservedLock = fault_xCheckReservedLock,
        .xFileControl = fault_xFileControl,
        .xSectorSize = fault_xSectorSize,
        .xDeviceCharacteristics = fault_xDeviceCharacteristics,
};

static int fault_xOpen(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags) {
        sqlite3_vfs *usual = vfs->pAppData;
        FaultFile *fault = (FaultFile *) file;
        int result;

        *fault = (FaultFile) {
                .real = (sqlite3_file *) (fault + 1),
                .wal = flags & SQLITE_OPEN_WAL,
                .copy = name && strstr(name, "/snapshot.db"),
        };
        if (flags & SQLITE_OPEN_MAIN_DB && disk.passing_opens > 0)
                disk.passing_opens--;
        else if (flags & SQLITE_OPEN_MAIN_DB && disk.failing_opens > 0) {
                disk.failing_opens--;
                return SQLITE_CANTOPEN;
        }
        result = usual->xOpen(usual, name, fault->real, flags, ret_flags);
        if (fault->real->pMethods)
                file->pMethods = &fault_methods;
        return result;
}

/* Everything but xOpen is the usual VFS's own. */
static void fault_vfs_install(void) {
        static sqlite3_vfs fault;
        sqlite3_vfs *usual = sqlite3_vfs_find(NULL);

        fault = *usual;
        fault.zName = "fault";
        fault.pAppData = usual;
        fault.szOsFile = (int) sizeof(FaultFile) + usual->szOsFile;
        fault.xOpen = fault_xOpen;
        (void) sqlite3_vfs_register(&fault, 1);
}
