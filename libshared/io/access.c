#include "io/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "base/text.h"

#define GROUP_ADMIN "atelier-admin"
#define ID_NONE UINT32_MAX

typedef struct DaemonUser {
        AccessWho who;
        const char *name;
} DaemonUser;

static const DaemonUser daemon_users[] = {
        { ACCESS_API, "atelier-api" },
        { ACCESS_WORKER, "atelier-worker" },
        { ACCESS_SCHEDULER, "atelier-scheduler" },
        { ACCESS_ALERTER, "atelier-alerter" },
        { ACCESS_ALERT, "atelier-alert" },
};

struct AccessTable {
        const AccessRule *rules;
        uid_t users[ELEMENTS(daemon_users)];
        gid_t admins;
};

int access_table_new(AccessTable **ret, const AccessRule *rules) {
        AccessTable *table;
        const struct group *group;

        table = calloc(1, sizeof(*table));
        if (!table)
                return -ENOMEM;

        table->rules = rules;
        group = getgrnam(GROUP_ADMIN);
        table->admins = group ? group->gr_gid : ID_NONE;
        for (size_t i = 0; i < ELEMENTS(daemon_users); i++) {
                const struct passwd *user = getpwnam(daemon_users[i].name);

                table->users[i] = user ? user->pw_uid : ID_NONE;
        }

        *ret = table;
        return 0;
}

AccessTable *access_table_free(AccessTable *table) {
        free(table);
        return NULL;
}

static bool rule_matches(const AccessRule *rule, const char *method) {
        size_t length = strlen(rule->method);

        if (length > 1 && rule->method[length - 1] == '*')
                return strncmp(rule->method, method, length - 1) == 0 && !strchr(method + length - 1, '.');
        return text_equal(rule->method, method);
}

static unsigned peer_roles(const AccessTable *table, const VarlinkPeer *peer) {
        unsigned roles = ACCESS_MEMBER;

        if (table->admins != ID_NONE && varlink_peer_in_group(peer, table->admins))
                roles |= ACCESS_ADMIN;
        for (size_t i = 0; i < ELEMENTS(daemon_users); i++)
                if (table->users[i] != ID_NONE && table->users[i] == peer->uid)
                        roles |= daemon_users[i].who;
        /* It reads the journal: what it may do here stands in one rule, and nothing is left to its groups. */
        return roles & ACCESS_ALERT ? ACCESS_ALERT : roles;
}

unsigned access_rule_who(const AccessRule *rules, const char *method) {
        for (const AccessRule *rule = rules; rule && rule->method; rule++)
                if (rule_matches(rule, method))
                        return rule->who;
        return ACCESS_NOBODY;
}

bool access_allowed(const AccessTable *table, const VarlinkPeer *peer, const char *method) {
        if (peer->uid == 0)
                return true;

        return access_rule_who(table->rules, method) & peer_roles(table, peer);
}
