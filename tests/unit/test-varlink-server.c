/* Calls and their answers, as a raw peer sees them. */
#include "varlink-server-fixture.h"

static void test_a_call_is_answered(void **state) {
        ServerFixture *f = *state;

        send_message(f->peer, ECHO("hello"));
        assert_reply(f, ECHOED("hello"));
}

static void test_a_call_that_comes_byte_by_byte_is_answered(void **state) {
        ServerFixture *f = *state;
        const char text[] = ECHO("slow");

        for (size_t i = 0; i < sizeof(text); i++) {
                send_bytes(f->peer, text + i, 1);
                run_until_quiet(f->event);
        }
        assert_reply(f, ECHOED("slow"));
        assert_int_equal(f->n_calls, 1);
}

static void test_calls_of_one_write_are_answered_in_order(void **state) {
        ServerFixture *f = *state;

        send_bytes(f->peer, ECHO("1") "\0" ECHO("2") "\0" ECHO("3"), 3 * sizeof(ECHO("1")));
        assert_reply(f, ECHOED("1"));
        assert_reply(f, ECHOED("2"));
        assert_reply(f, ECHOED("3"));
}

static void test_a_pipelined_call_waits_for_the_reply_before_it(void **state) {
        ServerFixture *f = *state;

        send_bytes(f->peer, CALL("Keep", "{}") "\0" ECHO("next"), sizeof(CALL("Keep", "{}")) + sizeof(ECHO("next")));
        run_until(f->event, f->n_kept == 1);
        run_until_quiet(f->event);
        assert_int_equal(f->n_calls, 1);

        assert_int_equal(varlink_call_reply(take_kept(f), NULL), 0);
        assert_int_equal(f->n_calls, 1);
        assert_reply(f, REPLY_EMPTY);
        assert_reply(f, ECHOED("next"));
}

static void test_hundreds_of_pipelined_calls_are_answered_while_another_peer_is_served(void **state) {
        ServerFixture *f = *state;
        const size_t n = 500, reply_size = sizeof(ECHOED("x"));
        int other = connect_peer(f);
        Inbox *inbox = calloc(1, sizeof(*inbox));
        char *calls = malloc(n * sizeof(ECHO("x")));

        assert_non_null(inbox);
        assert_non_null(calls);
        for (size_t i = 0; i < n; i++)
                memcpy(calls + i * sizeof(ECHO("x")), ECHO("x"), sizeof(ECHO("x")));
        send_bytes(f->peer, calls, n * sizeof(ECHO("x")));
        send_message(other, ECHO("other"));
        run_until(f->event, (inbox_read(inbox, other), inbox_has_message(inbox)));
        assert_message(inbox, ECHOED("other"));
        assert_true(f->n_calls < 40);

        run_until(f->event, inbox_filled(f, n * reply_size));
        assert_int_equal(f->n_calls, n + 1);
        fd_close(other);
        free(calls);
        free(inbox);
}

static void test_a_oneway_call_is_done_and_gets_nothing_not_even_an_error(void **state) {
        ServerFixture *f = *state;

        send_message(f->peer, CALL_ONEWAY("Echo", "{\"text\":\"x\"}"));
        send_message(f->peer, CALL_ONEWAY("Echo", "{}"));
        send_message(f->peer, CALL_ONEWAY("Fail", "{\"errno\":5}"));
        send_message(f->peer, "{\"method\":\"no.such.Method\",\"oneway\":true}");
        send_message(f->peer, ECHO("last"));
        assert_reply(f, ECHOED("last"));
        assert_int_equal(f->n_calls, 2);
        assert_int_equal(f->inbox.size, 0);
}

static void test_replies_to_more_continue_but_for_the_last(void **state) {
        ServerFixture *f = *state;

        send_message(f->peer, CALL_MORE("Count", "{\"to\":3}"));
        assert_reply(f, "{\"parameters\":{\"number\":1},\"continues\":true}");
        assert_reply(f, "{\"parameters\":{\"number\":2},\"continues\":true}");
        assert_reply(f, "{\"parameters\":{\"number\":3}}");
}

