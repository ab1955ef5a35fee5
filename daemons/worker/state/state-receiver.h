/* Takes a state in, file by file, as a restore delivers it. Blocks: for a helper thread; used by one thread at a time. */
#pragma once

#include "base/hash.h"
#include "base/macro.h"

typedef struct StateReceiver StateReceiver;

enum {
        STATE_REFUSED = 1,   /* `reason` (static text) says why */
};

/* `folder_fd` is the empty folder that is to become a state; taken over, also on failure. `free_min` bytes are left free on
 * its file system. */
int state_receiver_new(StateReceiver **ret, int folder_fd, uint64_t free_min);
StateReceiver *state_receiver_free(StateReceiver *receiver);
DEFINE_CLEANUP(StateReceiver *, state_receiver_free);

/* Reads fd (a pipe or a file, from its offset) to its end, hashes it, and stores it under its name: atelier.db once,
 * images/ab/SHA256.FORMAT. config/… is hashed and dropped, and so is an image whose bytes have another hash than its name.
 * It must yield exactly `size` bytes. */
int state_receiver_add(StateReceiver *receiver, const char *name, uint64_t size, int fd,
                       char sha256[static SHA256_TEXT_MAX], const char **reason);

/* Makes everything durable. */
int state_receiver_sync(StateReceiver *receiver);

int state_receiver_folder(const StateReceiver *receiver);
