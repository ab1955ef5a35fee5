/* The models that may make a job in place of the one that it asks for (models.fallback).
 *
 * The list of the job's model is the whole chain: those of its members are not followed, so that what a job may cost
 * and who may see its prompt stand in one place. The chain is gone along once, never back: a job stays where it is
 * while its attempts there are not used up, and goes on when they are, when no key is good there, or while the circuit
 * is open. What a job has come to is in its history alone (Attempt.model, Attempt.next_model), and is found there
 * again after a restart.
 *
 * A member is passed over where the request does not fit it: it would refuse it, it has no price, or it could cost
 * more than the job has reserved. What is reserved at the start is the ceiling of the dearest member that fits, so
 * that is the exception. An alias as member is the way to have sizes and qualities translated. */
#pragma once

#include "manager.h"
#include "queue/request-translate.h"
#include "store/job.h"

enum {
        FALLBACK_UNFIT = 1,           /* said in `why` */
        FALLBACK_NONE = 2,
};

/* The request of a job of another model (no alias) as the member of that name is asked. *why, for people, is to be
 * freed. */
int fallback_translate(const Settings *settings, const JsonValue *request, const char *name, Translation *ret,
                       char **why);

/* The same of a job that has reserved so much. */
int fallback_fit(Manager *manager, const JsonValue *request, const char *name, micros_t reserved, char **why);

/* Raises *ceiling, that of `request` by its own model, to the dearest of the members that fit. */
int fallback_raise_ceiling(Manager *manager, const JsonValue *request, const ModelConf *model, micros_t *ceiling);

/* Where in the chain of `model` a job has come to: 0 is the model itself, else an index into `fallback` and 1. */
size_t fallback_position(const ModelConf *model, const Job *job);

/* The first member behind that position that fits the job; FALLBACK_NONE. `notes` tells of those passed over. */
int fallback_next(Manager *manager, const ModelConf *model, const Job *job, size_t position, const char **ret,
                  Buffer *notes);

static inline bool fallback_has(const ModelConf *model) {
        return model && model->fallback && model->fallback[0];
}
