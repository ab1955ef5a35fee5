/* jobs resume: held jobs go on, and may cost money. A file of its own, since it is what ends a restore. */
#include <stdio.h>

#include "arguments.h"
#include "job-pages.h"

#define HELD_MAX UINT64_MAX

static const CommandForm form = {
        .form = "jobs resume ID...|--all",
        .help = "Lets jobs go on that are held because a backup had them unfinished. They may cost money.\n\n"
                "  --all   all of them\n",
        .options = { { "all", no_argument, NULL, 'a' } },
        .words_max = INT32_MAX,
};

static void count_job(_unused_ const JsonValue *job, void *userdata) {
        ++*(uint64_t *) userdata;
}

/* All of them without being asked to would be dear by mistake. */
static int explain_choice(void) {
        uint64_t held = 0;
        int r;

        r = job_pages_visit("held", HELD_MAX, count_job, &held, NULL);
        if (r != EXIT_SUCCESS)
                return r;
        if (held == 0)
                return ctl_misused("no job is held; see: atelierctl jobs list");
        return ctl_misused(
                "%llu job%s held; name those that shall go on, or all of them: atelierctl jobs resume --all",
                (unsigned long long) held, held == 1 ? " is" : "s are");
}

static JsonValue *build_parameters(int count, char *const ids[]) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        JsonValue *array;
        int r;

        if (count == 0)
                return TAKE_PTR(parameters);
        array = json_new_array();
        r = json_add(parameters, "ids", array);
        for (int i = 0; r >= 0 && i < count; i++)
                r = json_append(array, cJSON_CreateString(ids[i]));
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static int release(const Ctl *ctl, int count, char *const ids[]) {
        _cleanup_(json_freep) JsonValue *parameters = build_parameters(count, ids), *reply = NULL;
        long long released;

        if (!parameters)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Queue.Release", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(reply);

        released = json_get_integer(reply, "released", 0);
        if (released < count)
                printf("%lld of %d jobs go on; the others were not held.\n", released, count);
        else
                printf("%lld job%s on.\n", released, released == 1 ? " goes" : "s go");
        return EXIT_SUCCESS;
}

int ctl_jobs_resume(Ctl *ctl, int argc, char *argv[]) {
        Arguments arguments;
        bool all = false;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                all = true;
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        if (all && optind < argc)
                return arguments_misused(&form, "--all goes without names");
        if (!all && optind == argc)
                return explain_choice();
        return release(ctl, argc - optind, argv + optind);
}
