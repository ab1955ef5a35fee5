/* alerts fire: by hand, by a script, and for a unit that has failed. */
#include <stdio.h>

#include "arguments.h"
#include "base/text.h"
#include "nearest-name.h"
#include "printable.h"
#include "unit-report.h"

static const char *const severities[] = { "info", "warning", "critical" };

static const CommandForm fire_form = {
        .form = "alerts fire NAME --severity=SEVERITY --source=SOURCE",
        .help = "Has the alerter store an alert and tell the receivers.\n\n"
                "  --severity=SEVERITY  info, warning or critical\n"
                "  --source=SOURCE      what it is about: a unit, a task, a machine\n"
                "  --summary=TEXT       a sentence (default: NAME)\n"
                "  --key=KEY            fired again with the same key it is the same alert\n\n"
                "alerts fire --unit=INSTANCE\n\n"
                "  Reports a unit that has failed; for atelier-alert@.service.\n",
        .options = {
                { "severity", required_argument, NULL, 's' },
                { "source", required_argument, NULL, 'o' },
                { "summary", required_argument, NULL, 'm' },
                { "key", required_argument, NULL, 'k' },
                { "unit", required_argument, NULL, 'u' },
        },
        .words_max = 1,
};

typedef struct Fire {
        const char *name, *severity, *source, *summary, *key, *unit;
} Fire;

static void take_fire_option(Fire *fire, int option) {
        switch (option) {
        case 's':
                fire->severity = optarg;
                break;
        case 'o':
                fire->source = optarg;
                break;
        case 'm':
                fire->summary = optarg;
                break;
        case 'k':
                fire->key = optarg;
                break;
        case 'u':
                fire->unit = optarg;
                break;
        }
}

static int check_severity(const char *severity) {
        const char *nearest;

        if (!severity)
                return arguments_misused(&fire_form, "--severity is missing: info, warning or critical");
        for (size_t i = 0; i < ELEMENTS(severities); i++)
                if (text_equal(severities[i], severity))
                        return EXIT_SUCCESS;
        nearest = nearest_name(severity, severities, ELEMENTS(severities));
        if (nearest)
                return ctl_misused("there is no severity like this; did you mean --severity=%s?", nearest);
        return arguments_misused(&fire_form, "--severity takes info, warning or critical");
}

static int check_fire(const Fire *fire) {
        if (fire->unit && (fire->name || fire->severity || fire->source || fire->summary || fire->key))
                return ctl_misused("--unit= goes alone; write: atelierctl alerts fire --unit=INSTANCE");
        if (fire->unit)
                return EXIT_SUCCESS;
        if (!fire->name)
                return arguments_misused(&fire_form, "alerts fire takes a NAME, or --unit=INSTANCE");
        if (!fire->source)
                return arguments_misused(&fire_form, "--source is missing (what it is about)");
        return check_severity(fire->severity);
}

static int fire_alert(const Ctl *ctl, const Fire *fire) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        _cleanup_free_ char *id = NULL;
        int r;

        r = json_add_string(parameters, "key", fire->key);
        if (r >= 0)
                r = json_add_string(parameters, "name", fire->name);
        if (r >= 0)
                r = json_add_string(parameters, "severity", fire->severity);
        if (r >= 0)
                r = json_add_string(parameters, "source", fire->source);
        if (r >= 0)
                r = json_add_string(parameters, "summary", fire->summary ?: fire->name);
        if (r < 0)
                return ctl_fail("memory is short");
        if (ctl_call("alerter", "io.atelier.Alerts.Fire", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(json_get_object(reply, "alert"));

        id = printable_text(json_get_string(json_get_object(reply, "alert"), "id") ?: "", 0);
        printf("%s\n", id ?: "");
        return EXIT_SUCCESS;
}

int ctl_alerts_fire(Ctl *ctl, int argc, char *argv[]) {
        Arguments arguments;
        Fire fire = {};
        int option, r;

        arguments_begin(&arguments, ctl, &fire_form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                take_fire_option(&fire, option);
        if (option == ARGUMENTS_STOP)
                return arguments.result;

        fire.name = argv[optind];
        r = check_fire(&fire);
        if (r != EXIT_SUCCESS)
                return r;
        return fire.unit ? unit_report_fire(ctl, fire.unit) : fire_alert(ctl, &fire);
}
