/* Who is at the other end, as the kernel says. */
#include "varlink-fixture.h"

#include <grp.h>

#include "io/varlink-peer.h"

static void test_a_peer_is_known_by_pid_uid_and_primary_group(void **state) {
        VarlinkPeer peer;
        int pair[2];

        (void) state;
        socket_pair(pair);
        assert_int_equal(varlink_peer_read(&peer, pair[0]), 0);
        assert_int_equal(peer.pid, getpid());
        assert_int_equal(peer.uid, geteuid());
        assert_true(varlink_peer_in_group(&peer, getegid()));
        varlink_peer_done(&peer);
        for (size_t i = 0; i < 2; i++)
                fd_close(pair[i]);
}

static void test_supplementary_groups_are_known_however_many(void **state) {
        gid_t groups[100], old[1024];
        int n_old = getgroups(ELEMENTS(old), old), pair[2];
        VarlinkPeer peer;

        (void) state;
        if (geteuid() != 0)
                skip();
        assert_true(n_old >= 0);
        for (size_t i = 0; i < ELEMENTS(groups); i++)
                groups[i] = (gid_t) (30000 + i);
        assert_int_equal(setgroups(ELEMENTS(groups), groups), 0);
        socket_pair(pair);
        assert_int_equal(setgroups((size_t) n_old, old), 0);

        assert_int_equal(varlink_peer_read(&peer, pair[0]), 0);
        assert_int_equal(peer.n_groups, ELEMENTS(groups) + 1);
        assert_true(varlink_peer_in_group(&peer, 30000));
        assert_true(varlink_peer_in_group(&peer, 30099));
        assert_true(varlink_peer_in_group(&peer, getegid()));
        assert_false(varlink_peer_in_group(&peer, 30100));
        varlink_peer_done(&peer);
        for (size_t i = 0; i < 2; i++)
                fd_close(pair[i]);
}

static void test_what_is_no_unix_socket_has_no_peer(void **state) {
        VarlinkPeer peer;
        int fd = file_with_text("");

        (void) state;
        assert_int_equal(varlink_peer_read(&peer, fd), -ENOTSOCK);
        fd_close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_peer_is_known_by_pid_uid_and_primary_group),
                cmocka_unit_test(test_supplementary_groups_are_known_however_many),
                cmocka_unit_test(test_what_is_no_unix_socket_has_no_peer),
        };

        return cmocka_run_group_tests_name("varlink-peer", tests, NULL, NULL);
}
