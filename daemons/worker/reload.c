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
#include "secrets/key-trial.h"
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
        manager->key_trial = key_trial_free(manager->key_trial);
        secrets_accept_all(manager->secrets);
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

static void record(Manager *manager, const char *action, const char *outcome, const char *reference) {
        AuditRecord record = {
                .at = time_now_realtime(),
                .action = strdup(action),
                .outcome = strdup(outcome),
                .uid = AUDIT_NOBODY,
                .object = strdup(reference),
                .count = 1,
        };

        if (record.action && record.outcome && record.object)
                audit_add(manager->audit, &record);
        audit_record_done(&record);
}

static void take_secret(Manager *manager, const char *reference) {
        log_notice("The secret %s has changed, and is used from now on", reference);
        record(manager, "secret.changed", AUDIT_OK, reference);
}

/* The former one stays in use, and people are told. */
static void reject_secret(Manager *manager, const char *provider, const char *reference) {
        _cleanup_free_ char *key = text_format("secret-rejected-%s", reference);
        _cleanup_free_ char *summary = text_format("The provider %s refuses the new value of %s; the one of before is used on",
                                                   provider, reference);

        secrets_reject(manager->secrets, reference);
        record(manager, "secret.rejected", "key_refused", reference);
        if (!key || !summary)
                return;
        (void) log_record(LOG_ERR, 0, LOG_FIELDS({ "ATELIER_PROVIDER", provider }), "%s", summary);
        alert_report(manager->alerts, key, "SecretRejected", "critical", summary);
}

/* What is new has been tried, as far as it is a provider's: `trial` may be NULL. True: some of it was no good. */
static bool judge_secrets(Manager *manager, const KeyTrial *trial) {
        const Settings *settings = service_settings(manager->service);
        const char *reference;
        bool rejected = false;
        ProviderSlot *slot;

        for (size_t i = 0; (slot = provider_table_at(manager->providers, i)); i++) {
                const char *name = provider_name(slot->provider);
                const ProviderConf *conf = settings_find_provider(settings, name);

                for (unsigned number = 1; (reference = settings_provider_key(conf, number)); number++) {
                        if (!secrets_is_new(manager->secrets, reference))
                                continue;
                        if (trial && key_trial_refused(trial, reference)) {
                                reject_secret(manager, name, reference);
                                rejected = true;
                        } else
                                take_secret(manager, reference);
                }
        }
        for (size_t i = 0; i < settings->common.webhooks.count; i++) {
                const WebhookConf *webhook = settings->common.webhooks.items[i];

                for (char **secret = webhook->secrets; *secret; secret++)
                        if (secrets_is_new(manager->secrets, *secret))
                                take_secret(manager, *secret);
        }
        return rejected;
}

/* Takes the table over. */
static void end_trial(Manager *manager, ProviderTable *providers) {
        _cleanup_(key_trial_freep) KeyTrial *trial = TAKE_PTR(manager->key_trial);
        _cleanup_(buffer_done) Buffer errors = {};
        int r = 0;

        if (judge_secrets(manager, trial)) {
                (void) provider_table_unref(providers);
                r = reload_new_providers(manager, service_settings(manager->service), &errors, &providers);
        }
        secrets_accept_all(manager->secrets);
        if (r < 0)
                (void) log_error_errno(r, "the providers can't be set up: %.*s", (int) errors.size,
                                       errors.data ? (char *) errors.data : "");
        else
                take_providers(manager, providers);
        dispatcher_look(manager->dispatcher);
}

static void on_tried(KeyTrial *trial, void *userdata) {
        end_trial(userdata, provider_table_ref(key_trial_table(trial)));
}

/* Of keys that are new, also those of a trial under way. Until its end the former ones are used. */
static int begin_trial(Manager *manager, Buffer *errors) {
        const Settings *settings = service_settings(manager->service);
        ProviderTable *providers;
        int r;

        r = reload_new_providers(manager, settings, errors, &providers);
        if (r < 0)
                return r;
        manager->key_trial = key_trial_free(manager->key_trial);
        r = key_trial_new(&manager->key_trial, providers, settings, manager->secrets, on_tried, manager);
        if (r < 0)
                (void) log_warning_errno(r, "new keys can't be tried, and are used untried");
        if (manager->key_trial)
                (void) provider_table_unref(providers);
        else
                end_trial(manager, providers);
        return 0;
}

/* Of files anything may have changed. */
static void on_secret_changed(const char *reference, void *userdata) {
        Manager *manager = userdata;
        const Settings *settings = service_settings(manager->service);
        _cleanup_(buffer_done) Buffer errors = {};
        int r = 0;

        if (reference && !secrets_is_new(manager->secrets, reference))
                take_secret(manager, reference);
        if (!reference || signs_webhooks(settings, reference))
                r = webhooks_reload(manager->webhooks, settings, &errors);
        if (r >= 0)
                r = begin_trial(manager, &errors);
        if (r < 0)
                (void) log_error_errno(r, "a secret has changed, but can't be taken: %.*s", (int) errors.size,
                                       errors.data ? (char *) errors.data : "");
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