static void test_a_call_without_more_can_not_be_notified(void **state) {
        ServerFixture *f = *state;
        VarlinkCall *call;

        send_message(f->peer, CALL("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        call = take_kept(f);
        assert_false(varlink_call_wants_more(call));
        assert_int_equal(varlink_call_notify(call, NULL), -EPERM);
        assert_int_equal(varlink_call_reply(call, NULL), 0);
        assert_reply(f, REPLY_EMPTY);
}

#define ERROR(name, parameter, value) \
        "{\"error\":\"" name "\",\"parameters\":{\"" parameter "\":" value "}}"

static void test_calls_that_can_not_be_served_get_their_error(void **state) {
        static const struct {
                const char *call, *reply;
        } table[] = {
                { "{\"method\":\"io.example.Other.Echo\"}",
                  ERROR(VARLINK_ERROR_INTERFACE_NOT_FOUND, "interface", "\"io.example.Other\"") },
                { "{\"method\":\"Echo\"}", ERROR(VARLINK_ERROR_INTERFACE_NOT_FOUND, "interface", "\"Echo\"") },
                { "{\"method\":\"\"}", ERROR(VARLINK_ERROR_INTERFACE_NOT_FOUND, "interface", "\"\"") },
                { CALL("Odd", "{}"), ERROR(VARLINK_ERROR_METHOD_NOT_FOUND, "method", "\"io.example.Test.Odd\"") },
                { CALL("", "{}"), ERROR(VARLINK_ERROR_METHOD_NOT_FOUND, "method", "\"io.example.Test.\"") },
                { CALL("Absent", "{}"),
                  ERROR(VARLINK_ERROR_METHOD_NOT_IMPLEMENTED, "method", "\"io.example.Test.Absent\"") },
                { CALL("Echo", "{\"text\":\"x\",\"extra\":1}"),
                  ERROR(VARLINK_ERROR_INVALID_PARAMETER, "parameter", "\"extra\"") },
                { CALL("Echo", "{}"), ERROR(VARLINK_ERROR_INVALID_PARAMETER, "parameter", "\"text\"") },
                { CALL("Echo", "{\"text\":7}"), ERROR(VARLINK_ERROR_INVALID_PARAMETER, "parameter", "\"text\"") },
                { CALL("Echo", "{\"text\":\"x\",\"number\":1.5}"),
                  ERROR(VARLINK_ERROR_INVALID_PARAMETER, "parameter", "\"number\"") },
                { CALL("Count", "{\"to\":2}"), "{\"error\":\"org.varlink.service.ExpectedMore\",\"parameters\":{}}" },
                { CALL("Fail", "{\"errno\":28}"), ERROR(VARLINK_ERROR_SYSTEM, "errno", "28") },
        };
        ServerFixture *f = *state;

        for (size_t i = 0; i < ELEMENTS(table); i++) {
                send_message(f->peer, table[i].call);
                assert_reply(f, table[i].reply);
        }
        assert_int_equal(f->n_calls, 0);
}

static void test_what_is_no_call_ends_the_connection_without_an_answer(void **state) {
        static const char *const table[] = {
                "", "x", "[]", "{}", "{\"method\":1}",
                "{\"method\":\"io.example.Test.Echo\",\"oneway\":true,\"more\":true}",
                "{\"method\":\"io.example.Test.Echo\",\"upgrade\":true}",
                "{\"method\":\"io.example.Test.Echo\",\"parameters\":\"x\"}",
                "{\"method\":\"io.example.Test.Echo\",\"unknown\":1}",
                "{\"parameters\":{}}",
        };
        ServerFixture *f = *state;

        for (size_t i = 0; i < ELEMENTS(table); i++) {
                send_message(f->peer, table[i]);
                run_until(f->event, peer_sees_end(f));
                assert_int_equal(f->inbox.size, 0);

                fd_close(f->peer);
                f->inbox.ended = false;
                f->peer = connect_peer(f);
        }
        send_message(f->peer, ECHO("still there"));
        assert_reply(f, ECHOED("still there"));
}

static void test_a_reply_that_is_too_large_becomes_an_error(void **state) {
        ServerFixture *f = *state;
        _cleanup_free_ char *text = malloc(VARLINK_MESSAGE_BYTES_MAX + 1);
        JsonValue *reply = json_new_object();

        assert_non_null(text);
        memset(text, 'x', VARLINK_MESSAGE_BYTES_MAX);
        text[VARLINK_MESSAGE_BYTES_MAX] = 0;
        assert_int_equal(json_add_string(reply, "text", text), 0);

        send_message(f->peer, CALL("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        assert_int_equal(varlink_call_reply(take_kept(f), reply), -EMSGSIZE);
        assert_reply(f, "{\"error\":\"io.systemd.System\",\"parameters\":{\"errno\":90}}");
}

static void test_an_error_of_the_interface_carries_its_parameters(void **state) {
        ServerFixture *f = *state;
        JsonValue *parameters = json_new_object();

        assert_int_equal(json_add_string(parameters, "reason", "because"), 0);
        send_message(f->peer, CALL("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        assert_int_equal(varlink_call_error(take_kept(f), "io.example.Test.Odd", parameters), 0);
        assert_reply(f, "{\"error\":\"io.example.Test.Odd\",\"parameters\":{\"reason\":\"because\"}}");
}

static void test_an_errno_may_be_the_answer_of_a_kept_call(void **state) {
        ServerFixture *f = *state;

        send_message(f->peer, CALL("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        assert_int_equal(varlink_call_error_errno(take_kept(f), -ENOSPC), 0);
        assert_reply(f, ERROR(VARLINK_ERROR_SYSTEM, "errno", "28"));
}

/* ---------------------------------------------------------------- who may call */

static bool authorize(const VarlinkPeer *peer, const char *method, void *userdata) {
        ServerFixture *f = userdata;

        f->seen = *peer;
        for (size_t i = 0; i < peer->n_groups; i++)
                f->seen_own_group = f->seen_own_group || peer->groups[i] == getgid();
        return strcmp(method, "io.example.Test.Forbidden") != 0;
}

static void test_the_authorizer_hears_who_calls(void **state) {
        ServerFixture *f = *state;

        varlink_server_set_authorizer(f->server, authorize);
        send_message(f->peer, ECHO("x"));
        assert_reply(f, ECHOED("x"));
        assert_int_equal(f->seen.uid, getuid());
        assert_int_equal(f->seen.pid, getpid());
        assert_true(f->seen_own_group);
}

static void test_who_may_not_call_a_method_is_told_before_parameters_are_looked_at(void **state) {
        ServerFixture *f = *state;

        varlink_server_set_authorizer(f->server, authorize);
        send_message(f->peer, CALL("Forbidden", "{\"wrong\":1}"));
        assert_reply(f, "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}");
        assert_int_equal(f->n_calls, 0);
}

static bool authorize_nothing(_unused_ const VarlinkPeer *peer, _unused_ const char *method, _unused_ void *userdata) {
        return false;
}

static void test_everybody_may_ask_what_is_served(void **state) {
        ServerFixture *f = *state;

        varlink_server_set_authorizer(f->server, authorize_nothing);
        send_message(f->peer, "{\"method\":\"org.varlink.service.GetInfo\"}");
        assert_reply(f, "{\"parameters\":{\"vendor\":\"Example\",\"product\":\"Test\",\"version\":\"1\","
                        "\"url\":\"https://example.com/\","
                        "\"interfaces\":[\"org.varlink.service\",\"io.example.Test\"]}}");
}

/* ---------------------------------------------------------------- introspection */

static void test_an_interface_is_described_by_its_own_text(void **state) {
        ServerFixture *f = *state;
        _cleanup_(json_freep) JsonValue *reply = NULL;

        send_message(f->peer, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                              "\"parameters\":{\"interface\":\"io.example.Test\"}}");
        run_until(f->event, inbox_filled(f, 1) && inbox_has_message(&f->inbox));
        assert_int_equal(json_parse(f->inbox.data, strlen(f->inbox.data), &reply, NULL), 0);
        assert_string_equal(json_get_string(json_get_object(reply, "parameters"), "description"), test_interface);
}

static void test_an_unknown_interface_is_not_described(void **state) {
        ServerFixture *f = *state;

        send_message(f->peer, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                              "\"parameters\":{\"interface\":\"io.example\"}}");
        assert_reply(f, "{\"error\":\"org.varlink.service.InterfaceNotFound\","
                        "\"parameters\":{\"interface\":\"io.example\"}}");
}

static void test_bad_interfaces_are_not_added(void **state) {
        static const VarlinkMethod unknown[] = { { "Unknown", on_echo, false }, {} };
        ServerFixture *f = *state;

        assert_int_equal(varlink_server_add_interface(f->server, "interface", test_methods, f), -EBADMSG);
        assert_int_equal(varlink_server_add_interface(f->server, test_interface, test_methods, f), -EEXIST);
        assert_int_equal(varlink_server_add_interface(f->server, "interface a.b", unknown, f), -EINVAL);
}

/* ---------------------------------------------------------------- flow */

#define FLOOD_BYTES (64 * 1024)
#define FLOODS_MAX 64

/* A call of Keep that sends large replies as long as the kernel takes them, and more whenever it is drained. */
typedef struct Flood {
        VarlinkCall *call;
        unsigned sent, drained, wanted;
} Flood;

static void flood(Flood *flood) {
        static char text[FLOOD_BYTES + 1];

        (void) memset(text, 'x', FLOOD_BYTES);
        while (varlink_call_is_drained(flood->call) && flood->sent < flood->wanted) {
                JsonValue *reply = json_new_object();

                assert_int_equal(json_add_string(reply, "text", text), 0);
                assert_int_equal(varlink_call_notify(flood->call, reply), 0);
                flood->sent++;
        }
}

static void on_flood_drained(VarlinkCall *call, void *userdata) {
        Flood *drained = userdata;

        assert_true(varlink_call_is_drained(call));
        drained->drained++;
        if (drained->sent < drained->wanted)
                flood(drained);
        else
                assert_int_equal(varlink_call_reply(call, NULL), 0);
}

static void begin_flood(ServerFixture *f, Flood *begun, unsigned wanted) {
        send_message(f->peer, CALL_MORE("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        *begun = (Flood) { .call = take_kept(f), .wanted = wanted };
        varlink_call_set_closed_handler(begun->call, NULL, NULL);
        varlink_call_set_drained_handler(begun->call, on_flood_drained, begun);
        flood(begun);
}

/* What it has read so far is thrown away. */
static bool peer_has_read(ServerFixture *f, size_t *total, size_t size) {
        f->inbox.size = 0;
        inbox_read(&f->inbox, f->peer);
        *total += f->inbox.size;
        return *total >= size;
}

static void test_a_call_whose_peer_does_not_read_is_not_told_to_go_on(void **state) {
        ServerFixture *f = *state;
        Flood flooding;
        unsigned sent;

        begin_flood(f, &flooding, FLOODS_MAX);
        sent = flooding.sent;
        assert_in_range(sent, 1, FLOODS_MAX - 1);
        assert_false(varlink_call_is_drained(flooding.call));
        run_until_quiet(f->event);
        assert_int_equal(flooding.drained, 0);
        assert_int_equal(flooding.sent, sent);
}

static void test_a_call_goes_on_as_its_peer_reads(void **state) {
        ServerFixture *f = *state;
        Flood flooding;
        size_t total = 0;

        begin_flood(f, &flooding, FLOODS_MAX);
        run_until(f->event, peer_has_read(f, &total, (size_t) FLOODS_MAX * FLOOD_BYTES));
        run_until(f->event, !f->busy);  /* the drained handler has given the last reply */
        assert_int_equal(flooding.sent, FLOODS_MAX);
        assert_true(flooding.drained > 1);
        f->inbox.size = 0;
        send_message(f->peer, ECHO("x"));
        run_until(f->event, inbox_filled(f, 1) && inbox_has_message(&f->inbox));
}

static void test_a_peer_that_goes_away_ends_a_call_that_waits_for_it(void **state) {
        ServerFixture *f = *state;
        Flood flooding;

        begin_flood(f, &flooding, FLOODS_MAX);
        f->n_kept = 1;
        f->kept[0] = flooding.call;
        varlink_call_set_closed_handler(flooding.call, on_kept_closed, f);
        f->peer = fd_close(f->peer);
        run_until(f->event, f->n_closed == 1);
        run_until_quiet(f->event);
        assert_int_equal(flooding.drained, 0);
}

/* ---------------------------------------------------------------- descriptors */

static bool accept_nobodys(_unused_ const VarlinkPeer *peer, _unused_ void *userdata) {
        return false;
}

static void test_descriptors_of_a_peer_that_may_send_none_end_its_connection(void **state) {
        ServerFixture *f = *state;
        int file = file_with_text("zero");
        const char call[] = ECHO("x");
        size_t before;

        varlink_server_accept_fds(f->server, accept_nobodys, NULL);
        fd_close(f->peer);
        f->peer = connect_peer(f);
        run_until_quiet(f->event);
        send_message(f->peer, ECHO("x"));
        assert_reply(f, ECHOED("x"));
        before = count_open_fds();
        send_with_fds(f->peer, call, sizeof(call), &file, 1);
        run_until(f->event, peer_sees_end(f));
        assert_int_equal(count_open_fds(), before - 1);
        fd_close(file);
}

static void test_descriptors_come_with_the_call_in_their_order(void **state) {
        ServerFixture *f = *state;
        int files[] = { file_with_text("zero"), file_with_text("one") };
        const char call[] = CALL("TakeFd", "{\"index\":1}");

        send_with_fds(f->peer, call, sizeof(call), files, 2);
        assert_reply(f, ECHOED("one"));
        for (size_t i = 0; i < 2; i++)
                fd_close(files[i]);
}

static void test_a_descriptor_that_did_not_come_can_not_be_taken(void **state) {
        ServerFixture *f = *state;

        send_message(f->peer, CALL("TakeFd", "{\"index\":0}"));
        assert_reply(f, "{\"error\":\"io.systemd.System\",\"parameters\":{\"errno\":6}}");
}

static void test_descriptors_that_nobody_takes_are_closed(void **state) {
        ServerFixture *f = *state;
        int files[] = { file_with_text("zero"), file_with_text("one") };
        const char call[] = ECHO("x");
        size_t before = count_open_fds();

        send_with_fds(f->peer, call, sizeof(call), files, 2);
        assert_reply(f, ECHOED("x"));
        assert_int_equal(count_open_fds(), before);
        for (size_t i = 0; i < 2; i++)
                fd_close(files[i]);
}

static void test_a_descriptor_goes_with_the_reply(void **state) {
        ServerFixture *f = *state;
        size_t before = count_open_fds();

        send_message(f->peer, CALL("GiveFd", "{\"text\":\"given\"}"));
        assert_reply(f, REPLY_EMPTY);
        assert_int_equal(f->inbox.n_fds, 1);
        assert_file_text(f->inbox.fds[0], "given");
        assert_int_equal(count_open_fds(), before + 1);
}

static void test_each_of_several_replies_carries_its_own_descriptors(void **state) {
        ServerFixture *f = *state;
        int files[] = { file_with_text("first"), file_with_text("last") };
        VarlinkCall *call;

        send_message(f->peer, CALL_MORE("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        call = take_kept(f);

        assert_int_equal(varlink_call_push_fd(call, files[0]), 0);
        assert_int_equal(varlink_call_notify(call, NULL), 0);
        inbox_read(&f->inbox, f->peer);
        assert_int_equal(f->inbox.n_fds, 1);
        assert_int_equal(varlink_call_notify(call, NULL), 0);
        inbox_read(&f->inbox, f->peer);
        assert_int_equal(f->inbox.n_fds, 1);
        assert_int_equal(varlink_call_push_fd(call, files[1]), 0);
        assert_int_equal(varlink_call_reply(call, NULL), 0);
        inbox_read(&f->inbox, f->peer);
        assert_int_equal(f->inbox.n_fds, 2);
        assert_file_text(f->inbox.fds[0], "first");
        assert_file_text(f->inbox.fds[1], "last");
        for (size_t i = 0; i < 2; i++)
                fd_close(files[i]);
}

static void test_no_more_descriptors_than_allowed_go_with_a_reply(void **state) {
        ServerFixture *f = *state;
        VarlinkCall *call;

        send_message(f->peer, CALL("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        call = take_kept(f);
        for (size_t i = 0; i < VARLINK_FDS_MAX; i++)
                assert_int_equal(varlink_call_push_fd(call, f->peer), 0);
        assert_int_equal(varlink_call_push_fd(call, f->peer), -E2BIG);
        assert_int_equal(varlink_call_reply(call, NULL), 0);
        assert_reply(f, REPLY_EMPTY);
        assert_int_equal(f->inbox.n_fds, VARLINK_FDS_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                server_test(test_a_call_is_answered),
                server_test(test_a_call_that_comes_byte_by_byte_is_answered),
                server_test(test_calls_of_one_write_are_answered_in_order),
                server_test(test_a_pipelined_call_waits_for_the_reply_before_it),
                server_test(test_hundreds_of_pipelined_calls_are_answered_while_another_peer_is_served),
                server_test(test_a_oneway_call_is_done_and_gets_nothing_not_even_an_error),
                server_test(test_replies_to_more_continue_but_for_the_last),
                server_test(test_a_call_without_more_can_not_be_notified),
                server_test(test_calls_that_can_not_be_served_get_their_error),
                server_test(test_what_is_no_call_ends_the_connection_without_an_answer),
                server_test(test_a_reply_that_is_too_large_becomes_an_error),
                server_test(test_an_error_of_the_interface_carries_its_parameters),
                server_test(test_an_errno_may_be_the_answer_of_a_kept_call),
                server_test(test_the_authorizer_hears_who_calls),
                server_test(test_who_may_not_call_a_method_is_told_before_parameters_are_looked_at),
                server_test(test_everybody_may_ask_what_is_served),
                server_test(test_an_interface_is_described_by_its_own_text),
                server_test(test_an_unknown_interface_is_not_described),
                server_test(test_bad_interfaces_are_not_added),
                server_test(test_descriptors_come_with_the_call_in_their_order),
                server_test(test_a_descriptor_that_did_not_come_can_not_be_taken),
                server_test(test_descriptors_that_nobody_takes_are_closed),
                server_test(test_a_descriptor_goes_with_the_reply),
                server_test(test_each_of_several_replies_carries_its_own_descriptors),
                server_test(test_no_more_descriptors_than_allowed_go_with_a_reply),
                server_test(test_a_call_whose_peer_does_not_read_is_not_told_to_go_on),
                server_test(test_a_call_goes_on_as_its_peer_reads),
                server_test(test_a_peer_that_goes_away_ends_a_call_that_waits_for_it),
                server_test(test_descriptors_of_a_peer_that_may_send_none_end_its_connection),
        };

        return cmocka_run_group_tests_name("varlink-server", tests, NULL, NULL);
}
