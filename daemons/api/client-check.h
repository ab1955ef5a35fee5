/* Where a client's connection comes from, and whether it asks under a Host that is ours.
 *
 * The check of Host keeps out web pages: a browser that was told (by DNS) that evil.example is 127.0.0.1 sends
 * requests here, but with its own name in Host. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/macro.h"

typedef enum ClientOrigin {
        CLIENT_REMOTE, /* from another machine, or somebody for whom a proxy asks */
        CLIENT_LOOPBACK, /* on this machine */
        CLIENT_MEMBER, /* root, or of the group, on the Unix socket */
} ClientOrigin;

#define CLIENT_GROUP_NONE ((gid_t) -1)
#define CLIENT_DAEMONS_MAX 5

/* Who is a member: root, and whoever is in `group` but the users of daemons, who are there to open sockets and not to
 * spend. */
typedef struct ClientRules {
        gid_t group;
        uid_t daemons[CLIENT_DAEMONS_MAX];
        size_t n_daemons;
} ClientRules;

/* Where a connection comes from. address may be NULL (unnamed Unix socket). On a Unix socket the kernel says who the
 * peer is. */
ClientOrigin client_origin(const struct sockaddr *address, int fd, const ClientRules *rules);

#define CLIENT_ADDRESS_UNIX "unix"

/* As text; CLIENT_ADDRESS_UNIX for what is no address of IP. */
void address_format(const struct sockaddr *address, char ret[static INET6_ADDRSTRLEN]);

/* 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104. */
bool address_is_loopback(const struct sockaddr *address);

/* A Host field "NAME[:PORT]" whose name is localhost, a loopback address, in `hosts` (ended by NULL, may be NULL) or
 * the name in `public_url` (may be NULL). */
bool host_is_ours(const char *host, char *const *hosts, const char *public_url);
