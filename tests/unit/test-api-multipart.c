/* Forms: what is taken, in pieces of any size, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "multipart.h"

#define TYPE "multipart/form-data; boundary=B"
#define PART(name, value) "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define END "--B--\r\n"

/* What came, as "name=value;", with ^ for a NUL. */
typedef struct Heard {
        Buffer text;
        int answer; /* of each part's end */
} Heard;

static int on_begin(const char *name, void *userdata) {
        return buffer_printf(&((Heard *) userdata)->text, "%s=", name);
}

static int on_data(const void *data, size_t size, void *userdata) {
        Heard *heard = userdata;
        int r = buffer_append(&heard->text, data, size);

        for (size_t i = 0; i < size; i++)
                if (heard->text.data[heard->text.size - 1 - i] == 0)
                        heard->text.data[heard->text.size - 1 - i] = '^';
        return r;
}

static int on_end(void *userdata) {
        Heard *heard = userdata;
        int r = buffer_append_text(&heard->text, ";");

        return r < 0 ? r : heard->answer;
}

static const MultipartHandlers handlers = { .begin = on_begin, .data = on_data, .end = on_end };

/* In pieces of `step` bytes. The reason that it is refused for goes to *ret_reason. */
static int parse(const char *type, const char *body, size_t size, size_t step, Heard *heard, const char **ret_reason) {
        _cleanup_(multipart_freep) Multipart *parser = NULL;
        int r;

        *ret_reason = NULL;
        r = multipart_new(&parser, type, &handlers, heard);
        for (size_t at = 0; at < size && r == 0; at += step)
                r = multipart_write(parser, body + at, MIN(step, size - at));
        if (r == 0)
                r = multipart_finish(parser);
        if (parser)
                *ret_reason = multipart_reason(parser);
        return r;
}

static void check_taken(const char *type, const char *body, size_t size, const char *expected) {
        for (size_t step = 1; step <= size; step++) {
                Heard heard = {};
                const char *reason;
                _cleanup_free_ char *text = NULL;

                assert_int_equal(parse(type, body, size, step, &heard, &reason), 0);
                text = buffer_take_text(&heard.text);
                assert_string_equal(text, expected);
        }
}

static void check_refused(const char *body, size_t size, const char *expected) {
        for (size_t step = 1; step <= size; step++) {
                Heard heard = {};
                const char *reason;

                assert_int_equal(parse(TYPE, body, size, step, &heard, &reason), MULTIPART_INVALID);
                if (!reason || !strstr(reason, expected))
                        fail_msg("'%s' is not in '%s'", expected, reason ?: "");
                buffer_done(&heard.text);
        }
}

#define CHECK_TAKEN(body, expected) check_taken(TYPE, body, sizeof(body) - 1, expected)
#define CHECK_REFUSED(body, expected) check_refused(body, sizeof(body) - 1, expected)

static void test_parts_come_in_their_order(_unused_ void **state) {
        CHECK_TAKEN(PART("a", "1") PART("b", "") PART("image[]", "x y") END, "a=1;b=;image[]=x y;");
        CHECK_TAKEN(END, "");
        CHECK_TAKEN(PART("a", "1") "--B--", "a=1;");
}

static void test_bytes_that_look_like_a_boundary_are_the_part_s(_unused_ void **state) {
        CHECK_TAKEN(PART("a", "\r\n--A\r\n-\r\r\n--\r\r\n\r\n--") END, "a=\r\n--A\r\n-\r\r\n--\r\r\n\r\n--;");
        CHECK_TAKEN(PART("a", "\0\r\n\0--B") END, "a=^\r\n^--B;");
        CHECK_TAKEN(PART("a", "--B") END, "a=--B;");
}

static void test_head_has_what_libraries_write(_unused_ void **state) {
        CHECK_TAKEN("--B\r\ncontent-disposition:form-data; filename=\"a; name=b.png\"; name=image\r\n"
                    "Content-Type: image/png\r\nX-Other: 1\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n" END,
                    "image=x;");
        CHECK_TAKEN("--B\r\nContent-Disposition: form-data; name=\"a\"; filename*=utf-8''b\r\n\r\nx\r\n" END, "a=x;");
}

