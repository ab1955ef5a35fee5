#include "receiver-test.h"

#include <errno.h>
#include <string.h>

typedef struct TestedReceiver {
        ReceiverTest *test;
        Attempt *attempt;
        size_t delivery;      /* its index in the alert */
} TestedReceiver;

struct ReceiverTest {
        AlerterManager *manager;
        VarlinkCall *call;    /* NULL: the caller has gone */
        Alert *alert;
        size_t under_way, n_receivers;
        TestedReceiver receivers[ALERT_DELIVERIES_MAX];
};

static ReceiverTest **find_slot(AlerterManager *manager, const ReceiverTest *test) {
        for (size_t i = 0; i < RECEIVER_TESTS_MAX; i++)
                if (manager->tests[i] == test)
                        return &manager->tests[i];
        return NULL;
}

static JsonValue *format_reply(const ReceiverTest *test) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "deliveries", array);
        for (size_t i = 0; r >= 0 && i < test->alert->n_deliveries; i++)
                r = json_append(array, delivery_to_json(&test->alert->deliveries[i]));
        return r < 0 ? NULL : TAKE_PTR(reply);
}

static void answer(ReceiverTest *test) {
        JsonValue *reply = format_reply(test);

        if (!test->call)
                (void) json_free(reply);
        else if (reply)
                (void) varlink_call_reply(test->call, reply);
        else
                (void) varlink_call_error_errno(test->call, -ENOMEM);
}

/* Answers and is gone, once nothing is under way. */
static void look(ReceiverTest *test) {
        AlerterManager *manager = test->manager;

        if (test->under_way > 0)
                return;
        answer(test);
        *find_slot(manager, test) = NULL;
        (void) alert_free(test->alert);
        free(test);
        service_release(manager->service);
}

static void settle(Delivery *delivery, bool sent, const char *error) {
        delivery->state = sent ? DELIVERY_SENT : DELIVERY_FAILED;
        delivery->attempts = 1;
        delivery->sent_at = sent ? time_now_realtime() : 0;
        (void) delivery_set_error(delivery, sent ? NULL : error);
}

static void on_done(const AttemptResult *result, void *userdata) {
        TestedReceiver *tested = userdata;
        ReceiverTest *test = tested->test;

        tested->attempt = NULL;
        settle(&test->alert->deliveries[tested->delivery], result->outcome == ATTEMPT_SENT,
               result->outcome == ATTEMPT_CANCELLED ? "cancelled" : result->error);
        test->under_way--;
        look(test);
}

static void tell(ReceiverTest *test, const Receiver *receiver, size_t i) {
        TestedReceiver *tested = &test->receivers[test->n_receivers++];
        Delivery *delivery = &test->alert->deliveries[i];
        Notice notice = { .alert = test->alert, .receiver = receiver->name, .test = true };
        int r;

        if (receiver->problem) {
                settle(delivery, false, receiver->problem);
                return;
        }
        if (receiver->notifier->tell) {
                receiver->notifier->tell(&notice);
                settle(delivery, true, NULL);
                return;
        }
        *tested = (TestedReceiver) { .test = test, .delivery = i };
        r = attempt_start(&tested->attempt, test->manager->http, receiver, &notice, on_done, tested);
        if (r < 0)
                settle(delivery, false, strerror(-r));
        else
                test->under_way++;
}

static void on_closed(_unused_ VarlinkCall *call, void *userdata) {
        ReceiverTest *test = userdata;

        test->call = NULL;
}

/* All deliveries are there before the first of them is on its way: adding one may move the others. Of all, those that
 * cannot be told are part too, and fail: whoever has named a receiver wants to know that it hears nothing. */
static int choose(ReceiverTest *test, const char *name) {
        const Receivers *receivers = test->manager->receivers;
        const Receiver *receiver;
        usec_t now = time_now_realtime();
        int r = 0;

        for (size_t i = 0; r >= 0 && (receiver = receivers_at(receivers, i)); i++) {
                Delivery *delivery;

                if (name ? strcmp(name, receiver->name) == 0 : !receiver->dormant)
                        r = alert_add_delivery(test->alert, receiver->name, now, &delivery);
        }
        return r;
}

static int new_alert(Alert **ret) {
        static const AlertInput input = {
                .name = "Test",
                .source = "atelier-alerter",
                .summary = "Somebody tries whether alerts arrive here. They do; there is nothing to be done.",
                .severity = SEVERITY_INFO,
        };
        const char *field;

        return alert_new(ret, &input, time_now_realtime(), &field);
}

int receiver_test_start(AlerterManager *manager, VarlinkCall *call, const char *name) {
        ReceiverTest **slot = find_slot(manager, NULL), *test;
        int r;

        if (!slot)
                return -EBUSY;
        test = calloc(1, sizeof(*test));
        if (!test)
                return -ENOMEM;
        test->manager = manager;
        r = new_alert(&test->alert);
        if (r >= 0)
                r = choose(test, name);
        if (r < 0) {
                (void) alert_free(test->alert);
                free(test);
                return r;
        }

        *slot = test;
        test->call = call;
        varlink_call_set_closed_handler(call, on_closed, test);
        service_hold(manager->service);
        for (size_t i = 0; i < test->alert->n_deliveries; i++)
                tell(test, receivers_find(manager->receivers, test->alert->deliveries[i].receiver), i);
        look(test);
        return 0;
}

void receiver_tests_cancel(AlerterManager *manager) {
        for (size_t i = 0; i < RECEIVER_TESTS_MAX; i++) {
                ReceiverTest *test = manager->tests[i];

                /* The last one to be cancelled answers, and ends the test. */
                for (size_t j = 0; test && j < ELEMENTS(test->receivers) && manager->tests[i] == test; j++)
                        if (test->receivers[j].attempt)
                                attempt_cancel(test->receivers[j].attempt);
        }
}
