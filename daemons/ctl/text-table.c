#include "text-table.h"

#include <errno.h>
#include <unistd.h>

#include "base/text.h"
#include "printable.h"
#include "size-text.h"

#define GAP "  "
#define NUMBER_CHARS_MAX 32

struct TextTable {
        const char *const *headings;
        size_t n_columns;
        char **cells;       /* row after row */
        size_t n_cells, allocated;
        bool failed;        /* a cell could not be made */
};

int text_table_new(TextTable **ret, const char *const headings[]) {
        TextTable *table;

        table = calloc(1, sizeof(*table));
        if (!table)
                return -ENOMEM;

        table->headings = headings;
        while (headings[table->n_columns])
                table->n_columns++;
        *ret = table;
        return 0;
}

TextTable *text_table_free(TextTable *table) {
        if (!table)
                return NULL;

        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i]);
        free(table->cells);
        free(table);
        return NULL;
}

static int make_room(TextTable *table) {
        size_t wanted = MAX(table->allocated * 2, (size_t) 64);
        char **cells;

        if (table->n_cells < table->allocated)
                return 0;
        cells = reallocarray(table->cells, wanted, sizeof(*cells));
        if (!cells)
                return -ENOMEM;
        table->cells = cells;
        table->allocated = wanted;
        return 0;
}

void text_table_add(TextTable *table, const char *text, size_t columns_max) {
        char *cell;

        if (table->failed || make_room(table) < 0) {
                table->failed = true;
                return;
        }
        cell = printable_text(text_empty(text) ? "-" : text, columns_max);
        if (!cell) {
                table->failed = true;
                return;
        }
        table->cells[table->n_cells++] = cell;
}

void text_table_add_number(TextTable *table, int64_t number) {
        char text[NUMBER_CHARS_MAX];

        (void) snprintf(text, sizeof(text), "%lld", (long long) number);
        text_table_add(table, text, 0);
}

void text_table_add_time(TextTable *table, int64_t realtime) {
        char text[TIME_STAMP_MAX];

        text_table_add(table, realtime < 0 ? NULL : time_format_stamp((usec_t) realtime, text), 0);
}

void text_table_add_size(TextTable *table, int64_t bytes) {
        char text[SIZE_TEXT_MAX];

        text_table_add(table, size_text((uint64_t) MAX(bytes, 0), text), 0);
}

size_t text_table_rows(const TextTable *table) {
        return table->n_cells / table->n_columns;
}

static const char *heading_of(const TextTable *table, size_t column) {
        return text_after(table->headings[column], ">") ?: table->headings[column];
}

static size_t width_of(const TextTable *table, size_t column) {
        size_t width = printable_columns(heading_of(table, column));

        for (size_t i = column; i < table->n_cells; i += table->n_columns)
                width = MAX(width, printable_columns(table->cells[i]));
        return width;
}

/* No blanks behind the last column. */
static void print_cell(const TextTable *table, size_t column, const char *text, size_t width, FILE *stream) {
        int blanks = (int) (width - printable_columns(text));
        bool right = table->headings[column][0] == '>', last = column + 1 == table->n_columns;

        fprintf(stream, "%*s%s%*s%s", right ? blanks : 0, "", text, right || last ? 0 : blanks, "", last ? "\n" : GAP);
}

static bool is_plain(FILE *stream) {
        int fd = fileno(stream);

        return fd < 0 || !isatty(fd) || !text_empty(getenv("NO_COLOR"));
}

int text_table_print(const TextTable *table, FILE *stream) {
        _cleanup_free_ size_t *widths = NULL;
        bool plain = is_plain(stream);

        widths = calloc(table->n_columns, sizeof(*widths));
        if (!widths || table->failed)
                return -ENOMEM;
        for (size_t i = 0; i < table->n_columns; i++)
                widths[i] = width_of(table, i);

        if (!plain)
                fputs("\x1b[1m", stream);
        for (size_t i = 0; i < table->n_columns; i++)
                print_cell(table, i, heading_of(table, i), widths[i], stream);
        if (!plain)
                fputs("\x1b[0m", stream);

        for (size_t i = 0; i < table->n_cells; i++)
                print_cell(table, i % table->n_columns, table->cells[i], widths[i % table->n_columns], stream);
        return ferror(stream) ? -EIO : 0;
}
