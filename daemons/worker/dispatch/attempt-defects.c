#include "dispatch/attempt-defects.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define DEFECTS_MAX (3 * GENERATION_IMAGES_MAX)  /* an image has no more of them */

static void add(AttemptRun *run, DefectKind kind, unsigned image, char *detail) {
        Job *job = run->job;
        Defect *defect;

        if (!job->defects)
                job->defects = calloc(DEFECTS_MAX, sizeof(*job->defects));
        if (!job->defects || !detail) {
                (void) log_error("job %s: a defect of its images can't be recorded: memory is short", job->id);
                free(detail);
                return;
        }
        assert(job->n_defects < DEFECTS_MAX);
        defect = &job->defects[job->n_defects++];
        *defect = (Defect) { .kind = kind, .image = image, .detail = detail };
        if (image > 0)
                (void) strcpy(defect->sha256, job->images[image - 1].facts.sha256);
}

/* The first image of the reply that is the same to the byte; 0: none. */
static unsigned same_image(const Job *job, unsigned number) {
        const ImageFacts *facts = &job->images[number - 1].facts;

        for (unsigned i = 1; i < number; i++)
                if (text_equal(job->images[i - 1].facts.sha256, facts->sha256))
                        return i;
        return 0;
}

static void find_defects_of(AttemptRun *run, unsigned number, bool other_format) {
        const ImageFacts *facts = &run->job->images[number - 1].facts;
        unsigned same = same_image(run->job, number);
        int r = temporary_image_is_single_colour(run->images[number - 1]);

        if (r == -EBADMSG)
                add(run, DEFECT_UNREADABLE, number, text_format("image %u can't be unpacked", number));
        if (r == 1)
                add(run, DEFECT_SINGLE_COLOUR, number, text_format("image %u is of a single colour", number));
        if (same > 0)
                add(run, DEFECT_DUPLICATE, number, text_format("image %u is image %u again", number, same));
        if (other_format)
                add(run, DEFECT_OTHER_FORMAT, number,
                    text_format("image %u is %s, which was not asked for", number, image_format_name(facts->format)));
}

/* The history tells of the first, and of how many more there are. */
static void tell_first(AttemptRun *run) {
        Attempt *attempt = attempt_run_current(run);
        size_t more = run->job->n_defects - 1;

        free(attempt->cause);
        attempt->cause = more > 0 ? text_format("%s; and %zu more", run->job->defects[0].detail, more)
                                  : strdup(run->job->defects[0].detail);
}

void attempt_find_defects(AttemptRun *run, const GenerationResult *result) {
        for (unsigned i = 0; i < run->n_images; i++)
                find_defects_of(run, i + 1, result->images[i].other_format);
        if (run->job->n_defects > 0)
                tell_first(run);
}

void attempt_find_unusable(AttemptRun *run) {
        const char *cause = attempt_run_current(run)->cause;

        if (text_equal(run->job->failure.code, "provider_bad_reply"))
                add(run, DEFECT_UNUSABLE, 0, strdup(cause ?: "the reply could not be used"));
}

void attempt_count_defects(AttemptRun *run) {
        for (size_t i = 0; i < run->job->n_defects; i++)
                metrics_add(run->manager->metrics, METRIC_DEFECTS,
                            METRIC_VALUES(attempt_run_current(run)->provider,
                                          defect_kind_name(run->job->defects[i].kind)), 1);
}
