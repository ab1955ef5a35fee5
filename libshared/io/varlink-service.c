#include "io/varlink-service.h"

#include <errno.h>

static const char interface_text[] =
        "# The Varlink service interface, which every Varlink server offers: who it is and what it speaks.\n"
        "interface org.varlink.service\n"
        "\n"
        "# Who the server is, and the interfaces that it offers.\n"
        "method GetInfo() -> (\n"
        "  vendor: string,\n"
        "  product: string,\n"
        "  version: string,\n"
        "  url: string,\n"
        "  interfaces: []string\n"
        ")\n"
        "\n"
        "# The description of an interface, as this one.\n"
        "method GetInterfaceDescription(interface: string) -> (description: string)\n"
        "\n"
        "error InterfaceNotFound (interface: string)\n"
        "error MethodNotFound (method: string)\n"
        "error MethodNotImplemented (method: string)\n"
        "error InvalidParameter (parameter: string)\n"
        "\n"
        "# The caller may not call this method.\n"
        "error PermissionDenied ()\n"
        "\n"
        "# The method answers in several replies: it must be called with `more`.\n"
        "error ExpectedMore ()\n";

static int on_get_info(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        const VarlinkService *service = userdata;
        _cleanup_(json_freep) JsonValue *info = json_new_object();
        _cleanup_(json_freep) JsonValue *interfaces = json_new_array();
        int r = 0;

        for (size_t i = 0; r >= 0 && i < varlink_registry_count(service->registry); i++)
                r = json_append(interfaces, cJSON_CreateString(varlink_interface_name(
                                                    varlink_registry_interface(service->registry, i))));
        if (r >= 0)
                r = json_add_string(info, "vendor", service->product.vendor);
        if (r >= 0)
                r = json_add_string(info, "product", service->product.product);
        if (r >= 0)
                r = json_add_string(info, "version", service->product.version);
        if (r >= 0)
                r = json_add_string(info, "url", service->product.url);
        if (r >= 0)
                r = json_add(info, "interfaces", TAKE_PTR(interfaces));
        if (r < 0)
                return r;

        return varlink_call_reply(call, TAKE_PTR(info));
}

static int on_get_interface_description(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        const VarlinkService *service = userdata;
        const char *name = json_get_string(parameters, "interface");
        const VarlinkInterface *interface = varlink_registry_find_interface(service->registry, name);
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        if (interface)
                r = json_add_string(reply, "description", varlink_interface_text(interface));
        else
                r = json_add_string(reply, "interface", name);
        if (r < 0)
                return r;

        if (!interface)
                return varlink_call_error(call, VARLINK_ERROR_INTERFACE_NOT_FOUND, TAKE_PTR(reply));
        return varlink_call_reply(call, TAKE_PTR(reply));
}

static const VarlinkMethod methods[] = {
        { "GetInfo", on_get_info, false },
        { "GetInterfaceDescription", on_get_interface_description, false },
        {},
};

int varlink_service_add(VarlinkRegistry *registry, VarlinkService *service) {
        return varlink_registry_add(registry, interface_text, methods, service);
}
