#include "conf/model-terms.h"

#include <errno.h>
#include <string.h>

#include "base/image-size.h"
#include "base/text.h"

static bool contains(char *const *names, const char *name) {
        for (; names && *names; names++)
                if (text_equal(*names, name))
                        return true;
        return false;
}

static bool size_follows_rule(const ModelConf *model, const char *size) {
        unsigned width, height;
        int64_t shorter, longer;

        if (!image_size_parse(size, &width, &height))
                return false;
        shorter = MIN(width, height);
        longer = MAX(width, height);
        return width % model->edge_multiple == 0 && height % model->edge_multiple == 0 &&
               shorter >= model->edge_min && longer <= model->edge_max && longer <= shorter * model->ratio_max &&
               shorter * longer >= model->pixels_min && shorter * longer <= model->pixels_max;
}

bool model_takes_size(const ModelConf *model, const char *size) {
        return contains(model->sizes, size) || (model->free_sizes && size_follows_rule(model, size));
}

bool model_takes_quality(const ModelConf *model, const char *quality) {
        return contains(model->qualities, quality);
}

bool model_takes_format(const ModelConf *model, const char *format) {
        return contains(model->formats, format);
}

static const char *translate(char *const *lines, const char *value) {
        for (; value && lines && *lines; lines++) {
                const char *rest = text_after(*lines, value);

                if (rest && rest[0] == ' ')
                        return rest + 1;
        }
        return value;
}

const char *alias_size(const ModelConf *alias, const char *size) {
        return translate(alias->translated_sizes, size);
}

const char *alias_quality(const ModelConf *alias, const char *quality) {
        return translate(alias->translated_qualities, quality);
}

bool alias_line_valid(const char *line) {
        const char *blank = strchr(line, ' ');

        return blank && blank > line && blank[1] && !strchr(blank + 1, ' ');
}

int alias_line_from(const char *line, char **ret) {
        if (!alias_line_valid(line))
                return -EINVAL;
        *ret = strndup(line, (size_t) (strchr(line, ' ') - line));
        return *ret ? 0 : -ENOMEM;
}
