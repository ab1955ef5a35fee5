#include "base/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int environment_hide(void) {
        static char **hidden;
        size_t count = 0;

        while (environ && environ[count])
                count++;
        hidden = calloc(count + 1, sizeof(*hidden));
        if (!hidden)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                hidden[i] = strdup(environ[i]);
                if (!hidden[i])
                        return -ENOMEM;
        }
        /* Names may stay: they tell who looks that there is nothing to be seen. */
        for (size_t i = 0; i < count; i++) {
                char *value = strchr(environ[i], '=');

                if (value)
                        explicit_bzero(value + 1, strlen(value + 1));
        }
        environ = hidden;
        return 0;
}
