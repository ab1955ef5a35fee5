/* Any bytes as prices.conf and a request to be priced: the book is refused with reasons, or what it says can be relied
 * on: `auto` costs no less than what it may become, more images no less than fewer, and no price comes without its
 * reason.
 *
 * A form feed parts the input into prices.conf and the request: lines of size, quality, and numbers (images, partial
 * images, bytes of the prompt, the day in seconds since 1970, tokens of each kind). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "conf/settings.h"
#include "money/price-book.h"

#define PROVIDERS "providers = ( { name = \"box\"; base_url = \"http://127.0.0.1:1\"; }, " \
                  "{ name = \"free\"; kind = \"sandbox\"; } );\n"
#define REQUEST_SIZE_MAX 512

typedef struct Question {
        PricedRequest request;
        TokenUsage usage;
        usec_t now;
        char text[REQUEST_SIZE_MAX + 1];
} Question;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig 1.5 loses the string it was reading when a syntax error follows; nobody else's leaks are excused. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
        return "leak:libconfig.so\n";
}

static char folder[] = "/tmp/atelier-fuzz-price-book-XXXXXX";
static int folder_fd = -1;

static void require(bool kept) {
        if (!kept)
                abort();
}

static void write_file(const char *name, const uint8_t *data, size_t size) {
        _cleanup_close_ int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        require(fd >= 0 && fd_write_all(fd, data, size) == 0);
}

static void remove_folder(void) {
        (void) unlinkat(folder_fd, "prices.conf", 0);
        (void) unlinkat(folder_fd, "atelier.conf", 0);
        (void) rmdir(folder);
}

static void make_folder(void) {
        if (folder_fd >= 0)
                return;
        require(mkdtemp(folder));
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        require(folder_fd >= 0 && atexit(remove_folder) == 0);
        write_file("atelier.conf", (const uint8_t *) PROVIDERS, strlen(PROVIDERS));
}

static uint64_t next_number(char **rest) {
        char *line = strsep(rest, "\n");

        return line ? strtoull(line, NULL, 10) : 0;
}

static void read_question(Question *question, const uint8_t *data, size_t size) {
        char *rest = question->text;

        size = MIN(size, (size_t) REQUEST_SIZE_MAX);
        if (size > 0)
                memcpy(question->text, data, size);
        question->request = (PricedRequest) { .provider = "box", .model = "m" };
        question->request.size = strsep(&rest, "\n");
        question->request.quality = strsep(&rest, "\n");
        question->request.n = next_number(&rest);
        question->request.partial_images = next_number(&rest);
        question->request.prompt_bytes = next_number(&rest);
        question->now = next_number(&rest) % (1ULL << 40) * USEC_PER_SEC;
        for (size_t i = 0; i < N_TOKEN_KINDS; i++)
                question->usage.tokens[i] = next_number(&rest);
}

static void require_sound(int r, micros_t cost, const Buffer *reason) {
        require(r == 0 || r == PRICE_MISSING || r == -ERANGE);
        require(r != 0 || (cost >= 0 && cost <= MICROS_MAX));
        require((r == PRICE_MISSING) == (reason->size > 0));
}

static int quote(const PriceBook *book, const PricedRequest *request, usec_t now, micros_t *ret) {
        _cleanup_(buffer_done) Buffer reason = BUFFER_INIT(0);
        int r = price_book_quote(book, request, now, ret, &reason);

        require_sound(r, *ret, &reason);
        return r;
}

static int settle(const PriceBook *book, const Question *question, const TokenUsage *usage, micros_t *ret) {
        _cleanup_(buffer_done) Buffer reason = BUFFER_INIT(0);
        int r = price_book_settle(book, &question->request, usage, question->now, ret, &reason);

        require_sound(r, *ret, &reason);
        return r;
}

/* What costs `cost` (or too much to be told) costs no more than `other`. */
static void require_no_less(const PriceBook *book, const PricedRequest *other, usec_t now, int r, micros_t cost) {
        micros_t ceiling = -1;
        int s = quote(book, other, now, &ceiling);

        require(s == -ERANGE || (s == 0 && r == 0 && ceiling >= cost));
}

/* A line for "auto" itself is taken at its word. */
static bool speaks_of_auto(const uint8_t *data, size_t size) {
        return memmem(data, size, "auto", 4);
}

static void ask(const PriceBook *book, const Question *question, bool auto_is_ceiling) {
        PricedRequest other = question->request;
        micros_t cost = -1, by_tokens = -1, settled = -1;
        int r = quote(book, &question->request, question->now, &cost);

        (void) settle(book, question, &question->usage, &by_tokens);
        require(settle(book, question, NULL, &settled) == r && settled == cost);
        if (r == PRICE_MISSING)
                return;

        other.n = MAX(other.n, other.n + 1);
        require_no_less(book, &other, question->now, r, cost);
        if (!auto_is_ceiling)
                return;
        other = question->request;
        other.size = NULL;
        require_no_less(book, &other, question->now, r, cost);
        other.quality = "auto";
        require_no_less(book, &other, question->now, r, cost);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t *parting = size > 0 ? memchr(data, '\f', size) : NULL;
        size_t prices_size = parting ? (size_t) (parting - data) : size;
        ConfSources sources = { folder, (char *[]) { NULL } };
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(price_book_freep) PriceBook *book = NULL;
        _cleanup_(buffer_done) Buffer errors = BUFFER_INIT(0);
        Question question = {};

        make_folder();
        write_file("prices.conf", data, prices_size);
        if (settings_load(&settings, &sources, &errors) < 0) {
                require(errors.size > 0);
                return 0;
        }
        require(price_book_new(&book, settings) == 0);
        read_question(&question, parting ? parting + 1 : NULL, parting ? size - prices_size - 1 : 0);
        ask(book, &question, !speaks_of_auto(data, prices_size));
        return 0;
}
