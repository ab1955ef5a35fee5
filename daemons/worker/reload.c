#include "reload.h"

#include <string.h>

#include "alert-reporter.h"
#include "audit/audit.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "dispatch/key-refusal.h"
#include "money/budget-wait.h"
#include "money/spending.h"
#include "queue/forbidden-terms.h"
#include "secrets/secrets.h"
#include "webhooks/webhooks.h"

int reload_new_providers(Manager *manager, const Settings *settings, Buffer *errors, ProviderTable **ret) {
        ProviderContext context = {
                .event = service_event(manager->service),
                .http = manager->http,
                .threads = manager->threads,
                .images = manager->images,
                .secrets = manager->secrets,
        };

        return provider_table_new(ret, &context, settings, errors);
}

static void take_providers(Manager *manager, ProviderTable *providers) {
        (void) provider_table_unref(manager->providers);
        manager->providers = providers;
        manager->paid_history |= provider_table_is_paid(providers);
}

int reload_settings(const Settings *settings, Buffer *errors, void *userdata) {
        Manager *manager = userdata;
        _cleanup_(price_book_freep) PriceBook *prices = NULL;
        _cleanup_(forbidden_terms_freep) ForbiddenTerms *forbidden = NULL;
        ProviderTable *providers;
        int r;

        r = price_book_new(&prices, settings);
        if (r >= 0)
                r = forbidden_terms_new(&forbidden, settings, errors);
        if (r >= 0)
                r = reload_new_providers(manager, settings, errors, &providers);
        if (r < 0)
                return r;
        r = webhooks_reload(manager->webhooks, settings, errors);
        if (r >= 0)
                r = gates_configure(manager->gates, settings);
        if (r < 0) {
                (void) provider_table_unref(providers);
                return r;
        }
        (void) price_book_free(manager->prices);
        manager->prices = TAKE_PTR(prices);
        (void) forbidden_terms_free(manager->forbidden);
        manager->forbidden = TAKE_PTR(forbidden);
        take_providers(manager, providers);
        /* From here on the former settings are not used any more. */
        r = secrets_follow(manager->secrets, settings);
        if (r < 0)
                (void) log_error_errno(r, "what is new among the secrets can't be taken");
        r = spending_reload(manager->spending);
        if (r < 0)
                (void) log_warning_errno(r, "the budgets' time zone or pause can't be taken");
        http_client_set_answers_max(manager->http, settings->worker.answers_bytes_max);
        dispatcher_look(manager->dispatcher);
        budget_wait_look(manager->budget_wait);
        return 0;
}

/* ------------------------------------------------------------------ secrets */

static bool signs_webhooks(const Settings *settings, const char *reference) {
        for (size_t i = 0; i < settings->common.webhooks.count; i++) {
                const WebhookConf *webhook = settings->common.webhooks.items[i];

                for (char **secret = webhook->secrets; *secret; secret++)
                        if (text_equal(*secret, reference))
                                return true;
        }
        return false;
}

/* Of a file's folder anything may have changed. */
static int take_secret(Manager *manager, const char *reference, Buffer *errors) {
        const Settings *settings = service_settings(manager->service);
        ProviderTable *providers;
        int r;

        r = reload_new_providers(manager, settings, errors, &providers);
        if (r < 0)
                return r;
        take_providers(manager, providers);
        if (!reference || signs_webhooks(settings, reference))
                r = webhooks_reload(manager->webhooks, settings, errors);
        return r;
}

static void record_change(Manager *manager, const char *reference) {
        AuditRecord record = {
                .at = time_now_realtime(),
                .action = strdup("secret.changed"),
                .outcome = strdup(AUDIT_OK),
                .uid = AUDIT_NOBODY,
                .object = strdup(reference ?: "file:"),
                .count = 1,
        };

        if (record.action && record.outcome && record.object)
                audit_add(manager->audit, &record);
        audit_record_done(&record);
}

static void on_secret_changed(const char *reference, void *userdata) {
        Manager *manager = userdata;
        _cleanup_(buffer_done) Buffer errors = {};
        int r;

        r = take_secret(manager, reference, &errors);
        if (r < 0)
                (void) log_error_errno(r, "a secret has changed, but can't be taken: %.*s", (int) errors.size,
                                       errors.data ? (char *) errors.data : "");
        else
                log_notice("The secret %s has changed, and is used from now on", reference ?: "of a file");
        record_change(manager, reference);
        dispatcher_look(manager->dispatcher);
}

/* Whoever waited for another value of a key that is refused learns that there is none. */
static void on_secret_unchanged(const char *reference, void *userdata) {
        Manager *manager = userdata;

        key_refusal_tell_of(manager, reference);
        dispatcher_look(manager->dispatcher);
}

static void on_secret_failing(const char *reference, const char *message, bool kept, void *userdata) {
        Manager *manager = userdata;
        _cleanup_free_ char *key = text_format("secret-%s", reference);
        _cleanup_free_ char *summary = text_format("The secret %s can't be fetched: %s%s", reference, message,
                                                   kept ? "; the value of before is used on" : "");

        if (key && summary)
                alert_report(manager->alerts, key, "SecretUnavailable", kept ? "warning" : "critical", summary);
}

static void on_secret_mended(const char *reference, _unused_ void *userdata) {
        log_notice("The secret %s can be fetched again", reference);
}

int reload_open_secrets(Manager *manager) {
        static const SecretsHooks hooks = {
                .changed = on_secret_changed,
                .unchanged = on_secret_unchanged,
                .failing = on_secret_failing,
                .mended = on_secret_mended,
        };

        return secrets_new(&manager->secrets, service_event(manager->service), manager->http,
                           service_settings(manager->service), &hooks, manager);
}
