/* generate: a prompt in, image files out. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "arguments.h"
#include "base/buffer.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/text.h"
#include "job-result.h"

#define PROMPT_BYTES_MAX (1024 * 1024)  /* far beyond what any model takes */
#define IMAGES_MAX 10                   /* as the worker takes at most */

static const CommandForm form = {
        .form = "generate PROMPT -o FILE [OPTIONS]",
        .help = "Has an image made and writes it to FILE. PROMPT - is read from standard input.\n"
                "The request is a job like any other: it goes on when this command is interrupted.\n\n"
                "  -o, --output=FILE   where it goes; several images become FILE-1.png, FILE-2.png, ...\n"
                "                      - is standard output\n"
                "  -n, --count=N       so many images, 1 to 10\n"
                "  --model=MODEL       default: worker.default_model of the configuration\n"
                "  --size=WIDTHxHEIGHT\n"
                "  --quality=QUALITY\n"
                "  --timeout=TIME      wait no longer than so (90s, 5min); the job goes on\n"
                "  --force             write over files that are there\n",
        .options = {
                { "output", required_argument, NULL, 'o' },
                { "count", required_argument, NULL, 'n' },
                { "model", required_argument, NULL, 'm' },
                { "size", required_argument, NULL, 's' },
                { "quality", required_argument, NULL, 'q' },
                { "timeout", required_argument, NULL, 't' },
                { "force", no_argument, NULL, 'f' },
        },
        .letters = "o:n:",
        .words_max = 1,
};

typedef struct Generation {
        const char *prompt, *model, *size, *quality;
        uint64_t count;       /* 0: as the model has it, which is 1 */
        usec_t timeout;       /* 0: none */
        ImageOutput output;
} Generation;

static int take_timeout(Generation *generation) {
        if (time_parse_duration(optarg, &generation->timeout) < 0 || generation->timeout == 0)
                return arguments_misused(&form, "--timeout takes a time such as 90s or 5min");
        if (generation->timeout > 365 * USEC_PER_DAY)
                generation->timeout = 0;
        return EXIT_SUCCESS;
}

static int take_option(Generation *generation, int option) {
        switch (option) {
        case 'o':
                generation->output.file = optarg;
                break;
        case 'n':
                return arguments_number(&form, "-n", IMAGES_MAX, &generation->count);
        case 'm':
                generation->model = optarg;
                break;
        case 's':
                generation->size = optarg;
                break;
        case 'q':
                generation->quality = optarg;
                break;
        case 't':
                return take_timeout(generation);
        case 'f':
                generation->output.force = true;
                break;
        }
        return EXIT_SUCCESS;
}

/* The newline that ends what was typed or piped is no part of the prompt. */
static int read_prompt(char **ret) {
        _cleanup_free_ char *text = malloc(PROMPT_BYTES_MAX + 1);
        ssize_t size;

        if (!text)
                return ctl_fail("memory is short");
        size = fd_read_all(STDIN_FILENO, text, PROMPT_BYTES_MAX);
        if (size < 0)
                return ctl_fail_errno((int) size, "the prompt can't be read from standard input");
        if (size == PROMPT_BYTES_MAX)
                return ctl_fail("the prompt on standard input is longer than any model takes");

        text[size] = 0;
        if (size > 0 && text[size - 1] == '\n')
                text[size - 1] = 0;
        if (strlen(text) + 1 < (size_t) size)
                return ctl_fail("the prompt on standard input is no text: it holds a zero byte");
        *ret = TAKE_PTR(text);
        return EXIT_SUCCESS;
}

static JsonValue *build_request(const Generation *generation) {
        _cleanup_(json_freep) JsonValue *request = json_new_object();
        int r;

        r = json_add_string(request, "prompt", generation->prompt);
        if (r >= 0)
                r = json_add_string(request, "model", generation->model);
        if (r >= 0)
                r = json_add_string(request, "size", generation->size);
        if (r >= 0)
                r = json_add_string(request, "quality", generation->quality);
        if (r >= 0 && generation->count > 0)
                r = json_add_integer(request, "n", (int64_t) generation->count);
        return r < 0 ? NULL : TAKE_PTR(request);
}

/* The same request id at each try: however often the connection is lost, it is one job. */
static JsonValue *build_parameters(const Generation *generation) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        char request_id[ID_TEXT_MAX];
        int r;

        r = json_add_string(parameters, "request_id", id_new(request_id));
        if (r >= 0)
                r = json_add(parameters, "caller", job_caller());
        if (r >= 0)
                r = json_add(parameters, "request", build_request(generation));
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static int run(const Ctl *ctl, const Generation *generation) {
        _cleanup_(json_freep) JsonValue *parameters = NULL;
        JobWait wait = {
                .method = "io.atelier.Queue.Submit",
                .output = generation->output,
                .timeout = generation->timeout,
        };

        if (!utf8_valid(generation->prompt, strlen(generation->prompt)))
                return ctl_fail("the prompt is not UTF-8; convert it with: iconv --to=UTF-8");
        parameters = build_parameters(generation);
        if (!parameters)
                return ctl_fail("memory is short");
        wait.parameters = parameters;
        return job_result_wait(ctl, &wait);
}

int ctl_generate(Ctl *ctl, int argc, char *argv[]) {
        _cleanup_free_ char *prompt = NULL;
        Generation generation = {};
        Arguments arguments;
        int option, r;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                if (take_option(&generation, option) != EXIT_SUCCESS)
                        return CTL_USAGE;
        if (option == ARGUMENTS_STOP)
                return arguments.result;

        if (optind == argc)
                return arguments_misused(&form, "generate takes a prompt (quote it), or - to read it");
        if (!generation.output.file)
                return arguments_misused(&form, "-o FILE is missing (where the image goes)");
        if (ctl->json && text_equal(generation.output.file, "-"))
                return arguments_misused(&form, "--json and the image can't both go to standard output");
        r = image_output_check_place(&generation.output);
        if (r == EXIT_SUCCESS)
                r = image_output_check_names(&generation.output, MAX(generation.count, 1u));
        if (r == EXIT_SUCCESS && text_equal(argv[optind], "-"))
                r = read_prompt(&prompt);
        if (r != EXIT_SUCCESS)
                return r;

        generation.prompt = prompt ?: argv[optind];
        return run(ctl, &generation);
}