static void test_boundaries_are_found_in_the_type(_unused_ void **state) {
        static const char longest[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
        static const char body[] = "--a b'()+_,-./:=?c\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--a b'()+_,-./:=?c--";
        char type[160], text[256];
        Heard heard = {};
        const char *reason;

        check_taken("Multipart/Form-Data; charset=utf-8; boundary=\"a b'()+_,-./:=?c\"", body, sizeof(body) - 1, "x=1;");
        (void) snprintf(type, sizeof(type), "multipart/form-data;boundary=%s", longest);
        (void) snprintf(text, sizeof(text), "--%s\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--%s--", longest,
                        longest);
        check_taken(type, text, strlen(text), "x=1;");
        (void) snprintf(type, sizeof(type), "multipart/form-data;boundary=%s0", longest);
        assert_int_equal(parse(type, text, strlen(text), 1, &heard, &reason), MULTIPART_INVALID);
}

static void test_types_without_a_boundary_are_refused(_unused_ void **state) {
        static const char *const types[] = {
                "multipart/form-data", "multipart/form-data;", "multipart/form-data; boundary=",
                "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary=\"a", "multipart/form-data; boundary=a\"b",
                "multipart/form-data; boundary=\"a \"", "multipart/form-data; boundary=a@b", "multipart/form-data; boundary",
                "multipart/form-data; xboundary=a",
        };
        Multipart *parser = NULL;

        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (multipart_new(&parser, types[i], &handlers, NULL) != MULTIPART_INVALID)
                        fail_msg("%s", types[i]);
        assert_true(multipart_is_type("multipart/form-data"));
        assert_false(multipart_is_type("multipart/form-datax"));
        assert_false(multipart_is_type("multipart/mixed; boundary=a"));
        assert_false(multipart_is_type(NULL));
}

static void test_what_is_cut_short_is_refused(_unused_ void **state) {
        static const char body[] = PART("a", "1") "--B--";
        Heard heard = {};
        const char *reason;

        for (size_t size = 0; size < sizeof(body) - 1; size++) {
                assert_int_equal(parse(TYPE, body, size, 7, &heard, &reason), MULTIPART_INVALID);
                assert_non_null(reason);
        }
        buffer_done(&heard.text);
}

static void test_bad_forms_are_refused(_unused_ void **state) {
        CHECK_REFUSED("\r\n" PART("a", "1") END, "begin with its boundary");
        CHECK_REFUSED("preamble\r\n" PART("a", "1") END, "begin with its boundary");
        CHECK_REFUSED("--C\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--C--", "begin with its boundary");
        CHECK_REFUSED("--B \r\n\r\n", "no line end");
        CHECK_REFUSED("--BB\r\n", "no line end");
        CHECK_REFUSED(PART("a", "1") "--B-\r\n", "no line end");
        CHECK_REFUSED(PART("a", "1") "--B--x", "behind the last boundary");
        CHECK_REFUSED(PART("a", "1") "--B--\r\n\r\n", "behind the last boundary");
        CHECK_REFUSED("--B\r\n\r\nx\r\n" END, "without Content-Disposition");
        CHECK_REFUSED("--B\r\nContent-Type: text/plain\r\n\r\nx\r\n" END, "without Content-Disposition");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n" END, "without a name");
        CHECK_REFUSED("--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n" END, "not form-data");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data; filename=a\r\n\r\nx\r\n" END, "without a name");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nx\r\n" END, "without a name");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n" END, "without a name");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data; name=\"a\\\"b\"\r\n\r\nx\r\n" END, "without a name");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\nx\r\n"
                      END, "two Content-Disposition");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n" END,
                      "Content-Transfer-Encoding");
        CHECK_REFUSED("--B\r\nno header\r\n\r\n", "header line is none");
        CHECK_REFUSED("--B\r\n: empty\r\n\r\n", "header line is none");
        CHECK_REFUSED("--B\r\n folded: a\r\n\r\n", "header line is none");
        CHECK_REFUSED("--B\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\nx\r\n" END, "control character");
}

