/* Where images go: FILE, FILE-1.png and so on, or standard output. */
#pragma once

#include "base/macro.h"

typedef struct ImageOutput {
        const char *file;  /* as -o has it; "-" is standard output */
        bool force;        /* write over what is there */
} ImageOutput;

/* "picture.png" for one image; "picture-1.png" to "picture-N.png" for several, with `format` (png, jpeg, webp)
 * where the file has no ending of an image. The caller frees it; NULL when memory is short. */
char *image_output_name(const ImageOutput *output, size_t index, size_t count, const char *format);

/* Before anything is paid for: can something be written there (stdout is no terminal, the folder may be written
 * to), and would `count` images write over nothing? EXIT_SUCCESS, or a message and CTL_USAGE or EXIT_FAILURE. */
int image_output_check_place(const ImageOutput *output);
int image_output_check_names(const ImageOutput *output, size_t count);

/* Writes what fd holds, durably: temporary name, fsync, rename, fsync of the folder. 0, -EEXIST when the file is there
 * and not to be written over, or another negative errno. */
int image_output_write(const ImageOutput *output, const char *name, int fd);
