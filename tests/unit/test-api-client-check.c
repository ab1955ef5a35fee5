/* Who may be served. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "client-check.h"

static bool ipv4_is_loopback(const char *text) {
        struct sockaddr_in address = { .sin_family = AF_INET };

        assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
        return address_is_loopback((const struct sockaddr *) &address);
}

static bool ipv6_is_loopback(const char *text) {
        struct sockaddr_in6 address = { .sin6_family = AF_INET6 };

        assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
        return address_is_loopback((const struct sockaddr *) &address);
}

static void test_loopback_addresses(void **state) {
        (void) state;
        assert_true(ipv4_is_loopback("127.0.0.1"));
        assert_true(ipv4_is_loopback("127.255.255.255"));
        assert_true(ipv6_is_loopback("::1"));
        assert_true(ipv6_is_loopback("::ffff:127.0.0.1"));
        assert_false(ipv4_is_loopback("128.0.0.1"));
        assert_false(ipv4_is_loopback("126.255.255.255"));
        assert_false(ipv4_is_loopback("0.0.0.0"));
        assert_false(ipv6_is_loopback("::"));
        assert_false(ipv6_is_loopback("::127.0.0.1"));
        assert_false(ipv6_is_loopback("::ffff:10.0.0.1"));
        assert_false(ipv6_is_loopback("fe80::1"));
}

#define UID_SOMEBODY 65534

static void test_other_peers_are_refused(void **state) {
        const struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001) };
        const struct sockaddr other = { .sa_family = AF_PACKET };

        const ClientRules rules = { .group = CLIENT_GROUP_NONE };

        (void) state;
        assert_int_equal(client_origin((const struct sockaddr *) &address, -1, &rules), CLIENT_REMOTE);
        assert_int_equal(client_origin(&other, -1, &rules), CLIENT_REMOTE);
}

static void test_peer_of_a_unix_socket_is_judged_by_the_kernel(void **state) {
        const struct sockaddr_un address = { .sun_family = AF_UNIX };
        ClientOrigin expected = geteuid() == 0 ? CLIENT_MEMBER : CLIENT_LOOPBACK;
        const ClientRules none = { .group = CLIENT_GROUP_NONE }, own = { .group = getegid() };
        int fds[2];

        (void) state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(client_origin((const struct sockaddr *) &address, fds[0], &none), expected);
        assert_int_equal(client_origin(NULL, fds[0], &none), expected);
        assert_int_equal(client_origin(NULL, fds[0], &own), CLIENT_MEMBER);
        (void) fd_close(fds[0]);
        (void) fd_close(fds[1]);
}

/* The kernel notes who a peer is when the pair is made. */
static void test_daemon_in_the_group_is_no_member(void **state) {
        const ClientRules person = { .group = getegid() };
        const ClientRules daemon = { .group = getegid(), .daemons = { UID_SOMEBODY }, .n_daemons = 1 };
        int fds[2];

        (void) state;
        if (geteuid() != 0)
                skip();
        assert_int_equal(seteuid(UID_SOMEBODY), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(client_origin(NULL, fds[0], &person), CLIENT_MEMBER);
        assert_int_equal(client_origin(NULL, fds[0], &daemon), CLIENT_LOOPBACK);
        (void) fd_close(fds[0]);
        (void) fd_close(fds[1]);
}

static void test_unix_peer_that_can_not_be_known_is_no_member(void **state) {
        const ClientRules own = { .group = getegid() };

        (void) state;
        assert_int_equal(client_origin(NULL, -1, &own), CLIENT_LOOPBACK);
}

static void test_loopback_hosts_are_ours(void **state) {
        static const char *const good[] = {
                "localhost",   "LocalHost:8080",        "127.0.0.1", "127.1.2.3:1", "[::1]",
                "[::1]:65535", "[::ffff:127.0.0.1]:80",
        };
        static const char *const bad[] = {
                "",
                ":80",
                "evil.example",
                "localhost.evil.example",
                "127.0.0.1.evil.example",
                "10.0.0.1",
                "localhost:",
                "localhost:0",
                "localhost:65536",
                "localhost:80x",
                "localhost:-1",
                "[::1",
                "[::1]x",
                "[::2]",
                "::1",
                "[localhost]",
                "localhost/x",
                "localhost, evil",
                "127.1",
                "2130706433",
                "user@localhost",
                "localhost ",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(good); i++)
                if (!host_is_ours(good[i], NULL, NULL))
                        fail_msg("'%s' was refused", good[i]);
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                if (host_is_ours(bad[i], NULL, NULL))
                        fail_msg("'%s' was taken", bad[i]);
}

static void test_configured_hosts_are_ours(void **state) {
        char first[] = "images.example", second[] = "other.example:8443";
        char *const hosts[] = { first, second, NULL };

        (void) state;
        assert_true(host_is_ours("Images.Example:9000", hosts, NULL));
        assert_true(host_is_ours("other.example", hosts, NULL));
        assert_false(host_is_ours("sub.images.example", hosts, NULL));
}

static void test_host_of_the_public_url_is_ours(void **state) {
        (void) state;
        assert_true(host_is_ours("img.example", NULL, "https://img.example/"));
        assert_true(host_is_ours("img.example:443", NULL, "https://img.example:443/base"));
        assert_false(host_is_ours("img.example.evil", NULL, "https://img.example"));
        assert_false(host_is_ours("base", NULL, "https://img.example/base"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_loopback_addresses),
                cmocka_unit_test(test_other_peers_are_refused),
                cmocka_unit_test(test_peer_of_a_unix_socket_is_judged_by_the_kernel),
                cmocka_unit_test(test_daemon_in_the_group_is_no_member),
                cmocka_unit_test(test_unix_peer_that_can_not_be_known_is_no_member),
                cmocka_unit_test(test_loopback_hosts_are_ours),
                cmocka_unit_test(test_configured_hosts_are_ours),
                cmocka_unit_test(test_host_of_the_public_url_is_ours),
        };

        return cmocka_run_group_tests_name("api-client-check", tests, NULL, NULL);
}
