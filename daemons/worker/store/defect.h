/* What is wrong with a reply that was charged, or may have been: what a provider may be asked to give back the money for. */
#pragma once

#include "base/hash.h"
#include "base/json.h"
#include "base/money.h"
#include "base/time.h"

/* The numbers stand in the database. */
typedef enum DefectKind {
        DEFECT_UNUSABLE = 0,         /* no image could be taken from it: cut short, missing, of another size, no image, … */
        DEFECT_SINGLE_COLOUR = 1,    /* an image of nothing but one colour */
        DEFECT_UNREADABLE = 2,       /* an image whose pixels can't be unpacked */
        DEFECT_DUPLICATE = 3,        /* an image that the same reply has already, to the byte */
        DEFECT_OTHER_FORMAT = 4,     /* an image of another format than was asked for */
        _DEFECT_KINDS,
} DefectKind;

const char *defect_kind_name(DefectKind kind);   /* NULL: there is no such */

typedef struct Defect {
        DefectKind kind;
        unsigned image;              /* number within the reply, from 1; 0: the reply as a whole */
        char sha256[SHA256_TEXT_MAX];  /* of the image; "" */
        char *detail;                /* what was found, or NULL */

        /* As it was recorded. */
        int64_t number;              /* from 1 */
        usec_t at;
        char *job, *key, *provider, *model, *provider_request_id;  /* key and the last may be NULL */
        micros_t charged, unknown;   /* the image's share of it, or the reply's */
} Defect;

/* Of an array, with what its members own. */
void defects_free(Defect *defects, size_t count);

/* io.atelier.Ledger.Defect, io.atelier.Queue.JobDefect. NULL when memory is short. */
JsonValue *defect_to_json(const Defect *defect);
JsonValue *defect_to_job_json(const Defect *defect);
