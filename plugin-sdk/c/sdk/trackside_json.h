// A reader for settings and other small JSON, which C has none of. It takes RFC 8259, at most TS_JSON_MAX_DEPTH levels
// deep; what it reads lives until the call has ended. For payloads there is `ts_select`, which reads them in the host.
#ifndef TRACKSIDE_JSON_H
#define TRACKSIDE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trackside_text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TS_JSON_MAX_DEPTH = 64 };

typedef enum ts_json_kind {
  TS_JSON_NULL,
  TS_JSON_BOOLEAN,
  TS_JSON_NUMBER,
  TS_JSON_TEXT,
  TS_JSON_LIST,
  TS_JSON_TABLE,
} ts_json_kind;

typedef struct ts_json ts_json;

struct ts_json {
  ts_json_kind kind;
  bool boolean;
  ts_text text;    // a text, unescaped, or a number's spelling
  ts_text raw;     // how it is written in the document
  ts_text member;  // the same with its key, if it is a member of a table
  ts_text key;     // that key, unescaped
  size_t count;    // elements of a list, members of a table
  const ts_json *first;
  const ts_json *next;  // its neighbour in the list or table
};

// Reads a document; NULL, with an error, for what is none.
const ts_json *ts_json_read(ts_text document, ts_text *error);

// The first member of this name; NULL if there is none, or this is no table.
const ts_json *ts_json_get(const ts_json *table, const char *key);

// Settings: members of the stage's `with` table. Each returns false with an error that begins with the key.

// Whether the table has no other keys than these, which a NULL ends. Call it first: a misspelt key does nothing otherwise.
bool ts_settings_only(const ts_json *settings, const char *const *keys, ts_text *error);
bool ts_settings_text(const ts_json *settings, const char *key, ts_text *value, ts_text *error);
bool ts_settings_number(const ts_json *settings, const char *key, double *value, ts_text *error);
bool ts_settings_integer(const ts_json *settings, const char *key, int64_t *value, ts_text *error);
bool ts_settings_boolean(const ts_json *settings, const char *key, bool *value, ts_text *error);
bool ts_settings_list(const ts_json *settings, const char *key, const ts_json **list, ts_text *error);

#ifdef __cplusplus
}
#endif
#endif
