#include "client-check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define GROUPS_MAX 1024 /* of one peer; whoever is in more is not taken for a member */
#define HOST_BYTES_MAX 255
#define PORT_MAX 65535
#define LOOPBACK_NETWORK 127 /* first byte of 127.0.0.0/8 */

static bool ipv6_is_loopback(const struct in6_addr *address) {
        return IN6_IS_ADDR_LOOPBACK(address) ||
               (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == LOOPBACK_NETWORK);
}

static bool ipv4_is_loopback(const struct in_addr *address) {
        return ntohl(address->s_addr) >> 24 == LOOPBACK_NETWORK;
}

bool address_is_loopback(const struct sockaddr *address) {
        switch (address->sa_family) {
        case AF_INET:
                return ipv4_is_loopback(&((const struct sockaddr_in *) address)->sin_addr);
        case AF_INET6:
                return ipv6_is_loopback(&((const struct sockaddr_in6 *) address)->sin6_addr);
        default:
                return false;
        }
}

void address_format(const struct sockaddr *address, char ret[static INET6_ADDRSTRLEN]) {
        int family = address ? address->sa_family : AF_UNSPEC;
        const void *bytes = family == AF_INET    ? (const void *) &((const struct sockaddr_in *) address)->sin_addr
                            : family == AF_INET6 ? (const void *) &((const struct sockaddr_in6 *) address)->sin6_addr
                                                 : NULL;

        if (!bytes || !inet_ntop(family, bytes, ret, INET6_ADDRSTRLEN))
                (void) strcpy(ret, CLIENT_ADDRESS_UNIX);
}

static bool peer_in_group(int fd, gid_t group) {
        gid_t groups[GROUPS_MAX];
        socklen_t size = sizeof(groups);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false;
        for (size_t i = 0; i < size / sizeof(gid_t); i++)
                if (groups[i] == group)
                        return true;
        return false;
}

static bool is_daemon(const ClientRules *rules, uid_t uid) {
        for (size_t i = 0; i < rules->n_daemons; i++)
                if (rules->daemons[i] == uid)
                        return true;
        return false;
}

static bool peer_is_member(int fd, const ClientRules *rules) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return false;
        if (peer.uid == 0)
                return true;
        if (rules->group == CLIENT_GROUP_NONE || is_daemon(rules, peer.uid))
                return false;
        return peer.gid == rules->group || peer_in_group(fd, rules->group);
}

ClientOrigin client_origin(const struct sockaddr *address, int fd, const ClientRules *rules) {
        if (!address || address->sa_family == AF_UNIX)
                return peer_is_member(fd, rules) ? CLIENT_MEMBER : CLIENT_LOOPBACK;
        return address_is_loopback(address) ? CLIENT_LOOPBACK : CLIENT_REMOTE;
}

static bool port_valid(const char *text) {
        uint64_t port;

        return text_to_unsigned(text, PORT_MAX, &port) >= 0 && port > 0;
}

/* Copies the name without port and brackets. False when `host` is not of that form. */
static bool host_name(const char *host, char name[static HOST_BYTES_MAX + 1], bool *ret_literal) {
        size_t length = strcspn(host, *host == '[' ? "]" : ":");
        const char *rest = host + length;

        *ret_literal = *host == '[';
        if (*ret_literal) {
                if (*rest++ != ']')
                        return false;
                host++;
                length--;
        }
        if (length == 0 || length > HOST_BYTES_MAX || (*rest && (*rest != ':' || !port_valid(rest + 1))))
                return false;

        memcpy(name, host, length);
        name[length] = '\0';
        return true;
}

static bool name_is_loopback(const char *name, bool literal) {
        struct in6_addr ipv6;
        struct in_addr ipv4;

        if (literal)
                return inet_pton(AF_INET6, name, &ipv6) == 1 && ipv6_is_loopback(&ipv6);
        return strcasecmp(name, "localhost") == 0 || (inet_pton(AF_INET, name, &ipv4) == 1 && ipv4_is_loopback(&ipv4));
}

/* The authority of "https://NAME[:PORT]/…". */
static bool url_host(const char *url, char host[static HOST_BYTES_MAX + 1]) {
        const char *start = strstr(url, "://");
        size_t length;

        if (!start)
                return false;
        start += strlen("://");
        length = strcspn(start, "/?#");
        if (length > HOST_BYTES_MAX)
                return false;

        memcpy(host, start, length);
        host[length] = '\0';
        return true;
}

static bool name_matches(const char *name, const char *host) {
        char known[HOST_BYTES_MAX + 1];
        bool literal;

        return host_name(host, known, &literal) && strcasecmp(name, known) == 0;
}

bool host_is_ours(const char *host, char *const *hosts, const char *public_url) {
        char name[HOST_BYTES_MAX + 1], public_host[HOST_BYTES_MAX + 1];
        bool literal;

        if (!host_name(host, name, &literal))
                return false;
        if (name_is_loopback(name, literal))
                return true;
        for (; hosts && *hosts; hosts++)
                if (name_matches(name, *hosts))
                        return true;
        return public_url && url_host(public_url, public_host) && name_matches(name, public_host);
}
