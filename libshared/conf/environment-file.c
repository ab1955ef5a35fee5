#include "conf/environment-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "conf/conf-error.h"

#define BLANKS " \t"
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* The text that is read, and where in it we are. */
typedef struct Reader {
        EnvironmentFile *file;
        const char *path;
        const char *p;
        unsigned line;
        Buffer *errors;
} Reader;

static int complain(const Reader *reader, unsigned line, const char *what) {
        return conf_error(reader->errors, &(ConfPlace) { .file = reader->path, .line = line }, "%s", what);
}

/* A backslash before the end of a line is no character, and neither is that end. */
static bool skip_continuation(Reader *reader) {
        if (reader->p[0] != '\\' || reader->p[1] != '\n')
                return false;
        reader->p += 2;
        reader->line++;
        return true;
}

static void skip_line(Reader *reader) {
        while (*reader->p && *reader->p != '\n')
                if (!skip_continuation(reader))
                        reader->p++;
}

/* Up to the closing quote. Between double quotes a backslash takes the meaning from the four characters that have one there. */
static int read_quoted(Reader *reader, Buffer *value) {
        char quote = *reader->p++;
        unsigned begin = reader->line;
        int r = 0;

        while (r >= 0 && *reader->p && *reader->p != quote) {
                if (quote == '"' && skip_continuation(reader))
                        continue;
                if (quote == '"' && *reader->p == '\\' && reader->p[1] && strchr("\"\\`$", reader->p[1]))
                        reader->p++;
                reader->line += *reader->p == '\n';
                r = buffer_append(value, reader->p++, 1);
        }
        if (r < 0 || *reader->p)
                return reader->p++, r;
        r = complain(reader, begin, "a quote that is not closed; expected another one");
        return r < 0 ? r : -EBADMSG;
}

/* The rest of the line. Blanks around it do not count, unless they are between quotes. */
static int read_value(Reader *reader, Buffer *value) {
        size_t kept = 0;
        int r = 0;

        reader->p += strspn(reader->p, BLANKS);
        while (r >= 0 && *reader->p && *reader->p != '\n') {
                if (skip_continuation(reader))
                        continue;
                if (*reader->p == '"' || *reader->p == '\'') {
                        r = read_quoted(reader, value);
                        kept = value->size;
                        continue;
                }
                if (*reader->p == '\\' && reader->p[1])
                        reader->p++;
                r = buffer_append(value, reader->p, 1);
                if (!strchr(BLANKS "\r", *reader->p++))
                        kept = value->size;
        }
        value->size = MIN(value->size, kept);
        return r;
}

static void wipe(char *text) {
        if (text)
                explicit_bzero(text, strlen(text));
        free(text);
}

/* Takes both texts over. */
static int keep(EnvironmentFile *file, char *variable, char *place) {
        size_t name = strcspn(variable, "=") + 1, i;

        for (i = 0; i < file->count && strncmp(file->variables[i], variable, name) != 0; i++)
                ;
        if (i == ENVIRONMENT_FILE_VARIABLES_MAX) {
                wipe(variable);
                free(place);
                return -E2BIG;
        }
        wipe(file->variables[i]);
        free(file->places[i]);
        file->variables[i] = variable;
        file->places[i] = place;
        file->count = MAX(file->count, i + 1);
        return 0;
}

static int read_assignment(Reader *reader) {
        size_t length = strspn(reader->p, NAME_CHARS);
        const char *name = reader->p, *after = name + length + strspn(name + length, BLANKS);
        _cleanup_free_ char *value = NULL;
        char *variable, *place;
        unsigned line = reader->line;
        Buffer text = {};
        int r;

        if (length == 0 || *after != '=' || strchr("0123456789", *name)) {
                r = complain(reader, line, "no assignment; expected NAME=VALUE");
                skip_line(reader);
                return r;
        }
        reader->p = after + 1;
        r = read_value(reader, &text);
        if (r >= 0 && !(value = buffer_take_text(&text)))
                r = -ENOMEM;
        buffer_done(&text);
        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        variable = text_format("%.*s=%s", (int) length, name, value);
        place = text_format("%s:%u", reader->path, line);
        explicit_bzero(value, strlen(value));
        if (!variable || !place) {
                wipe(variable);
                free(place);
                return -ENOMEM;
        }
        return keep(reader->file, variable, place);
}

static int read_all(Reader *reader) {
        int r = 0;

        while (r >= 0 && *reader->p) {
                reader->p += strspn(reader->p, BLANKS "\r");
                if (*reader->p == '#' || *reader->p == ';')
                        skip_line(reader);
                else if (*reader->p && *reader->p != '\n')
                        r = read_assignment(reader);
                if (r >= 0 && *reader->p == '\n') {
                        reader->p++;
                        reader->line++;
                }
        }
        return r;
}

int environment_file_read(EnvironmentFile *file, const char *path, Buffer *errors) {
        size_t size, errors_before = errors->size;
        Reader reader = { .file = file, .path = path, .line = 1, .errors = errors };
        char *text;
        int r;

        *file = (EnvironmentFile) {
                .variables = calloc(ENVIRONMENT_FILE_VARIABLES_MAX + 1, sizeof(char *)),
                .places = calloc(ENVIRONMENT_FILE_VARIABLES_MAX + 1, sizeof(char *)),
        };
        if (!file->variables || !file->places)
                return -ENOMEM;
        r = file_read(AT_FDCWD, path, ENVIRONMENT_FILE_BYTES_MAX, &text, &size);
        if (r < 0)
                return r;
        reader.p = text;
        r = strlen(text) == size ? read_all(&reader)
                                 : conf_error(errors, &(ConfPlace) { .file = path }, "it has a NUL byte; expected text");
        explicit_bzero(text, size);
        free(text);
        return r < 0 ? r : errors->size > errors_before ? -EBADMSG : 0;
}

void environment_file_done(EnvironmentFile *file) {
        for (size_t i = 0; i < file->count; i++) {
                wipe(file->variables[i]);
                free(file->places[i]);
        }
        free(file->variables);
        free(file->places);
        *file = (EnvironmentFile) {};
}