static void build(Buffer *text, size_t name_bytes, size_t head_bytes) {
        _cleanup_free_ char *name = calloc(1, name_bytes + 1), *rest = calloc(1, head_bytes + 1);
        size_t used = strlen("Content-Disposition: form-data; name=\r\nX: \r\n\r\n") + name_bytes;

        memset(name, 'n', name_bytes);
        memset(rest, 'x', head_bytes > used ? head_bytes - used : 0);
        assert_true(buffer_printf(text, "--B\r\nContent-Disposition: form-data; name=%s\r\nX: %s\r\n\r\n1\r\n--B--", name,
                                  rest) >= 0);
}

static int parse_built(size_t name_bytes, size_t head_bytes, const char **reason) {
        _cleanup_(buffer_done) Buffer text = {};
        Heard heard = {};
        int r;

        build(&text, name_bytes, head_bytes);
        r = parse(TYPE, (const char *) text.data, text.size, 100, &heard, reason);
        buffer_done(&heard.text);
        return r;
}

static void test_names_and_heads_at_their_limit_and_one_past(_unused_ void **state) {
        const char *reason;

        assert_int_equal(parse_built(MULTIPART_NAME_BYTES_MAX, 0, &reason), 0);
        assert_int_equal(parse_built(MULTIPART_NAME_BYTES_MAX + 1, 0, &reason), MULTIPART_INVALID);
        assert_string_equal(reason, "a part's name is longer than 64 bytes");
        assert_int_equal(parse_built(1, MULTIPART_HEAD_BYTES_MAX, &reason), 0);
        assert_int_equal(parse_built(1, MULTIPART_HEAD_BYTES_MAX + 1, &reason), MULTIPART_INVALID);
        assert_string_equal(reason, "a part's head is longer than 2048 bytes");
}

static int parse_many(unsigned n, const char **reason) {
        _cleanup_(buffer_done) Buffer text = {};
        Heard heard = {};
        int r;

        for (unsigned i = 0; i < n; i++)
                assert_true(buffer_append_text(&text, PART("a", "1")) >= 0);
        assert_true(buffer_append_text(&text, END) >= 0);
        r = parse(TYPE, (const char *) text.data, text.size, 1000, &heard, reason);
        buffer_done(&heard.text);
        return r;
}

static void test_number_of_parts_at_the_limit_and_one_past(_unused_ void **state) {
        const char *reason;

        assert_int_equal(parse_many(MULTIPART_PARTS_MAX, &reason), 0);
        assert_int_equal(parse_many(MULTIPART_PARTS_MAX + 1, &reason), MULTIPART_INVALID);
        assert_string_equal(reason, "more than 64 parts");
}

static void test_what_a_handler_says_ends_it(_unused_ void **state) {
        static const char body[] = PART("a", "1") PART("b", "2") END;
        Heard heard = { .answer = -ENOSPC };
        const char *reason;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(parse(TYPE, body, sizeof(body) - 1, sizeof(body), &heard, &reason), -ENOSPC);
        text = buffer_take_text(&heard.text);
        assert_string_equal(text, "a=1;");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parts_come_in_their_order),
                cmocka_unit_test(test_bytes_that_look_like_a_boundary_are_the_part_s),
                cmocka_unit_test(test_head_has_what_libraries_write),
                cmocka_unit_test(test_boundaries_are_found_in_the_type),
                cmocka_unit_test(test_types_without_a_boundary_are_refused),
                cmocka_unit_test(test_what_is_cut_short_is_refused),
                cmocka_unit_test(test_bad_forms_are_refused),
                cmocka_unit_test(test_names_and_heads_at_their_limit_and_one_past),
                cmocka_unit_test(test_number_of_parts_at_the_limit_and_one_past),
                cmocka_unit_test(test_what_a_handler_says_ends_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
