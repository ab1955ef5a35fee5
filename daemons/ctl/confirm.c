#include "confirm.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl.h"

int confirm_possible(void) {
        if (isatty(STDIN_FILENO))
                return EXIT_SUCCESS;
        return ctl_misused("there is no terminal to ask on; add --yes if it shall be done");
}

int confirm(const char *question, bool yes) {
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        ssize_t length;

        if (yes)
                return EXIT_SUCCESS;
        if (confirm_possible() != EXIT_SUCCESS)
                return CTL_USAGE;

        fprintf(stderr, "%s [y/N] ", question);
        length = getline(&line, &size, stdin);
        if (length > 0 && line[length - 1] == '\n')
                line[length - 1] = 0;
        if (length > 0 && (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0))
                return EXIT_SUCCESS;
        return ctl_fail("nothing was done");
}
