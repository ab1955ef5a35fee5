#include "io/varlink-peer.h"

#include <errno.h>
#include <sys/socket.h>

#define GROUPS_FIRST 16
#define GROUPS_MAX 65536  /* NGROUPS_MAX of the kernel */

void varlink_peer_done(VarlinkPeer *peer) {
        free((void *) peer->groups);
        *peer = (VarlinkPeer) {};
}

/* Reads the supplementary groups and puts `primary` behind them. */
static int read_groups(int fd, gid_t primary, gid_t **ret, size_t *ret_n) {
        socklen_t size = GROUPS_FIRST * sizeof(gid_t);

        for (;;) {
                _cleanup_free_ gid_t *groups = malloc(size + sizeof(gid_t));

                if (!groups)
                        return -ENOMEM;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) >= 0) {
                        *ret_n = size / sizeof(gid_t);
                        groups[(*ret_n)++] = primary;
                        *ret = TAKE_PTR(groups);
                        return 0;
                }
                /* The kernel has put the size that it needs into `size`. */
                if (errno != ERANGE || size > GROUPS_MAX * sizeof(gid_t))
                        return -errno;
        }
}

int varlink_peer_read(VarlinkPeer *ret, int fd) {
        struct ucred credentials;
        socklen_t size = sizeof(credentials);
        gid_t *groups = NULL;
        size_t n_groups = 0;
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return -errno;
        r = read_groups(fd, credentials.gid, &groups, &n_groups);
        if (r < 0)
                return r;

        *ret = (VarlinkPeer) {
                .pid = credentials.pid,
                .uid = credentials.uid,
                .groups = groups,
                .n_groups = n_groups,
        };
        return 0;
}

bool varlink_peer_in_group(const VarlinkPeer *peer, gid_t group) {
        for (size_t i = 0; i < peer->n_groups; i++)
                if (peer->groups[i] == group)
                        return true;
        return false;
}
