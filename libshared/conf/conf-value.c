#include "conf/conf-value.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/money.h"
#include "base/text.h"
#include "base/time.h"

#define SIZE_TEXT_MAX 24
#define SHARE_TEXT_MAX 24

static bool in_range(const ConfSetting *setting, uint64_t value) {
        return value >= (uint64_t) setting->min && value <= (uint64_t) setting->max;
}

static int parse_bool(const ConfSetting *setting _unused_, const char *text, void *field) {
        static const char *const names[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (strcasecmp(text, names[i]) == 0) {
                        *(bool *) field = i % 2;
                        return 0;
                }
        return VALUE_WRONG;
}

static int parse_integer(const ConfSetting *setting, const char *text, void *field) {
        bool negative = text[0] == '-';
        uint64_t magnitude;
        int64_t value;
        int r;

        r = text_to_unsigned(text + negative, INT64_MAX, &magnitude);
        if (r < 0)
                return r == -ERANGE ? VALUE_OUT_OF_RANGE : VALUE_WRONG;

        value = negative ? -(int64_t) magnitude : (int64_t) magnitude;
        if (value < setting->min || value > setting->max)
                return VALUE_OUT_OF_RANGE;
        *(int64_t *) field = value;
        return 0;
}

static int parse_duration(const ConfSetting *setting, const char *text, void *field) {
        usec_t value;
        int r;

        r = time_parse_duration(text, &value);
        if (r < 0)
                return r == -ERANGE ? VALUE_OUT_OF_RANGE : VALUE_WRONG;
        if (!in_range(setting, value))
                return VALUE_OUT_OF_RANGE;
        *(usec_t *) field = value;
        return 0;
}

static int parse_size(const ConfSetting *setting, const char *text, void *field) {
        static const char units[] = "KMGT";
        size_t length = strlen(text);
        char digits[SIZE_TEXT_MAX];
        const char *unit = NULL;
        unsigned shift = 0;
        uint64_t value;
        int r;

        if (length == 0 || length >= sizeof(digits))
                return VALUE_WRONG;

        unit = strchr(units, text[length - 1]);
        if (unit) {
                shift = 10 * (unsigned) (unit - units + 1);
                length--;
        }
        memcpy(digits, text, length);
        digits[length] = 0;

        r = text_to_unsigned(digits, INT64_MAX >> shift, &value);
        if (r < 0)
                return r == -ERANGE ? VALUE_OUT_OF_RANGE : VALUE_WRONG;
        if (!in_range(setting, value << shift))
                return VALUE_OUT_OF_RANGE;
        *(uint64_t *) field = value << shift;
        return 0;
}

static int take_amount(const ConfSetting *setting, int parsed, micros_t value, void *field) {
        if (parsed < 0)
                return parsed == -ERANGE ? VALUE_OUT_OF_RANGE : VALUE_WRONG;
        if (value < setting->min || value > setting->max)
                return VALUE_OUT_OF_RANGE;
        *(micros_t *) field = value;
        return 0;
}

static int parse_money(const ConfSetting *setting, const char *text, void *field) {
        micros_t value = MICROS_INFINITY;
        int r = 0;

        if (!text_equal(text, "infinity"))
                r = money_parse(text, &value);
        return take_amount(setting, r, value, field);
}

/* Percents are hundredths: the same digits with the point two places further left. */
static int parse_share(const ConfSetting *setting, const char *text, void *field) {
        size_t length = strlen(text);
        char number[SHARE_TEXT_MAX];
        micros_t value = 0;
        bool percent;
        int r;

        percent = length > 0 && text[length - 1] == '%';
        if (length - percent >= sizeof(number) || text[0] == '$')
                return VALUE_WRONG;
        memcpy(number, text, length - percent);
        number[length - percent] = 0;
        r = money_parse(number, &value);
        if (r >= 0 && percent && value % 100 != 0)
                return VALUE_WRONG;
        return take_amount(setting, r, percent ? value / 100 : value, field);
}

static int find_value(const ConfSetting *setting, const char *text) {
        for (int i = 0; setting->values[i]; i++)
                if (strcasecmp(setting->values[i], text) == 0)
                        return i;
        return -1;
}

static int parse_enum(const ConfSetting *setting, const char *text, void *field) {
        int index = find_value(setting, text);

        if (index < 0)
                return VALUE_WRONG;
        *(int *) field = index;
        return 0;
}

/* Text without control characters, so that no setting can break a header, a log line or a URL in two. */
static int check_text(const char *text, size_t size_min, size_t size_max) {
        size_t size = strlen(text);

        if (size < size_min || size > size_max)
                return VALUE_OUT_OF_RANGE;
        if (!utf8_valid(text, size))
                return VALUE_WRONG;
        for (; *text; text++)
                if ((unsigned char) *text < 0x20 || *text == 0x7f)
                        return VALUE_WRONG;
        return 0;
}

static int replace_string(const char *text, size_t size, char **field) {
        char *copy = strndup(text, size);

        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int parse_string(const ConfSetting *setting, const char *text, void *field) {
        int r;

        r = check_text(text, (size_t) setting->min, setting->max ? (size_t) setting->max : CONF_TEXT_BYTES_MAX);
        return r == 0 ? replace_string(text, strlen(text), field) : r;
}

static int parse_url(const ConfSetting *setting _unused_, const char *text, void *field) {
        const char *host = text_after(text, "https://");
        size_t size = strlen(text);

        if (!host)
                host = text_after(text, "http://");
        if (!host || check_text(text, 0, CONF_TEXT_BYTES_MAX) != 0)
                return VALUE_WRONG;
        if (strcspn(host, "/") == 0 || strcspn(host, " \"<>\\^`{|}@?#") != strlen(host))
                return VALUE_WRONG;

        while (text[size - 1] == '/')
                size--;
        return replace_string(text, size, field);
}

static int parse_secret(const ConfSetting *setting _unused_, const char *text, void *field) {
        if (!secret_reference_valid(text) || check_text(text, 0, CONF_TEXT_BYTES_MAX) != 0)
                return VALUE_WRONG;
        return replace_string(text, strlen(text), field);
}

static void free_strings(char **strings) {
        for (size_t i = 0; strings && strings[i]; i++)
                free(strings[i]);
        free(strings);
}

static int replace_strings(char *const *texts, size_t count, char ***field) {
        char **copy = calloc(count + 1, sizeof(*copy));

        for (size_t i = 0; copy && i < count; i++) {
                copy[i] = strdup(texts[i]);
                if (!copy[i]) {
                        free_strings(copy);
                        copy = NULL;
                }
        }
        if (!copy)
                return -ENOMEM;

        free_strings(*field);
        *field = copy;
        return 0;
}

static size_t strings_max(const ConfSetting *setting) {
        return setting->max ? (size_t) setting->max : CONF_STRINGS_MAX;
}

bool value_element_fits(const ConfSetting *setting, const char *text) {
        if (setting->type == CONF_FLAGS)
                return find_value(setting, text) >= 0;
        return check_text(text, 1, CONF_TEXT_BYTES_MAX) == 0 && (!setting->element || setting->element->fits(text));
}

int value_parse_list(const ConfSetting *setting, char *const *texts, size_t count, void *field) {
        unsigned flags = 0;

        for (size_t i = 0; i < count; i++) {
                if (!value_element_fits(setting, texts[i]))
                        return VALUE_WRONG;
                if (setting->type == CONF_FLAGS)
                        flags |= 1u << find_value(setting, texts[i]);
        }

        if (setting->type == CONF_FLAGS) {
                *(unsigned *) field = flags;
                return 0;
        }
        if (count < (size_t) setting->min || count > strings_max(setting))
                return VALUE_OUT_OF_RANGE;
        return replace_strings(texts, count, field);
}

/* "a, b,c" with the spaces around elements dropped; only spaces is an empty list. */
static int parse_list(const ConfSetting *setting, const char *text, void *field) {
        _cleanup_free_ char *copy = strdup(text);
        _cleanup_free_ char **texts = NULL;
        size_t count = 1, n = 0;
        char *rest = copy, *part;

        for (const char *p = text; *p; p++)
                count += *p == ',';
        texts = calloc(count, sizeof(*texts));
        if (!copy || !texts)
                return -ENOMEM;

        while ((part = strsep(&rest, ","))) {
                part += strspn(part, " ");
                for (size_t size = strlen(part); size > 0 && part[size - 1] == ' '; size--)
                        part[size - 1] = 0;
                texts[n++] = part;
        }
        if (n == 1 && !*texts[0])
                n = 0;
        return value_parse_list(setting, texts, n, field);
}

int value_parse(const ConfSetting *setting, const char *text, void *field) {
        static int (*const parsers[])(const ConfSetting *, const char *, void *) = {
                [CONF_BOOL] = parse_bool,         [CONF_INTEGER] = parse_integer, [CONF_STRING] = parse_string,
                [CONF_URL] = parse_url,           [CONF_SECRET] = parse_secret,   [CONF_ENUM] = parse_enum,
                [CONF_DURATION] = parse_duration, [CONF_SIZE] = parse_size,       [CONF_STRINGS] = parse_list,
                [CONF_MONEY] = parse_money,       [CONF_SHARE] = parse_share,     [CONF_FLAGS] = parse_list,
        };

        assert(setting->type < ELEMENTS(parsers));

        return parsers[setting->type](setting, text, field);
}

void value_done(const ConfSetting *setting, void *field) {
        switch (setting->type) {
        case CONF_STRING:
        case CONF_URL:
        case CONF_SECRET:
                freep(field);
                *(char **) field = NULL;
                break;
        case CONF_STRINGS:
                free_strings(*(char ***) field);
                *(char ***) field = NULL;
                break;
        default:
                break;
        }
}
