// The SDK natively: the reader of settings, memory, and the host that tests play.

#include <string.h>

#include "testing/trackside_test.h"

// The plugin of these tests: replaces what `$.a` and `$.list[*]` find by what `values` says.
static ts_selector selector;
static ts_value values[8];
static size_t value_count;

bool ts_configure(const ts_json *settings, ts_text *error) {
  static const ts_text paths[] = {TS("$.a"), TS("$.list[*]")};
  (void)settings;
  return ts_compile(paths, 2, &selector, error);
}

ts_outcome ts_handle(void) {
  ts_payload_error error;
  if (!ts_replace(selector, values, value_count, &error)) return ts_reject_payload(error);
  return ts_forward();
}

static const ts_json *read(const char *document) {
  ts_text error;
  const ts_json *found = ts_json_read(ts_of(document), &error);
  if (found == NULL) fprintf(stderr, "%s: %.*s\n", document, TS_ARG(error));
  TS_CHECK(found != NULL);
  return found;
}

static void values_of_every_kind_are_read(void) {
  const ts_json *list = read(" [null, true, false, -1.5e+3, \"x\", [], {}] ");
  static const ts_json_kind kinds[] = {TS_JSON_NULL, TS_JSON_BOOLEAN, TS_JSON_BOOLEAN, TS_JSON_NUMBER,
                                       TS_JSON_TEXT, TS_JSON_LIST,    TS_JSON_TABLE};
  TS_CHECK(list->count == 7);
  const ts_json *item = list->first;
  for (size_t i = 0; i < 7; i++, item = item->next) TS_CHECK(item->kind == kinds[i]);
  TS_CHECK_TEXT(list->first->next->next->next->text, "-1.5e+3");
}

static void escapes_become_what_they_stand_for(void) {
  TS_CHECK_TEXT(read("\"\\u00e9\\ud83e\\udd80\\\"\\\\\\/\\b\\f\\n\\r\\t\\u6f22\"")->text, "é🦀\"\\/\b\f\n\r\t漢");
  TS_CHECK_TEXT(ts_json_get(read("{\"c\\u0061rd\":\"x\"}"), "card")->text, "x");
  TS_CHECK(read("\"a\\u0000b\"")->text.len == 3);
}

static void what_is_no_json_is_refused_with_the_place(void) {
  static const char *const wrong[] = {
      "",        "[1,]",      "{\"a\":1,}", "{a:1}",  "[1 2]",     "01",       "1.",     "-",      "1e",     "tru",
      "\"a",     "\"\\x\"",   "\"\\ud800\"", "\"\\u12\"", "\"\\ud800\\u0041\"", "\"\t\"", "[\"\\\"]", "nul", "[",   "{\"a\"}",
      "1 2",     "\"\\",      "\"\\u\"",     "{\"a\":}",
  };
  ts_text error;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    // A copy of just that length, so that the sanitizer sees a read past its end.
    size_t length = strlen(wrong[i]);
    char *copy = malloc(length + (length == 0));
    memcpy(copy, wrong[i], length);
    bool refused = ts_json_read((ts_text){copy, length}, &error) == NULL;
    free(copy);
    if (!refused) fprintf(stderr, "%s\n", wrong[i]);
    TS_CHECK(refused);
  }
  TS_CHECK(ts_json_read(TS("[1,]"), &error) == NULL);
  TS_CHECK_TEXT(error, "byte 3: expected a value");
}

static void nesting_is_bounded(void) {
  char document[2 * TS_JSON_MAX_DEPTH + 5];
  ts_text error;
  memset(document, '[', TS_JSON_MAX_DEPTH + 1);
  memset(document + TS_JSON_MAX_DEPTH + 1, ']', TS_JSON_MAX_DEPTH + 1);
  TS_CHECK(ts_json_read((ts_text){document, 2 * (TS_JSON_MAX_DEPTH + 1)}, &error) != NULL);
  memset(document, '[', TS_JSON_MAX_DEPTH + 2);
  memset(document + TS_JSON_MAX_DEPTH + 2, ']', TS_JSON_MAX_DEPTH + 2);
  TS_CHECK(ts_json_read((ts_text){document, 2 * (TS_JSON_MAX_DEPTH + 2)}, &error) == NULL);
}

