// The conformance plugin: does what its settings say, as tests/conformance/README.md describes.

#include <stdlib.h>
#include <string.h>

#include "trackside.h"

enum { MAX_SELECTORS = 64, MAX_FILES = 16, MAX_NOTES = 4096, MAX_PARTS = 64, MAX_ARGUMENTS = 64, MAX_HEADERS = 16 };

// Kept from `ts_configure`: the script as it is written, which each message reads anew.
static ts_text script = {"[]", 2};
static ts_selector selectors[MAX_SELECTORS];
static ts_text files[MAX_FILES];
static ts_text routes;
static uint64_t handled;

// ---- Settings --------------------------------------------------------------------------------------------------------

// The elements of a list of texts. Returns how many, of which as many as there is room for were written.
static size_t texts_of(const ts_json *list, ts_text *texts, size_t room) {
  size_t count = 0;
  for (const ts_json *item = list->first; item != NULL && count < room; item = item->next) texts[count++] = item->text;
  return count;
}

static bool compile_all(const ts_json *paths, ts_text *error) {
  size_t number = 0;
  for (const ts_json *list = paths == NULL ? NULL : paths->first; list != NULL; list = list->next) {
    ts_text *texts = ts_alloc(list->count * sizeof *texts);
    size_t count = texts_of(list, texts, list->count);
    if (number == MAX_SELECTORS) ts_trap();
    if (!ts_compile(texts, count, &selectors[number++], error)) return false;
  }
  return true;
}

static bool check_all(const ts_json *wanted, ts_text *error) {
  const ts_text *declared;
  size_t count = ts_routes(&declared);
  ts_text joined = TS("");
  for (size_t i = 0; i < count; i++) {
    joined = ts_format("%.*s%s%.*s", TS_ARG(joined), i == 0 ? "" : " ", TS_ARG(declared[i]));
  }
  routes = ts_keep(joined);
  for (const ts_json *route = wanted == NULL ? NULL : wanted->first; route != NULL; route = route->next) {
    size_t i = 0;
    while (i < count && !ts_equal(declared[i], route->text)) i++;
    if (i == count) {
      *error = ts_format("no route %.*s", TS_ARG(route->text));
      return false;
    }
  }
  return true;
}

static bool read_all(const ts_json *paths, ts_text *error) {
  size_t number = 0;
  for (const ts_json *path = paths == NULL ? NULL : paths->first; path != NULL; path = path->next) {
    ts_text content;
    if (number == MAX_FILES) ts_trap();
    if (!ts_read_file(path->text, &content, error)) return false;
    files[number++] = ts_keep(content);
  }
  return true;
}

bool ts_configure(const ts_json *settings, ts_text *error) {
  static const char *const keys[] = {"refuse", "paths", "check-routes", "files", "script", NULL};
  if (!ts_settings_only(settings, keys, error)) return false;
  const ts_json *refuse = ts_json_get(settings, "refuse");
  if (refuse != NULL) {
    *error = refuse->text;
    return false;
  }
  const ts_json *steps = ts_json_get(settings, "script");
  if (steps != NULL) script = ts_keep(steps->raw);
  return compile_all(ts_json_get(settings, "paths"), error) &&
         check_all(ts_json_get(settings, "check-routes"), error) && read_all(ts_json_get(settings, "files"), error);
}

// ---- Notes -----------------------------------------------------------------------------------------------------------

typedef struct run {
  ts_text notes[MAX_NOTES];
  size_t note_count;
  ts_part parts[MAX_PARTS];
  size_t part_count;
} run;

static void note(run *run, ts_text text) {
  if (run->note_count == MAX_NOTES) ts_trap();
  run->notes[run->note_count++] = text;
}

static ts_text joined(const run *run) {
  size_t length = 0;
  for (size_t i = 0; i < run->note_count; i++) length += run->notes[i].len + 1;
  char *text = ts_alloc(length), *at = text;
  for (size_t i = 0; i < run->note_count; i++) {
    if (i > 0) *at++ = '\n';
    if (run->notes[i].len > 0) memcpy(at, run->notes[i].ptr, run->notes[i].len);
    at += run->notes[i].len;
  }
  return (ts_text){text, (size_t)(at - text)};
}

static void note_edit(run *run, bool well, ts_text error) {
  note(run, well ? TS("ok") : ts_format("error: %.*s", TS_ARG(error)));
}

