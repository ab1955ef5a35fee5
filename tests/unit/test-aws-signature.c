/* Signature Version 4 by vectors: the first request is that of AWS's own documentation, the others were signed by curl as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "secrets/aws-signature.h"

#define TIME "20150830T123600Z"
#define TARGET "x-amz-target:secretsmanager.GetSecretValue"
#define BODY "{\"SecretId\":\"prod/gateway/openai\"}"

static char id[] = "AKIDEXAMPLE", secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token[] = "SESSIONTOKEN";

static void test_the_documented_request(_unused_ void **state) {
        const AwsKey key = { id, secret, NULL };
        const AwsRequest request = {
                .method = "GET",
                .path = "/",
                .query = "Action=ListUsers&Version=2010-05-08",
                .headers = (const char *const[]) { "content-type:application/x-www-form-urlencoded; charset=utf-8",
                                                   "host:iam.amazonaws.com", "x-amz-date:" TIME, NULL },
                .body = "",
                .region = "us-east-1",
                .service = "iam",
        };
        _cleanup_free_ char *value = aws_sign(&request, &key, TIME);

        assert_string_equal(value, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                                   "SignedHeaders=content-type;host;x-amz-date, "
                                   "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

static void test_a_secret_is_asked_for(_unused_ void **state) {
        const AwsKey key = { id, secret, NULL };
        AwsRequest request = {
                .method = "POST",
                .path = "/",
                .query = "",
                .headers = (const char *const[]) { "content-type:application/x-amz-json-1.1",
                                                   "host:secretsmanager.us-east-1.amazonaws.com", "x-amz-date:" TIME, TARGET,
                                                   NULL },
                .body = BODY,
                .region = "us-east-1",
                .service = "secretsmanager",
        };
        _cleanup_free_ char *value = aws_sign(&request, &key, TIME), *with_token = NULL;

        assert_non_null(strstr(value, "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "));
        assert_non_null(strstr(value, "Signature=e3e7a670ca4b4ada1e66e3373043c6daf796b05c856c272ed7b7aba23e000dca"));

        request.headers = (const char *const[]) { "content-type:application/x-amz-json-1.1",
                                                  "host:secretsmanager.us-east-1.amazonaws.com", "x-amz-date:" TIME,
                                                  "x-amz-security-token:SESSIONTOKEN", TARGET, NULL };
        with_token = aws_sign(&request, &key, TIME);
        assert_non_null(strstr(with_token, "Signature=52ca4e7e1d128645301f9a60e77b22d30896c1464b1973bba076878c5a638e9d"));
}

static void test_the_time(_unused_ void **state) {
        char time[AWS_TIME_MAX];

        aws_format_time(UINT64_C(1440938160) * USEC_PER_SEC + 999999, time);
        assert_string_equal(time, TIME);
}

static void test_a_key_is_wiped(_unused_ void **state) {
        AwsKey key = { strdup(id), strdup(secret), strdup(token) };

        aws_key_done(&key);
        assert_null(key.id);
        assert_null(key.secret);
        assert_null(key.session_token);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_documented_request),
                cmocka_unit_test(test_a_secret_is_asked_for),
                cmocka_unit_test(test_the_time),
                cmocka_unit_test(test_a_key_is_wiped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
