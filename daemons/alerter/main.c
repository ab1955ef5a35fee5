#include "base/environment.h"
#include "manager.h"

int main(int argc, char *argv[]) {
        _cleanup_(service_freep) Service *service = NULL;
        _cleanup_(alerter_manager_freep) AlerterManager *manager = NULL;
        int r;

        r = environment_hide();
        if (r >= 0)
                r = service_new(&service, &alerter_service_kind, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        r = alerter_manager_new(&manager, service);
        if (r >= 0)
                r = service_run(service, manager);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
