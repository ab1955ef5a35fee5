#include "dispatch/key-refusal.h"

#include <stdio.h>

#include "alert-reporter.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatch/retry-policy.h"
#include "secrets/secrets.h"

#define HTTP_UNAUTHORIZED 401
#define HTTP_PAYMENT_REQUIRED 402

KeyFault key_refusal_fault(int http_status, const char *type, const char *code) {
        if (http_status == HTTP_UNAUTHORIZED)
                return KEY_FAULT_REFUSED;
        return http_status == HTTP_PAYMENT_REQUIRED || retry_is_quota(type, code) ? KEY_FAULT_SPENT : KEY_FAULT_NONE;
}

static void tell(Manager *manager, const Provider *provider, unsigned number, KeyFault fault) {
        const char *name = provider_name(provider);
        bool last = provider_keys_all_aside(provider);
        _cleanup_free_ char *key = text_format("provider-key-%s-%u", name, number), *summary = NULL;
        char which[32];

        (void) snprintf(which, sizeof(which), "key %u of %u", number, provider_key_count(provider));
        summary = text_format("The provider %s %s%s%s", name,
                              fault == KEY_FAULT_REFUSED ? "refuses " : "says that the quota is used up of ", which,
                              last ? ": no other is good, and what only it makes fails" : ": the next one is used");
        if (!key || !summary)
                return;
        (void) log_record(LOG_ERR, 0, LOG_FIELDS({ "ATELIER_PROVIDER", name }), "%s", summary);
        alert_report(manager->alerts, key,
                     fault == KEY_FAULT_REFUSED ? "ProviderKeyRefused" : "ProviderQuotaExhausted",
                     last ? "critical" : "warning", summary);
}

static const char *key_reference(const Manager *manager, const Provider *provider, unsigned number) {
        const ProviderConf *conf = settings_find_provider(service_settings(manager->service), provider_name(provider));

        return conf ? settings_provider_key(conf, number) : NULL;
}

/* Somebody may have put another one in its place since it was fetched. */
static bool fetch_anew(const Manager *manager, const Provider *provider, unsigned number, KeyFault fault) {
        const char *reference = fault == KEY_FAULT_REFUSED ? key_reference(manager, provider, number) : NULL;

        return reference && secrets_refetch(manager->secrets, reference);
}

bool key_refusal_take(Manager *manager, Provider *provider, unsigned number, KeyFault fault) {
        if (provider_set_key_aside(provider, number, fault) && !fetch_anew(manager, provider, number, fault))
                tell(manager, provider, number, fault);
        return number > 0 && (!provider_keys_all_aside(provider) || key_refusal_awaits(manager, provider));
}

bool key_refusal_awaits(const Manager *manager, const Provider *provider) {
        const char *reference;

        if (!provider_keys_all_aside(provider))
                return false;
        for (unsigned number = 1; (reference = key_reference(manager, provider, number)); number++)
                if (secrets_refetching(manager->secrets, reference) || secrets_is_new(manager->secrets, reference))
                        return true;
        return false;
}

void key_refusal_tell_of(Manager *manager, const char *reference) {
        ProviderSlot *slot;

        for (size_t i = 0; (slot = provider_table_at(manager->providers, i)); i++)
                for (unsigned number = 1; number <= provider_key_count(slot->provider); number++)
                        if (text_equal(key_reference(manager, slot->provider, number), reference) &&
                            provider_key_fault(slot->provider, number) == KEY_FAULT_REFUSED)
                                tell(manager, slot->provider, number, KEY_FAULT_REFUSED);
}

/* One refused among those that are spent says more: it does not mend itself. */
static KeyFault worst_fault(const Provider *provider, KeyFault fault) {
        unsigned count = provider_key_count(provider);

        for (unsigned number = 1; number <= count && fault != KEY_FAULT_REFUSED; number++)
                fault = provider_key_fault(provider, number) ?: fault;
        return fault;
}

int key_refusal_failure(const Provider *provider, KeyFault fault, Failure *failure) {
        if (worst_fault(provider, fault) == KEY_FAULT_SPENT)
                return failure_set(failure, 503, "server_error", "provider_quota_exhausted", NULL,
                                   "The gateway's own account at the provider is used up; this is nothing the client "
                                   "can mend. Its operator has been told: atelierctl status worker says which key.");
        return failure_set(failure, 503, "server_error", "provider_key_refused", NULL,
                           "The provider does not take the gateway's own key; the client's token is not at fault. Its "
                           "operator has been told: atelierctl status worker says which key.");
}