static void note_replacement(run *run, bool well, ts_payload_error error) {
  const char *kind = error.is_limit ? "limit" : "not-json";
  note(run, well ? TS("ok") : ts_format("%s: %.*s", kind, TS_ARG(error.text)));
}

// ---- Steps -----------------------------------------------------------------------------------------------------------

static size_t number_of(ts_text text) { return strtoul(ts_format("%.*s", TS_ARG(text)).ptr, NULL, 10); }

static const char *const kinds[] = {"null", "boolean", "number", "text", "json", "remove"};

static ts_value value_of(ts_text kind, ts_text spelling) {
  ts_value value = {.kind = TS_NULL, .boolean = ts_equal(spelling, TS("true")), .text = spelling};
  while (value.kind < TS_REMOVE && !ts_equal(kind, ts_of(kinds[value.kind]))) value.kind++;
  return value;
}

static void select_step(run *run, ts_selector selector) {
  const ts_match *matches;
  size_t count;
  ts_payload_error error;
  if (!ts_select(selector, &matches, &count, &error)) return note_replacement(run, false, error);
  for (size_t i = 0; i < count; i++) {
    ts_value value = matches[i].value;
    if (value.kind == TS_BOOLEAN) value.text = value.boolean ? TS("true") : TS("false");
    const char *space = value.kind == TS_NULL ? "" : " ";
    note(run, ts_format("%u %s%s%.*s", (unsigned)matches[i].path, kinds[value.kind], space, TS_ARG(value.text)));
  }
}

static void replace_step(run *run, ts_selector selector, const ts_text *pairs, size_t count) {
  ts_value *values = ts_alloc(count * sizeof *values);
  for (size_t i = 0; i < count; i++) values[i] = value_of(pairs[2 * i], pairs[2 * i + 1]);
  ts_payload_error error = {0};
  note_replacement(run, ts_replace(selector, values, count, &error), error);
}

static void replace_all_step(run *run, ts_selector selector, ts_value value) {
  const ts_match *matches;
  size_t count;
  ts_payload_error error = {0};
  if (!ts_select(selector, &matches, &count, &error)) return note_replacement(run, false, error);
  ts_value *values = ts_alloc(count * sizeof *values);
  for (size_t i = 0; i < count; i++) values[i] = value;
  note_replacement(run, ts_replace(selector, values, count, &error), error);
}

static void part_step(run *run, const ts_text *arguments, size_t count) {
  if (run->part_count == MAX_PARTS) ts_trap();
  ts_part *part = &run->parts[run->part_count++];
  ts_header *headers = ts_alloc(MAX_HEADERS * sizeof *headers);
  *part = (ts_part){.payload = arguments[0], .headers = headers, .route = arguments[1]};
  for (size_t i = 2; i + 1 < count && part->header_count < MAX_HEADERS; i += 2) {
    headers[part->header_count++] = (ts_header){arguments[i], arguments[i + 1]};
  }
}

static ts_text repeated(ts_text text, size_t count) {
  char *copies = ts_alloc(text.len * count);
  for (size_t i = 0; i < count; i++) memcpy(copies + i * text.len, text.ptr, text.len);
  return (ts_text){copies, text.len * count};
}

static ts_level level_of(ts_text name) {
  static const char *const names[] = {"trace", "debug", "info", "warn"};
  ts_level level = TS_TRACE;
  while (level < TS_ERROR && !ts_equal(name, ts_of(names[level]))) level++;
  return level;
}

// Whether a step is this one, with as many arguments as it needs.
#define STEP(literal, needed) (ts_equal(name, TS(literal)) && count >= (needed))

