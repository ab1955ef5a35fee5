/* Values of settings: from text, to text, and what was expected. */
#pragma once

#include "conf/conf.h"

typedef enum ValueOutcome {
        VALUE_WRONG = 1,         /* not of the type */
        VALUE_OUT_OF_RANGE,
} ValueOutcome;

/* Parses text as a variable or a default has it and puts the value in place of the old one; on failure the old one
 * stays. Returns 0, -ENOMEM or a ValueOutcome. Not for groups. */
int value_parse(const ConfSetting *setting, const char *text, void *field);

/* The same for a list whose elements are apart already: CONF_STRINGS and CONF_FLAGS. */
int value_parse_list(const ConfSetting *setting, char *const *texts, size_t count, void *field);

/* Appends the value as a file would have it. Not for groups nor for a string that is unset. */
int value_format(const ConfSetting *setting, const void *field, Buffer *buffer);

/* Appends what the setting takes: "an integer from 1 to 64". */
int value_expect(const ConfSetting *setting, Buffer *buffer);

/* Appends text between quotes with escapes as libconfig reads them; what is longer than size_max bytes is cut. */
int value_quote(const char *text, size_t size_max, Buffer *buffer);

/* Frees what the field owns and zeroes it; not for groups. */
void value_done(const ConfSetting *setting, void *field);

/* Whether a list may hold this element. */
bool value_element_fits(const ConfSetting *setting, const char *text);
