#include "unit-instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UNIT_NAME_BYTES_MAX 255
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

bool invocation_valid(const char *text) {
        return strlen(text) == INVOCATION_TEXT_MAX - 1 &&
               strspn(text, DIGITS "abcdefABCDEF") == INVOCATION_TEXT_MAX - 1;
}

static bool unit_name_valid(const char *name) {
        size_t length = strlen(name);
        const char *dot = strrchr(name, '.');

        return length <= UNIT_NAME_BYTES_MAX && strspn(name, LOWER UPPER DIGITS ":-_.\\@") == length && dot &&
               dot > name && dot[1];
}

static bool result_valid(const char *text) {
        return *text && strspn(text, LOWER "-") == strlen(text);
}

/* Takes ":INVOCATION" off the end of text. */
static bool take_invocation(UnitInstance *instance, char *text) {
        char *colon = strrchr(text, ':');

        if (!colon || !invocation_valid(colon + 1))
                return false;
        (void) snprintf(instance->invocation, sizeof(instance->invocation), "%s", colon + 1);
        *colon = 0;
        return true;
}

int unit_instance_parse(UnitInstance *ret, const char *text) {
        char *colon;

        *ret = (UnitInstance) { .unit = strdup(text) };
        if (!ret->unit)
                return -ENOMEM;

        colon = strrchr(ret->unit, ':');
        if (!take_invocation(ret, ret->unit) && colon && result_valid(colon + 1)) {
                *colon = 0;
                if (!take_invocation(ret, ret->unit))
                        *colon = ':';
                else if (!(ret->result = strdup(colon + 1)))
                        return -ENOMEM;
        }
        return unit_name_valid(ret->unit) ? 0 : -EINVAL;
}

void unit_instance_done(UnitInstance *instance) {
        free(instance->unit);
        free(instance->result);
        *instance = (UnitInstance) {};
}
