#include "manager.h"

int main(int argc, char *argv[]) {
        _cleanup_(service_freep) Service *service = NULL;
        int r;

        r = service_new(&service, &alerter_service_kind, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        r = service_run(service, NULL);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
