// Write a Trackside plugin in C: define `ts_configure` and `ts_handle`, and call the rest.
//
// Memory: whatever a function of this header gives you, and whatever `ts_alloc` does, lives until the call that you are
// in (`ts_configure` or `ts_handle`) has ended, and goes by itself then. What has to live longer, such as settings, is
// copied by `ts_keep`.
//
// Text and bytes are a pointer and a length. They are not ended by a zero, and text is UTF-8.
#ifndef TRACKSIDE_H
#define TRACKSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trackside_json.h"
#include "trackside_text.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- What a plugin defines -------------------------------------------------------------------------------------------

typedef struct ts_outcome ts_outcome;

// Called once for each instance, before any message, with the stage's `with` table. Returns false with an error for the
// rule's author to read; one that begins with a key, as in `fields[0].path: …`, is shown with a caret under that key.
bool ts_configure(const ts_json *settings, ts_text *error);

// Called once for each message, which the functions below then are about.
ts_outcome ts_handle(void);

// ---- What becomes of the message -------------------------------------------------------------------------------------

typedef struct ts_header {
  ts_text name;
  ts_text value;
} ts_header;

// One part of a message that was split.
typedef struct ts_part {
  ts_text payload;
  const ts_header *headers;  // in place of the message's
  size_t header_count;
  ts_text route;  // a route of the rule; empty hands the part to the next stage
} ts_part;

typedef enum ts_outcome_kind {
  TS_FORWARD,
  TS_ROUTE,
  TS_SPLIT,
  TS_DROP,
  TS_REJECT,
  TS_RETRY,
  TS_FATAL,
} ts_outcome_kind;

// Made by the functions below; a test looks inside.
struct ts_outcome {
  ts_outcome_kind kind;
  ts_text reason;
  const ts_text *routes;
  const ts_part *parts;
  size_t count;  // of routes or parts
  bool has_delay;
  uint32_t delay_ms;
};

// Hand the message to the next stage; after the last one it takes the route `default`.
ts_outcome ts_forward(void);
// Publish it to this route, or these, of the rule and skip the stages that are left.
ts_outcome ts_route(ts_text route);
ts_outcome ts_route_all(const ts_text *routes, size_t count);
// Put these in its place. None at all drops the message.
ts_outcome ts_split(const ts_part *parts, size_t count);
// Acknowledge it and go no further: why.
ts_outcome ts_drop(ts_text reason);
// It can never succeed: dead-letter it. The reason is logged and kept, so it must show nothing of the payload.
ts_outcome ts_reject(ts_text reason);
// It may succeed later: when the rule's back-off says, or after so many milliseconds.
ts_outcome ts_retry(ts_text reason);
ts_outcome ts_retry_after(ts_text reason, uint32_t milliseconds);
// The plugin itself cannot go on: throw this instance away.
ts_outcome ts_fatal(ts_text reason);

// ---- The message, during `ts_handle` ---------------------------------------------------------------------------------

typedef enum ts_origin { TS_JETSTREAM, TS_CORE, TS_SIDECAR, TS_TRIAL } ts_origin;

// The subject it was published to, for example `orders.eu.created`.
ts_text ts_subject(void);
// Its identity, stable across redeliveries and replays.
ts_text ts_id(void);
// Which kind of source it came from.
ts_origin ts_message_origin(void);
// The message's own time, in milliseconds since the Unix epoch.
uint64_t ts_timestamp(void);
// 1 on the first delivery.
uint32_t ts_delivery(void);

// The first value of this header, without regard to the name's case; false if there is none.
bool ts_get_header(ts_text name, ts_text *value);
// All headers; the values of one name are in wire order. Returns how many.
size_t ts_headers(const ts_header **headers);
// Replaces every header of this name, or adds one and keeps the others. False, with an error, for what NATS cannot carry
// and for names that begin with `Nats-` or `Trackside-`.
bool ts_set_header(ts_text name, ts_text value, ts_text *error);
bool ts_append_header(ts_text name, ts_text value, ts_text *error);
// Removes every header of this name; none is fine.
void ts_remove_header(ts_text name);

// The payload. Copies it into the sandbox: prefer `ts_select`.
ts_text ts_payload(void);
// Its length in bytes, without a copy.
size_t ts_payload_len(void);
// Replaces the whole payload.
void ts_set_payload(ts_text bytes);

// ---- JSON of the payload, by JSONPath (RFC 9535) ---------------------------------------------------------------------

typedef enum ts_value_kind {
  TS_NULL,
  TS_BOOLEAN,
  TS_NUMBER,  // in its original spelling, so that no digit is lost
  TS_TEXT,    // unescaped
  TS_JSON,    // an object or array
  TS_REMOVE,  // for `ts_replace`: takes the member or element out
} ts_value_kind;

typedef struct ts_value {
  ts_value_kind kind;
  bool boolean;
  ts_text text;  // of a number, a text or JSON
} ts_value;

typedef struct ts_match {
  uint32_t path;  // which of the selector's paths matched here
  ts_value value;
} ts_match;

typedef struct ts_payload_error {
  bool is_limit;  // a limit of the host was met; otherwise the payload is not well-formed JSON
  ts_text text;
} ts_payload_error;

// A set of paths, compiled once, in `ts_configure`.
typedef struct ts_selector {
  int32_t handle;
} ts_selector;

bool ts_compile(const ts_text *paths, size_t count, ts_selector *selector, ts_text *error);
// Every match, in document order, duplicates of a key included.
bool ts_select(ts_selector selector, const ts_match **matches, size_t *count, ts_payload_error *error);
// Replaces the places that the selector matches now, one value each in the order of `ts_select`. Bytes outside stay as
// they are.
bool ts_replace(ts_selector selector, const ts_value *values, size_t count, ts_payload_error *error);
// Refuses a message whose payload cannot be read, which it could not later either.
ts_outcome ts_reject_payload(ts_payload_error error);

// ---- What `ts_configure` may ask for ---------------------------------------------------------------------------------

// The names of the routes that the rule declares. Returns how many.
size_t ts_routes(const ts_text **routes);
// Whether the rule has a route; the error says which it has.
bool ts_check_route(ts_text route, ts_text *error);
// Reads a file of the configuration directory, by its path from there.
bool ts_read_file(ts_text path, ts_text *content, ts_text *error);

// ---- The host's log --------------------------------------------------------------------------------------------------

typedef enum ts_level { TS_TRACE, TS_DEBUG, TS_INFO, TS_WARN, TS_ERROR } ts_level;

void ts_log(ts_level level, ts_text line);

#ifdef __cplusplus
}
#endif
#endif
