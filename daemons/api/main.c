/* atelier-api: HTTP in, Varlink out. */
#include "base/environment.h"
#include "manager.h"

int main(int argc, char *argv[]) {
        _cleanup_(service_freep) Service *service = NULL;
        _cleanup_(api_manager_freep) ApiManager *manager = NULL;
        int r;

        r = environment_hide();
        if (r >= 0)
                r = service_new(&service, &api_service, argc, argv);
        if (r == SERVICE_DONE)
                return EXIT_SUCCESS;
        if (r >= 0)
                r = api_manager_new(&manager, service);
        if (r >= 0)
                r = service_run(service, manager);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
