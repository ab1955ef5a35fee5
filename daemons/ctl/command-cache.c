/* cache: what answers requests again. */
#include <stdio.h>

#include "arguments.h"
#include "base/time.h"
#include "size-text.h"

static void print_cache(const JsonValue *cache) {
        char ttl[TIME_DURATION_MAX], size[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];
        usec_t ttl_usec = (usec_t) json_get_integer(cache, "ttl_usec", 0);
        long long entries = json_get_integer(cache, "entries", 0);

        if (ttl_usec == 0) {
                printf("The cache is off; worker.cache_ttl says for how long an image answers the same request "
                       "again.\n");
                if (entries == 0)
                        return;
        } else
                printf("An image answers the same request again for %s.\n", time_format_duration(ttl_usec, ttl));
        printf("%lld request%s could be answered, with images of %s; at most %s.\n", entries, entries == 1 ? "" : "s",
               size_text((uint64_t) json_get_integer(cache, "size_bytes", 0), size),
               size_text((uint64_t) json_get_integer(cache, "bytes_max", 0), max));
}

static int cache_show(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "cache show",
                .help = "Shows how many requests the cache could answer. How many it did: genai_cache_requests_total of\n"
                        "GET /metrics.\n",
        };
        _cleanup_(json_freep) JsonValue *cache = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        result = ctl_call("worker", "io.atelier.Queue.GetCache", NULL, &cache);
        if (result != EXIT_SUCCESS)
                return result;
        if (ctl->json)
                return ctl_print_json(cache);
        print_cache(cache);
        return EXIT_SUCCESS;
}

static int cache_clear(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "cache clear",
                .help = "No image that is there now answers a further request. The images stay, with their jobs.\n",
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        long long removed;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        result = ctl_call("worker", "io.atelier.Queue.ClearCache", NULL, &reply);
        if (result != EXIT_SUCCESS)
                return result;
        if (ctl->json)
                return ctl_print_json(reply);
        removed = json_get_integer(reply, "removed", 0);
        printf("%lld request%s would be answered anew.\n", removed, removed == 1 ? "" : "s");
        return EXIT_SUCCESS;
}

int ctl_cache(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "show", "", "Show what requests it could answer", cache_show },
                { "clear", "", "Have everything made anew", cache_clear },
                {},
        };
        static const CommandGroup group = {
                .name = "cache",
                .summary = "Whether there is one, and how large: worker.cache_ttl and worker.cache_bytes_max.\n\n",
                .commands = commands,
        };

        return command_group_run(ctl, &group, argc, argv);
}
