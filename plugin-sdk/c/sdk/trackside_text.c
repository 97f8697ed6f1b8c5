// Memory of a call: chunks that are filled from the front and given up together. The host passes lists and strings by
// the same allocator, so there is nothing to free one by one.

#include "trackside_text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What most calls need; one such chunk is kept from call to call.
enum { CHUNK_BYTES = 16 * 1024, ALIGNMENT = 16 };

typedef struct chunk {
  struct chunk *next;
  size_t size;
  size_t used;
  size_t padding;  // keeps what follows aligned on 32-bit machines as on 64-bit ones
} chunk;

static chunk *chunks;

static void *allocate(size_t bytes) {
  if (bytes > SIZE_MAX / 2) ts_trap();
  bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (chunks == NULL || chunks->size - chunks->used < bytes) {
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    chunk *fresh = malloc(sizeof(chunk) + size);
    if (fresh == NULL) ts_trap();
    *fresh = (chunk){.next = chunks, .size = size};
    chunks = fresh;
  }
  void *memory = (char *)(chunks + 1) + chunks->used;
  chunks->used += bytes;
  return memory;
}

void *ts_alloc(size_t bytes) { return allocate(bytes); }

void ts_end_call(void) {
  chunk *kept = NULL;
  while (chunks != NULL) {
    chunk *next = chunks->next;
    if (kept == NULL && chunks->size == CHUNK_BYTES) {
      kept = chunks;
      kept->next = NULL;
      kept->used = 0;
    } else {
      free(chunks);
    }
    chunks = next;
  }
  chunks = kept;
}

// By which the host makes room for what it passes. Takes the place of the bindings' own, which is weak.
#ifdef __wasm__
__attribute__((__export_name__("cabi_realloc")))
#endif
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t new_size) {
  (void)align;  // never more than ALIGNMENT
  if (new_size <= old_size) return old;
  void *memory = allocate(new_size);
  if (old_size > 0) memcpy(memory, old, old_size);
  return memory;
}

ts_text ts_of(const char *text) { return (ts_text){text, strlen(text)}; }

bool ts_equal(ts_text a, ts_text b) { return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0); }

ts_text ts_format(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0) ts_trap();
  char *text = ts_alloc((size_t)length + 1);
  va_start(arguments, format);
  vsnprintf(text, (size_t)length + 1, format, arguments);
  va_end(arguments);
  return (ts_text){text, (size_t)length};
}

ts_text ts_keep(ts_text text) {
  if (text.len == 0) return (ts_text){"", 0};
  char *copy = malloc(text.len);
  if (copy == NULL) ts_trap();
  memcpy(copy, text.ptr, text.len);
  return (ts_text){copy, text.len};
}

_Noreturn void ts_trap(void) { __builtin_trap(); }
