/* The texts of the .varlink files, as org.varlink.service hands them out. */
#pragma once

extern const char interface_daemon[];
extern const char interface_queue[];
extern const char interface_ledger[];
extern const char interface_keys[];
extern const char interface_webhooks[];
extern const char interface_links[];
extern const char interface_audit[];
extern const char interface_store[];
extern const char interface_tasks[];
extern const char interface_backups[];
extern const char interface_alerts[];
