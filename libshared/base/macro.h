/* The small vocabulary every file speaks: cleanup attributes, hand-over of ownership, arithmetic on types. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _printf_(text, first) __attribute__((format(printf, text, first)))
#define _unused_ __attribute__((unused))
#define _warn_unused_ __attribute__((warn_unused_result))

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); _a > _b ? _a : _b; })
#define CONTAINER_OF(pointer, type, member) ((type *) ((char *) (pointer) - offsetof(type, member)))

/* TAKE_PTR(p) yields p and leaves NULL behind: the cleanup attribute of p then has nothing to free. */
#define TAKE_PTR(pointer) ({ typeof(pointer) *_p = &(pointer); typeof(pointer) _v = *_p; *_p = NULL; _v; })
#define TAKE_FD(fd) ({ int *_f = &(fd); int _v = *_f; *_f = -1; _v; })

/* Defines foo_freep(), the form that _cleanup_() wants, from a foo_free() that takes NULL and returns NULL. */
#define DEFINE_CLEANUP(type, function) \
        static inline void function##p(type *pointer) { \
                if (*pointer) \
                        *pointer = function(*pointer); \
        } \
        struct _cleanup_semicolon_##function

static inline void freep(void *pointer) {
        free(*(void **) pointer);
}

#define _cleanup_free_ _cleanup_(freep)
