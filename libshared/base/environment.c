#include "base/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The copy is one piece, for unsetenv() forgets what it takes out without freeing it. */
int environment_hide(void) {
        static char **copy;
        size_t count = 0, size = 0;
        char *text;

        for (; environ && environ[count]; count++)
                size += strlen(environ[count]) + 1;
        copy = malloc((count + 1) * sizeof(*copy) + size);
        if (!copy)
                return -ENOMEM;
        text = (char *) (copy + count + 1);
        for (size_t i = 0; i < count; i++) {
                char *value = strchr(environ[i], '=');

                copy[i] = text;
                text = stpcpy(text, environ[i]) + 1;
                /* Names may stay: they tell who looks that there is nothing to be seen. */
                if (value)
                        explicit_bzero(value + 1, strlen(value + 1));
        }
        copy[count] = NULL;
        environ = copy;
        return 0;
}