static void settings_are_read_by_kind_and_errors_name_the_key(void) {
  static const char *const keys[] = {"n", "i", "t", "b", NULL};
  const ts_json *settings = read("{\"n\":1.5,\"i\":-7,\"t\":\"x\",\"b\":true}");
  ts_text error, text;
  double number;
  int64_t integer;
  bool boolean;
  TS_CHECK(ts_settings_only(settings, keys, &error));
  TS_CHECK(ts_settings_number(settings, "n", &number, &error) && number == 1.5);
  TS_CHECK(ts_settings_integer(settings, "i", &integer, &error) && integer == -7);
  TS_CHECK(ts_settings_text(settings, "t", &text, &error) && ts_equal(text, TS("x")));
  TS_CHECK(ts_settings_boolean(settings, "b", &boolean, &error) && boolean);
  TS_CHECK(!ts_settings_integer(settings, "n", &integer, &error));
  TS_CHECK_TEXT(error, "n: must be a whole number of at most 64 bits");
  TS_CHECK(!ts_settings_text(settings, "i", &text, &error));
  TS_CHECK_TEXT(error, "i: must be text, not a number");
  TS_CHECK(!ts_settings_text(settings, "missing", &text, &error));
  TS_CHECK_TEXT(error, "`missing` is missing");
  TS_CHECK(!ts_settings_only(settings, keys + 1, &error));
  TS_CHECK_TEXT(error, "n: there is no such setting");
  TS_CHECK(!ts_settings_only(read("[]"), keys, &error));
  TS_CHECK_TEXT(error, "the settings must be a table, not a list");
}

static void memory_of_a_call_is_given_up_and_what_is_kept_stays(void) {
  ts_text kept = ts_keep(ts_format("%s %d", "kept", 1));
  for (int call = 0; call < 1000; call++) {
    memset(ts_alloc(100000), call, 100000);
    memset(ts_alloc(10), call, 10);
    ts_end_call();
  }
  TS_CHECK_TEXT(kept, "kept 1");
}

static void check_replacing(const char *payload, const char *expected) {
  ts_test_message message = ts_test_message_of(payload);
  TS_CHECK(ts_test_handle(&message).kind == TS_FORWARD);
  TS_CHECK_TEXT(message.payload, expected);
}

static void the_test_host_replaces_as_the_real_one_does(void) {
  ts_text error;
  ts_test_begin();
  TS_CHECK(ts_test_configure("{}", &error));
  value_count = 1;
  values[0] = (ts_value){.kind = TS_TEXT, .text = TS("say \"hi\"")};
  check_replacing("{ \"a\" : 1, \"b\": 2 }", "{ \"a\" : \"say \\\"hi\\\"\", \"b\": 2 }");
  values[0] = (ts_value){.kind = TS_REMOVE};
  check_replacing("{\"a\":1,\"b\":2}", "{\"b\":2}");
  check_replacing("{\"b\":2, \"a\":1}", "{\"b\":2}");
  check_replacing("{\"a\":1}", "{}");
  value_count = 3;
  values[1] = values[2] = values[0];
  check_replacing("{\"list\":[1,2,3]}", "{\"list\":[]}");
  ts_test_message message = ts_test_message_of("{\"a\":}");
  ts_outcome outcome = ts_test_handle(&message);
  TS_CHECK(outcome.kind == TS_REJECT);
  TS_CHECK_TEXT(outcome.reason, "the payload is not JSON: byte 5: expected a value");
}

int main(void) {
  values_of_every_kind_are_read();
  escapes_become_what_they_stand_for();
  what_is_no_json_is_refused_with_the_place();
  nesting_is_bounded();
  settings_are_read_by_kind_and_errors_name_the_key();
  memory_of_a_call_is_given_up_and_what_is_kept_stays();
  the_test_host_replaces_as_the_real_one_does();
  puts("ok");
  return 0;
}
