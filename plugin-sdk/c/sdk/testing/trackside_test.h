// Tests of a plugin on your own machine, with no WebAssembly: link the plugin's files, the SDK's `*.c` (not those of
// `bindings/`) and `testing/trackside_test.c`, which plays the host.
//
// It knows the paths `$`, `.name`, `['name']`, `[0]`, `[*]` and `.*`, and says so about others: try those in the real
// sandbox, by `trackside plugin test`.
#ifndef TRACKSIDE_TEST_H
#define TRACKSIDE_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "../trackside.h"

enum { TS_TEST_MAX_HEADERS = 64, TS_TEST_MAX_LOG = 64 };

typedef struct ts_test_line {
  ts_level level;
  ts_text text;
} ts_test_line;

// What the plugin is about to be given, and after `ts_test_handle` what it has made of it.
typedef struct ts_test_message {
  ts_text subject;
  ts_text id;
  ts_origin origin;
  uint64_t timestamp;
  uint32_t delivery;
  ts_text payload;
  ts_header headers[TS_TEST_MAX_HEADERS];
  size_t header_count;
} ts_test_message;

// Begins a test: no routes, no files. Ends all memory that the test before was given.
void ts_test_begin(void);
// What the rule and the configuration directory offer to `ts_configure`.
void ts_test_route(const char *name);
void ts_test_file(const char *path, const char *content);
// Configures the plugin from a `with` table in JSON.
bool ts_test_configure(const char *settings, ts_text *error);

// A message with this payload: on subject `test`, first delivery, from JetStream, at the time 0, without headers.
ts_test_message ts_test_message_of(const char *payload);
// Hands the plugin a message.
ts_outcome ts_test_handle(ts_test_message *message);
// What it logged meanwhile. Returns how many lines.
size_t ts_test_log(const ts_test_line **lines);

// Ends the program with the line that is wrong.
#define TS_CHECK(condition)                                                    \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);  \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)
#define TS_CHECK_TEXT(text, expected)                                                                             \
  do {                                                                                                            \
    ts_text ts_is = (text);                                                                                       \
    if (!ts_equal(ts_is, ts_of(expected))) {                                                                      \
      fprintf(stderr, "%s:%d: it is\n  %.*s\nand not\n  %s\n", __FILE__, __LINE__, TS_ARG(ts_is), (expected));     \
      exit(1);                                                                                                    \
    }                                                                                                             \
  } while (0)

#endif
