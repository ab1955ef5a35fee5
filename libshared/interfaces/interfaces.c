#include "interfaces/interfaces.h"

/* The assembler puts the file itself into the program: what is served is what stands in the tree. */
#define EMBED(symbol, file) \
        __asm__(".pushsection .rodata\n" \
                ".global " #symbol "\n" \
                ".type " #symbol ", @object\n" \
                #symbol ":\n" \
                ".incbin \"libshared/interfaces/" file "\"\n" \
                ".byte 0\n" \
                ".size " #symbol ", . - " #symbol "\n" \
                ".popsection\n")

EMBED(interface_daemon, "io.atelier.Daemon.varlink");
EMBED(interface_queue, "io.atelier.Queue.varlink");
EMBED(interface_ledger, "io.atelier.Ledger.varlink");
EMBED(interface_keys, "io.atelier.Keys.varlink");
EMBED(interface_webhooks, "io.atelier.Webhooks.varlink");
EMBED(interface_links, "io.atelier.Links.varlink");
EMBED(interface_audit, "io.atelier.Audit.varlink");
EMBED(interface_store, "io.atelier.Store.varlink");
EMBED(interface_tasks, "io.atelier.Tasks.varlink");
EMBED(interface_backups, "io.atelier.Backups.varlink");
EMBED(interface_alerts, "io.atelier.Alerts.varlink");
