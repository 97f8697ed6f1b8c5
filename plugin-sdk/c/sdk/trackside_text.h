// Text as a pointer and a length, and memory that goes when the call has ended.
#ifndef TRACKSIDE_TEXT_H
#define TRACKSIDE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_text {
  const char *ptr;
  size_t len;
} ts_text;

// A literal: TS("orders").
#define TS(literal) ((ts_text){"" literal, sizeof(literal) - 1})

// A text that ends with a zero, without a copy.
ts_text ts_of(const char *zero_terminated);
bool ts_equal(ts_text a, ts_text b);
// As `printf` has it, in memory of this call. `%.*s` takes a text: TS_ARG(text).
ts_text ts_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define TS_ARG(text) (int)(text).len, (text).ptr
// A copy for good, which nothing frees.
ts_text ts_keep(ts_text text);
// Memory of this call, aligned for any type. Traps when there is none.
void *ts_alloc(size_t bytes);
// Ends the call as the language does.
_Noreturn void ts_trap(void);

// For the SDK itself and for tests: gives up all memory of the call.
void ts_end_call(void);

#ifdef __cplusplus
}
#endif
#endif