// Takes a step that reads or changes the message. False if it is none of these.
static bool take(run *run, ts_text name, const ts_text *arguments, size_t count) {
  static const char *const origins[] = {"jetstream", "core", "sidecar", "trial"};
  ts_text error = {0}, value;
  if (STEP("note", 1)) {
    note(run, arguments[0]);
  } else if (STEP("subject", 0)) {
    note(run, ts_subject());
  } else if (STEP("id", 0)) {
    note(run, ts_id());
  } else if (STEP("origin", 0)) {
    note(run, ts_of(origins[ts_message_origin()]));
  } else if (STEP("timestamp", 0)) {
    note(run, ts_format("%llu", (unsigned long long)ts_timestamp()));
  } else if (STEP("delivery", 0)) {
    note(run, ts_format("%u", (unsigned)ts_delivery()));
  } else if (STEP("payload-len", 0)) {
    note(run, ts_format("%zu", ts_payload_len()));
  } else if (STEP("payload", 0)) {
    note(run, ts_payload());
  } else if (STEP("count", 0)) {
    note(run, ts_format("%llu", (unsigned long long)handled));
  } else if (STEP("routes", 0)) {
    note(run, routes);
  } else if (STEP("file", 1)) {
    note(run, files[number_of(arguments[0])]);
  } else if (STEP("get-header", 1)) {
    note(run, ts_get_header(arguments[0], &value) ? value : TS("none"));
  } else if (STEP("headers", 0)) {
    const ts_header *headers;
    size_t there = ts_headers(&headers);
    for (size_t i = 0; i < there; i++) {
      note(run, ts_format("%.*s=%.*s", TS_ARG(headers[i].name), TS_ARG(headers[i].value)));
    }
  } else if (STEP("set-header", 2)) {
    bool well = ts_set_header(arguments[0], arguments[1], &error);
    note_edit(run, well, error);
  } else if (STEP("append-header", 2)) {
    bool well = ts_append_header(arguments[0], arguments[1], &error);
    note_edit(run, well, error);
  } else if (STEP("remove-header", 1)) {
    ts_remove_header(arguments[0]);
  } else if (STEP("set-payload", 1)) {
    ts_set_payload(arguments[0]);
  } else if (STEP("repeat-payload", 1)) {
    ts_set_payload(repeated(ts_payload(), number_of(arguments[0])));
  } else if (STEP("fill-payload", 2)) {
    ts_set_payload(repeated(arguments[1], number_of(arguments[0])));
  } else if (STEP("select", 1)) {
    select_step(run, selectors[number_of(arguments[0])]);
  } else if (STEP("replace", 1)) {
    replace_step(run, selectors[number_of(arguments[0])], arguments + 1, (count - 1) / 2);
  } else if (STEP("replace-all", 3)) {
    replace_all_step(run, selectors[number_of(arguments[0])], value_of(arguments[1], arguments[2]));
  } else if (STEP("log", 2)) {
    ts_log(level_of(arguments[0]), arguments[1]);
  } else if (STEP("report", 0)) {
    ts_set_payload(joined(run));
  } else if (STEP("part", 2)) {
    part_step(run, arguments, count);
  } else if (STEP("trap", 0)) {
    ts_trap();
  } else if (STEP("loop", 0)) {
    for (volatile int i = 0;; i++) {
    }
  } else if (STEP("hog", 0)) {
    for (;;) memset(ts_alloc(1 << 20), 1, 1 << 20);
  } else {
    return false;
  }
  return true;
}

// Ends the script.
static ts_outcome end(run *run, ts_text name, const ts_text *arguments, size_t count) {
  if (STEP("split", 0)) return ts_split(run->parts, run->part_count);
  if (STEP("forward", 0)) return ts_forward();
  if (STEP("route", 0)) return ts_route_all(arguments, count);
  if (STEP("drop", 1)) return ts_drop(arguments[0]);
  if (STEP("reject", 1)) return ts_reject(arguments[0]);
  if (STEP("retry", 2)) return ts_retry_after(arguments[0], (uint32_t)number_of(arguments[1]));
  if (STEP("retry", 1)) return ts_retry(arguments[0]);
  if (STEP("fatal", 1)) return ts_fatal(arguments[0]);
  return ts_fatal(ts_format("no such step: %.*s", TS_ARG(name)));
}

ts_outcome ts_handle(void) {
  handled++;
  ts_text error;
  const ts_json *steps = ts_json_read(script, &error);
  if (steps == NULL) return ts_fatal(error);
  run *run = ts_alloc(sizeof *run);
  run->note_count = run->part_count = 0;
  for (const ts_json *step = steps->first; step != NULL; step = step->next) {
    ts_text words[MAX_ARGUMENTS];
    size_t count = texts_of(step, words, MAX_ARGUMENTS);
    if (count == 0) return ts_fatal(TS("a step without a name"));
    if (!take(run, words[0], words + 1, count - 1)) return end(run, words[0], words + 1, count - 1);
  }
  return ts_forward();
}
