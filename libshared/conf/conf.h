/* Configuration from a declarative table.
 *
 * One table row gives a setting's name, type, range, default, presets, environment variable and help; it drives
 * parsing, checking, showing and documentation. Sources, later ones win: preset of the environment < models.conf <
 * prices.conf < atelier.conf < atelier.conf.d/NAME.conf in the order of their names < environment variables. Every file is
 * libconfig syntax (1.5), parsed alone and merged by the table, because libconfig wraps integers silently and cannot
 * merge: sizes, times and money are strings with units that we parse. Lists of groups (providers, models, prices) merge by
 * their `name`. Unknown settings are errors; all errors are reported at once, each with its place.
 *
 * Files are parsed from memory and may not include others. An environment variable that is set to nothing counts as
 * unset. The enumeration `environment` of a table without section chooses the presets, whichever source names it. */
#pragma once

#include "base/buffer.h"
#include "base/macro.h"
#include "conf/secret-reference.h"

typedef enum ConfType {
        CONF_BOOL,         /* bool */
        CONF_INTEGER,      /* int64_t; min, max */
        CONF_STRING,       /* char * (owned); min, max = bytes; max 0: CONF_TEXT_BYTES_MAX */
        CONF_URL,          /* char * (owned): http or https, host, path without final slash; nothing else */
        CONF_SECRET,       /* char * (owned): a reference (secret-reference.h), never the value */
        CONF_ENUM,         /* int: index in `values`; any case */
        CONF_DURATION,     /* usec_t; min, max in microseconds; a bare number counts seconds */
        CONF_SIZE,         /* uint64_t bytes: "64K", "1M", "2G" of 1024; min, max */
        CONF_MONEY,        /* micros_t: "$50", "0.04"; min, max; "infinity" where max is MICROS_INFINITY */
        CONF_SHARE,        /* int64_t millionths of a whole: "0.8", "80%"; min, max */
        CONF_STRINGS,      /* char ** (owned, ended by NULL; NULL while unset); min, max = elements */
        CONF_FLAGS,        /* unsigned: a bit 1 << index for each of `values` in the list */
        CONF_GROUPS,       /* ConfGroups: a list of groups described by `table`, each with a unique `name`; max */
} ConfType;

typedef struct ConfTable ConfTable;
typedef struct ConfOrigins ConfOrigins;

/* What the texts of a list are. */
typedef struct ConfElement {
        bool (*fits)(const char *text);
        const char *expected;           /* "origins such as …" */
} ConfElement;

typedef struct ConfSetting {
        const char *name;               /* in its section */
        ConfType type;
        size_t offset;                  /* of the field in the section's struct */
        const char *environment;        /* variable that overrides it, or NULL; lists with commas */
        int64_t min, max;
        const char *const *values;      /* CONF_ENUM, CONF_FLAGS: names, ended by NULL */
        const ConfElement *element;     /* CONF_STRINGS; NULL: any text */
        const char *fallback;           /* default as a variable would have it; NULL: unset (0, NULL) */
        const char *presets[3];         /* for development, staging, production; NULL: the default */
        const ConfTable *table;         /* CONF_GROUPS: its first setting is the CONF_STRING `name` */
        const char *help;               /* one sentence */
} ConfSetting;

struct ConfTable {
        const char *section;            /* "api"; NULL: top level */
        const ConfSetting *settings;    /* ended by {} */
        size_t struct_size;
};

typedef struct ConfGroups {
        void **items;                   /* each of the table's struct_size, in the order in which they first appear */
        char **places;                  /* FILE:LINE where each was given last */
        size_t count;
} ConfGroups;

/* Where to look; NULL members take the real places. Tests point elsewhere. */
typedef struct ConfSources {
        const char *folder;             /* /etc/atelier */
        char *const *environment;       /* environ */
        char *const *places;            /* FILE:LINE of each variable, in their order; NULL: they are of no file */
        ConfOrigins *origins;           /* is filled with where each setting was given; NULL: nobody asks */
} ConfSources;

#define CONF_FILE_BYTES_MAX (1024 * 1024)
#define CONF_DROP_INS_MAX 256
#define CONF_DEPTH_MAX 8                /* nested groups, lists and arrays of a file */
#define CONF_GROUPS_MAX 256             /* of one list, where the setting names no maximum */
#define CONF_TEXT_BYTES_MAX 4096        /* of one string, also in a list */
#define CONF_STRINGS_MAX 64             /* of one list, where the setting names no maximum */

/* Fills configs[i], zeroed by the caller, by tables[i]. Returns 0, -ENOMEM, or -EBADMSG with one line per error in
 * `errors`: FILE:LINE: SETTING: what was wrong and what was expected. A missing folder or file is no error. Whatever
 * it returns, conf_done() frees the structs. */
int conf_load(const ConfSources *sources, const ConfTable *const *tables, void *const *configs, size_t n_tables,
              Buffer *errors);

/* Frees what conf_load() allocated inside the struct. */
void conf_done(const ConfTable *table, void *config);

#define CONF_FROM "# From: "

/* What conf_format() adds: a comment for each setting that says where it was given. */
typedef struct ConfShown {
        const ConfOrigins *origins;
        size_t preset;                  /* column of ConfSetting.presets that is in force … */
        const char *preset_name;        /* … and what it is called */
} ConfShown;

/* Appends "section.setting = value" lines as they stand in force, with the help as comment; `shown` may be NULL. Secret references
 * are shown (they are no secrets); nothing else needs masking. */
int conf_format(const ConfTable *table, const void *config, const ConfShown *shown, Buffer *buffer);

/* Appends a Markdown table of the settings themselves: name, meaning, range, default, presets, variable. */
int conf_document(const ConfTable *table, Buffer *buffer);

/* Resolves a reference to the secret itself. credential:NAME is read from $CREDENTIALS_DIRECTORY, file:PATH from the
 * file (a final newline is dropped), env:NAME from the environment. *ret is to be freed with secret_free(). -ENOENT
 * when there is none or it is empty, -EINVAL for what is no reference, -EREMOTE for one to another machine, -EFBIG past
 * SECRET_BYTES_MAX, -EBADMSG for one with a NUL byte inside, else the errno of reading the file. */
#define SECRET_BYTES_MAX (64 * 1024)
int secret_resolve(const char *reference, char **ret);
char *secret_free(char *secret);  /* wipes it */
DEFINE_CLEANUP(char *, secret_free);
