#include "batch-request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "image-request.h"

#define REQUEST_BYTES_EXTRA 64 /* of a request beside its text, in a message */

/* Members of the body that are not parameters of its requests. */
static const char *const own_members[] = { "prompts", "requests", "metadata" };

/* Parameters of a request that make no sense in a batch: its results are fetched later, as links. */
static const char *const foreign_members[] = { "stream", "partial_images", "response_format" };

static int refuse(ApiError *error, const char *code, const char *param, const char *message) {
        api_error_set(error, 400, ERROR_TYPE_REQUEST, code, param, "%s", message);
        return BATCH_REQUEST_INVALID;
}

/* An item's error names it. */
static int refuse_item(ApiError *error, const char *list, size_t number) {
        ApiError of_item = *error;
        char param[96];

        (void) snprintf(param, sizeof(param), "%s.%zu%s%.48s", list, number, *of_item.param ? "." : "", of_item.param);
        api_error_set(error, of_item.status, of_item.type, of_item.code, param, "Item %zu: %s", number,
                      of_item.message);
        return BATCH_REQUEST_INVALID;
}

/* Moves the body's own members out of it: what is left is what its requests have in common. */
static int take_own_members(JsonValue *body, JsonValue **ret, ApiError *error) {
        _cleanup_(json_freep) JsonValue *own = json_new_object();
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(own_members); i++) {
                JsonValue *member = cJSON_DetachItemFromObjectCaseSensitive(body, own_members[i]);

                if (member && cJSON_IsNull(member))
                        (void) json_free(member);
                else if (member)
                        r = json_add(own, own_members[i], member);
        }
        if (r < 0)
                return r;
        if (json_has(body, "prompt"))
                return refuse(error, "unknown_parameter", "prompt",
                              "A batch takes 'prompts' or 'requests'; one prompt is POST /v1/images/generations.");
        for (size_t i = 0; i < ELEMENTS(foreign_members); i++)
                if (json_has(body, foreign_members[i]))
                        return refuse(error, "unknown_parameter", foreign_members[i],
                                      "A batch does not take it: its images are fetched by their links.");
        *ret = TAKE_PTR(own);
        return 0;
}

static int check_own_members(const JsonValue *own, ApiError *error) {
        const JsonValue *prompts = json_member(own, "prompts"), *requests = json_member(own, "requests");

        if (!prompts == !requests)
                return refuse(error, "missing_required_parameter", "requests",
                              "A batch takes either 'prompts' or 'requests'.");
        if (!cJSON_IsArray(prompts ?: requests))
                return refuse(error, "invalid_type", prompts ? "prompts" : "requests", "Expected an array.");
        if (!(prompts ?: requests)->child || cJSON_GetArraySize(prompts ?: requests) > BATCH_REQUESTS_MAX)
                return refuse(error, "invalid_batch_size", prompts ? "prompts" : "requests",
                              "A batch takes 1 to 1000 requests.");
        if (json_has(own, "metadata") && !json_get_object(own, "metadata"))
                return refuse(error, "invalid_type", "metadata", "Expected an object of strings.");
        return 0;
}

/* What an entry of the list says of its own, as an object that is the caller's. */
static int read_entry(const JsonValue *entry, JsonValue **ret, ApiError *error) {
        if (cJSON_IsObject(entry)) {
                *ret = cJSON_Duplicate(entry, true);
                return *ret ? 0 : -ENOMEM;
        }
        *ret = NULL;
        return refuse(error, "invalid_type", NULL, "Expected an object.");
}

static int read_prompt(const JsonValue *entry, JsonValue **ret, ApiError *error) {
        const char *prompt = cJSON_GetStringValue(entry);

        *ret = NULL;
        if (!prompt)
                return refuse(error, "invalid_type", NULL, "Expected a string.");
        *ret = json_new_object();
        return json_add_string(*ret, "prompt", prompt);
}

