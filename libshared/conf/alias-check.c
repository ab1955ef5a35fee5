/* Whatever passes the alias's own lists must be something that its model takes: then a request is judged once, in the
 * client's terms, and nothing can be wrong with what it becomes. */
#include "conf/alias-check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "conf/conf-error.h"
#include "conf/model-terms.h"

typedef struct Alias {
        const ModelConf *model, *target;
        const char *place;
        Buffer *errors;
} Alias;

enum {
        ALIAS_WRONG = 1,  /* said in `errors` */
};

static int complain(const Alias *alias, const char *setting, const char *format, ...) _printf_(3, 4);

static int complain(const Alias *alias, const char *setting, const char *format, ...) {
        _cleanup_free_ char *what = NULL;
        va_list arguments;
        int length, r;

        va_start(arguments, format);
        length = vasprintf(&what, format, arguments);
        va_end(arguments);
        if (length < 0) {
                what = NULL;
                return -ENOMEM;
        }
        r = buffer_printf(alias->errors, "%s: models.%s.%s: %s\n", alias->place, alias->model->name, setting, what);
        return r < 0 ? r : ALIAS_WRONG;
}

static int refuse_unknown(const Settings *settings, const Alias *alias) {
        const ConfGroups *models = &settings->common.models;
        _cleanup_free_ const char **names = calloc(models->count + 1, sizeof(*names));
        const char *nearest;
        size_t count = 0;

        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < models->count; i++) {
                const ModelConf *model = models->items[i];

                if (model != alias->model && !model->alias_of)
                        names[count++] = model->name;
        }
        nearest = conf_nearest(alias->model->alias_of, names, count);
        if (nearest)
                return complain(alias, "alias_of", "\"%s\" is no model; did you mean \"%s\"?", alias->model->alias_of,
                                nearest);
        return complain(alias, "alias_of", "\"%s\" is no model; expected the name of one in models",
                        alias->model->alias_of);
}

static int check_target(const Settings *settings, const Alias *alias) {
        const ModelConf *model = alias->model, *target = alias->target;

        if (!target)
                return refuse_unknown(settings, alias);
        if (target->alias_of)
                return complain(alias, "alias_of", "\"%s\" is an alias itself; expected a model that is none",
                                target->name);
        if (!text_equal(model->provider, target->provider))
                return complain(alias, "provider", "not that of %s; expected none, or alias_of = \"\"", target->name);
        if (!text_equal(model->provider_model, target->provider_model))
                return complain(alias, "provider_model", "not that of %s; expected none, or alias_of = \"\"",
                                target->name);
        return 0;
}

/* Each line translates a value that clients may send, and no value has two. */
static int check_lines(const Alias *alias, const char *setting, char *const *lines, char *const *values,
                       const char *values_name) {
        for (char *const *line = lines; line && *line; line++) {
                _cleanup_free_ char *from = NULL;
                size_t known = 0, lines_of_it = 0;
                int r = alias_line_from(*line, &from);

                if (r == -EINVAL)
                        return complain(alias, setting, "\"%s\" is wrong; expected \"FROM TO\"", *line);
                if (r < 0)
                        return r;
                for (char *const *value = values; value && *value; value++)
                        known += text_equal(*value, from);
                if (known == 0)
                        return complain(alias, setting, "\"%s\" is not taken; expected one of %s", from, values_name);
                for (char *const *other = lines; *other; other++) {
                        const char *rest = text_after(*other, from);

                        lines_of_it += rest && rest[0] == ' ';
                }
                if (lines_of_it > 1)
                        return complain(alias, setting, "\"%s\" stands twice; expected one line for it", from);
        }
        return 0;
}

static int refuse_sent(const Alias *alias, const char *setting, const char *value, const char *sent) {
        if (value == sent)
                return complain(alias, setting, "\"%s\" is not taken by %s; expected a line for it", value,
                                alias->target->name);
        return complain(alias, setting, "\"%s\" becomes \"%s\", which %s does not take; expected a value that it takes",
                        value, sent, alias->target->name);
}

static int check_sizes(const Alias *alias) {
        int r;

        if (alias->model->free_sizes)
                return complain(alias, "free_sizes", "true; expected false, as an alias lists its sizes");
        r = check_lines(alias, "translated_sizes", alias->model->translated_sizes, alias->model->sizes, "its sizes");
        for (char **size = alias->model->sizes; r == 0 && *size; size++) {
                const char *sent = alias_size(alias->model, *size);

                if (!model_takes_size(alias->target, sent))
                        r = refuse_sent(alias, "translated_sizes", *size, sent);
        }
        return r;
}

static int check_qualities(const Alias *alias) {
        int r = check_lines(alias, "translated_qualities", alias->model->translated_qualities, alias->model->qualities,
                            "its qualities");

        for (char **quality = alias->model->qualities; r == 0 && quality && *quality; quality++) {
                const char *sent = alias_quality(alias->model, *quality);

                if (!model_takes_quality(alias->target, sent))
                        r = refuse_sent(alias, "translated_qualities", *quality, sent);
        }
        return r;
}

static int check_gpt_fields(const Alias *alias) {
        const ModelConf *model = alias->model, *target = alias->target;

        if (model->gpt_fields && !target->gpt_fields)
                return complain(alias, "gpt_fields", "true; expected false, as %s does not take them", target->name);
        for (char **format = model->formats; format && *format; format++)
                if (!model_takes_format(target, *format))
                        return complain(alias, "formats", "\"%s\" is not taken by %s; expected some of its formats",
                                        *format, target->name);
        return 0;
}

int alias_check(const Settings *settings, const ModelConf *model, const char *place, Buffer *errors) {
        const Alias alias = { model, settings_find_model(settings, model->alias_of), place, errors };
        int r;

        r = check_target(settings, &alias);
        if (r == 0)
                r = check_sizes(&alias);
        if (r == 0)
                r = check_qualities(&alias);
        if (r == 0)
                r = check_gpt_fields(&alias);
        return MIN(r, 0);
}
