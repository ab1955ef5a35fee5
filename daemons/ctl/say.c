/* What is said to people and programs: errors, JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static void say(const char *format, va_list arguments) _printf_(1, 0);

static void say(const char *format, va_list arguments) {
        fputs("atelierctl: ", stderr);
        (void) vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
}

int ctl_fail(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        say(format, arguments);
        va_end(arguments);
        return EXIT_FAILURE;
}

int ctl_misused(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        say(format, arguments);
        va_end(arguments);
        return CTL_USAGE;
}

int ctl_fail_errno(int error, const char *doing) {
        return ctl_fail("%s: %s", doing, strerror(-error));
}

int ctl_print_json(const JsonValue *value) {
        _cleanup_free_ char *text = json_format(value);

        if (!text)
                return ctl_fail("memory is short");
        puts(text);
        return EXIT_SUCCESS;
}