/* Takes the custom_id of a request out of it. */
static int take_custom_id(JsonValue *request, JsonValue *item, ApiError *error) {
        JsonValue *id = cJSON_DetachItemFromObjectCaseSensitive(request, "custom_id");

        if (!id)
                return 0;
        if (cJSON_IsString(id))
                return json_add(item, "custom_id", id);
        (void) json_free(id);
        return refuse(error, "invalid_type", "custom_id", "Expected a string.");
}

/* A request has what it says of its own, and else what all have in common. */
static int complete(JsonValue *request, const JsonValue *common) {
        int r = 0;

        for (const JsonValue *member = common->child; member && r >= 0; member = member->next)
                if (!json_member(request, member->string))
                        r = json_add(request, member->string, cJSON_Duplicate(member, true));
        return r;
}

static int check_request(JsonValue *request, ApiError *error) {
        for (size_t i = 0; i < ELEMENTS(foreign_members); i++)
                if (json_has(request, foreign_members[i]))
                        return refuse(error, "unknown_parameter", foreign_members[i],
                                      "A batch does not take it: its images are fetched by their links.");
        return image_request_check(request, error);
}

static int build_item(const JsonValue *entry, bool prompts, const JsonValue *common, JsonValue **ret,
                      ApiError *error) {
        _cleanup_(json_freep) JsonValue *item = json_new_object(), *request = NULL;
        int r;

        r = prompts ? read_prompt(entry, &request, error) : read_entry(entry, &request, error);
        if (r == 0)
                r = take_custom_id(request, item, error);
        if (r == 0)
                r = complete(request, common);
        if (r == 0)
                r = check_request(request, error);
        if (r == 0)
                r = json_add(item, "request", TAKE_PTR(request));
        if (r == 0)
                *ret = TAKE_PTR(item);
        return r;
}

/* What the common part adds to the body when each request has it: judged before any of that is built. */
static int check_bytes(const JsonValue *common, int count, size_t size, ApiError *error) {
        _cleanup_free_ char *text = json_format(common);

        if (!text)
                return -ENOMEM;
        if (size + (size_t) count * (strlen(text) + REQUEST_BYTES_EXTRA) <= BATCH_BYTES_MAX)
                return 0;
        api_error_set(error, 413, ERROR_TYPE_REQUEST, "batch_too_large", NULL,
                      "The batch's requests, each with what they have in common, are larger than 3 MiB together. Send "
                      "it as several batches.");
        return BATCH_REQUEST_INVALID;
}

static int build_items(const JsonValue *own, const JsonValue *common, JsonValue *items, ApiError *error) {
        bool prompts = json_has(own, "prompts");
        const JsonValue *list = json_get_array(own, prompts ? "prompts" : "requests"), *entry;
        size_t number = 0;
        int r;

        cJSON_ArrayForEach(entry, list) {
                JsonValue *item = NULL;

                number++;
                r = build_item(entry, prompts, common, &item, error);
                if (r > 0)
                        return refuse_item(error, prompts ? "prompts" : "requests", number);
                if (r >= 0)
                        r = json_append(items, item);
                if (r < 0)
                        return r;
        }
        return 0;
}

int batch_request_parse(const char *text, size_t size, JsonValue **ret, ApiError *error) {
        _cleanup_(json_freep) JsonValue *common = NULL, *own = NULL, *batch = json_new_object();
        JsonValue *items = json_new_array();
        int r;

        r = json_add(batch, "items", items);
        if (r >= 0)
                r = image_request_parse_object(text, size, &common, error);
        if (r == 0)
                r = take_own_members(common, &own, error);
        if (r == 0)
                r = check_own_members(own, error);
        if (r == 0)
                r = check_bytes(common, cJSON_GetArraySize(json_member(own, "prompts") ?: json_member(own, "requests")),
                                size, error);
        if (r == 0)
                r = build_items(own, common, items, error);
        if (r == 0 && json_has(own, "metadata"))
                r = json_add(batch, "metadata", cJSON_DetachItemFromObjectCaseSensitive(own, "metadata"));
        if (r == 0)
                *ret = TAKE_PTR(batch);
        return r;
}
