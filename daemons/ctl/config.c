#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "conf/settings.h"
#include "ctl.h"

static int load(const Ctl *ctl, Settings **ret) {
        ConfSources sources = { .folder = ctl->folder };
        _cleanup_(buffer_done) Buffer errors = {};
        int r;

        r = settings_load(ret, &sources, &errors);
        if (r >= 0)
                return EXIT_SUCCESS;
        if (errors.size > 0)
                (void) fwrite(errors.data, 1, errors.size, stderr);
        else
                fprintf(stderr, "atelierctl: the configuration can't be read: %s\n", strerror(-r));
        return EXIT_FAILURE;
}

int ctl_config(const Ctl *ctl, int argc, char *argv[]) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(buffer_done) Buffer text = {};
        bool show = argc == 1 && text_equal(argv[0], "show");

        if (!show && !(argc == 1 && text_equal(argv[0], "check"))) {
                fprintf(stderr, "atelierctl: config takes check or show\n");
                return CTL_USAGE;
        }
        if (load(ctl, &settings) != EXIT_SUCCESS)
                return EXIT_FAILURE;

        if (show) {
                if (settings_format(settings, &text) < 0)
                        return EXIT_FAILURE;
                (void) fwrite(text.data, 1, text.size, stdout);
        }
        return EXIT_SUCCESS;
}
