/* Who is at the other end of a Unix socket, as the kernel says. */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* SO_PEERCRED and SO_PEERGROUPS; the first names only the primary group, `groups` includes it. */
typedef struct VarlinkPeer {
        pid_t pid;
        uid_t uid;
        const gid_t *groups;
        size_t n_groups;
} VarlinkPeer;

int varlink_peer_read(VarlinkPeer *ret, int fd);  /* -ENOMEM, errors of getsockopt(2) */
void varlink_peer_done(VarlinkPeer *peer);
bool varlink_peer_in_group(const VarlinkPeer *peer, gid_t group);
