// The host's part of the contract, played in memory: the functions that the bindings import.

#include "trackside_test.h"

#include <string.h>
#include <strings.h>

#include "../bindings/plugin.h"

enum { MAX_ROUTES = 64, MAX_FILES = 16, MAX_SELECTORS = 64, MAX_PATHS = 256, MAX_MATCHES = 1024 };

typedef struct selector {
  ts_text paths[MAX_PATHS];
  size_t count;
} selector;

typedef struct match {
  uint32_t path;
  const ts_json *value;
} match;

static ts_text routes[MAX_ROUTES];
static size_t route_count;
static struct { ts_text path, content; } files[MAX_FILES];
static size_t file_count;
static selector selectors[MAX_SELECTORS];
static size_t selector_count;
static ts_test_line lines[TS_TEST_MAX_LOG];
static size_t line_count;
static ts_test_message *message;

// ---- For tests -------------------------------------------------------------------------------------------------------

static void check_room(size_t count, size_t max, const char *what) {
  if (count < max) return;
  fprintf(stderr, "the test host has no room for more than %zu %s\n", max, what);
  exit(1);
}

void ts_test_begin(void) {
  route_count = file_count = selector_count = line_count = 0;
  ts_end_call();
}

void ts_test_route(const char *name) {
  check_room(route_count, MAX_ROUTES, "routes");
  routes[route_count++] = ts_of(name);
}

void ts_test_file(const char *path, const char *content) {
  check_room(file_count, MAX_FILES, "files");
  files[file_count].path = ts_of(path);
  files[file_count++].content = ts_of(content);
}

bool ts_test_configure(const char *settings, ts_text *error) {
  const ts_json *read = ts_json_read(ts_of(settings), error);
  return read != NULL && ts_configure(read, error);
}

ts_test_message ts_test_message_of(const char *payload) {
  return (ts_test_message){.subject = TS("test"), .id = TS("1"), .delivery = 1, .payload = ts_of(payload)};
}

ts_outcome ts_test_handle(ts_test_message *given) {
  line_count = 0;
  message = given;
  ts_outcome outcome = ts_handle();
  message = NULL;
  return outcome;
}

size_t ts_test_log(const ts_test_line **logged) {
  *logged = lines;
  return line_count;
}

// ---- Message ---------------------------------------------------------------------------------------------------------

static ts_test_message *current(void) {
  if (message != NULL) return message;
  fprintf(stderr, "the plugin asks for the message outside of `ts_handle`, where it would trap\n");
  exit(1);
}

static ts_text text_of(plugin_string_t string) { return (ts_text){(const char *)string.ptr, string.len}; }
static plugin_string_t string_of(ts_text text) { return (plugin_string_t){(uint8_t *)text.ptr, text.len}; }

// The plugin may change or give up what it passed: the message keeps a copy.
static ts_text copy_of(plugin_string_t string) { return ts_keep(text_of(string)); }

void trackside_plugin_message_subject(plugin_string_t *ret) { *ret = string_of(current()->subject); }
void trackside_plugin_message_id(plugin_string_t *ret) { *ret = string_of(current()->id); }
trackside_plugin_message_origin_kind_t trackside_plugin_message_origin(void) {
  return (trackside_plugin_message_origin_kind_t)current()->origin;
}
uint64_t trackside_plugin_message_timestamp(void) { return current()->timestamp; }
uint32_t trackside_plugin_message_delivery(void) { return current()->delivery; }

static bool is_named(ts_text a, ts_text b) { return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0; }

bool trackside_plugin_message_get_header(plugin_string_t *name, plugin_string_t *ret) {
  for (size_t i = 0; i < current()->header_count; i++) {
    if (!is_named(message->headers[i].name, text_of(*name))) continue;
    *ret = string_of(message->headers[i].value);
    return true;
  }
  return false;
}

void trackside_plugin_message_headers(trackside_plugin_message_list_header_t *ret) {
  ret->len = current()->header_count;
  ret->ptr = ts_alloc(ret->len * sizeof *ret->ptr);
  for (size_t i = 0; i < ret->len; i++) {
    ret->ptr[i].name = string_of(message->headers[i].name);
    ret->ptr[i].value = string_of(message->headers[i].value);
  }
}

void trackside_plugin_message_remove_header(plugin_string_t *name) {
  size_t kept = 0;
  for (size_t i = 0; i < current()->header_count; i++) {
    if (!is_named(message->headers[i].name, text_of(*name))) message->headers[kept++] = message->headers[i];
  }
  message->header_count = kept;
}

static bool is_reserved(ts_text name) {
  return (name.len >= 5 && strncasecmp(name.ptr, "Nats-", 5) == 0) ||
         (name.len >= 10 && strncasecmp(name.ptr, "Trackside-", 10) == 0);
}

bool trackside_plugin_message_append_header(plugin_string_t *name, plugin_string_t *value, plugin_string_t *err) {
  current();
  if (is_reserved(text_of(*name))) {
    *err = string_of(ts_format("`%.*s` is a reserved header", TS_ARG(text_of(*name))));
    return false;
  }
  check_room(message->header_count, TS_TEST_MAX_HEADERS, "headers");
  message->headers[message->header_count++] = (ts_header){copy_of(*name), copy_of(*value)};
  return true;
}

bool trackside_plugin_message_set_header(plugin_string_t *name, plugin_string_t *value, plugin_string_t *err) {
  if (is_reserved(text_of(*name))) return trackside_plugin_message_append_header(name, value, err);
  trackside_plugin_message_remove_header(name);
  return trackside_plugin_message_append_header(name, value, err);
}

void trackside_plugin_message_payload(plugin_list_u8_t *ret) {
  *ret = (plugin_list_u8_t){(uint8_t *)current()->payload.ptr, message->payload.len};
}
uint32_t trackside_plugin_message_payload_len(void) { return (uint32_t)current()->payload.len; }
void trackside_plugin_message_set_payload(plugin_list_u8_t *bytes) {
  current()->payload = ts_keep((ts_text){(const char *)bytes->ptr, bytes->len});
}

// ---- Selectors -------------------------------------------------------------------------------------------------------

// The next step of a path: a name, or an index, or any.
typedef struct step {
  ts_text name;
  long index;
  bool any;
} step;

static bool unknown(ts_text path) {
  fprintf(stderr, "the test host does not know the path %.*s: try it by `trackside plugin test`\n", TS_ARG(path));
  exit(1);
}

static bool next_step(ts_text path, const char **at, step *found) {
  const char *end = path.ptr + path.len;
  if (*at == end) return false;
  *found = (step){.index = -1};
  const char *start = *at + 1;
  if (**at == '.') {
    *at = start;
    while (*at < end && **at != '.' && **at != '[') (*at)++;
    found->name = (ts_text){start, (size_t)(*at - start)};
    found->any = ts_equal(found->name, TS("*"));
    return found->name.len > 0 || unknown(path);
  }
  const char *close = **at == '[' ? memchr(*at, ']', (size_t)(end - *at)) : NULL;
  if (close == NULL || close - start < 1) return unknown(path);
  *at = close + 1;
  if (*start == '\'' || *start == '"') {
    found->name = (ts_text){start + 1, (size_t)(close - start) - 2};
  } else if (*start == '*') {
    found->any = true;
  } else if (strspn(start, "0123456789") == (size_t)(close - start)) {
    found->index = strtol(start, NULL, 10);
  } else {
    return unknown(path);
  }
  return true;
}

static void follow(ts_text path, const char *at, uint32_t number, const ts_json *value, match *matches, size_t *count) {
  step next;
  if (!next_step(path, &at, &next)) {
    check_room(*count, MAX_MATCHES, "matches");
    matches[(*count)++] = (match){number, value};
    return;
  }
  long index = 0;
  for (const ts_json *item = value->first; item != NULL; item = item->next, index++) {
    bool fits = next.any || (value->kind == TS_JSON_TABLE && next.index < 0 && ts_equal(item->key, next.name)) ||
                (value->kind == TS_JSON_LIST && next.index == index);
    if (fits) follow(path, at, number, item, matches, count);
  }
}

static int by_place(const void *a, const void *b) {
  const match *left = a, *right = b;
  if (left->value->raw.ptr != right->value->raw.ptr) return left->value->raw.ptr < right->value->raw.ptr ? -1 : 1;
  return left->path < right->path ? -1 : 1;
}

static bool find(int32_t handle, match **matches, size_t *count, trackside_plugin_message_payload_error_t *err) {
  ts_text error;
  const ts_json *payload = ts_json_read(current()->payload, &error);
  if (payload == NULL) {
    err->tag = TRACKSIDE_PLUGIN_MESSAGE_PAYLOAD_ERROR_NOT_JSON;
    err->val.not_json = string_of(error);
    return false;
  }
  *matches = ts_alloc(MAX_MATCHES * sizeof **matches);
  *count = 0;
  const selector *chosen = &selectors[handle];
  for (size_t i = 0; i < chosen->count; i++) {
    follow(chosen->paths[i], chosen->paths[i].ptr + 1, (uint32_t)i, payload, *matches, count);
  }
  qsort(*matches, *count, sizeof **matches, by_place);
  return true;
}

bool trackside_plugin_message_static_selector_compile(plugin_list_string_t *paths,
                                                      trackside_plugin_message_own_selector_t *ret,
                                                      plugin_string_t *err) {
  check_room(selector_count, MAX_SELECTORS, "selectors");
  check_room(paths->len, MAX_PATHS + 1, "paths");
  selector *made = &selectors[selector_count];
  made->count = paths->len;
  for (size_t i = 0; i < paths->len; i++) {
    if (paths->ptr[i].len == 0 || paths->ptr[i].ptr[0] != '$') {
      *err = string_of(ts_format("`%.*s` does not begin with `$`", TS_ARG(text_of(paths->ptr[i]))));
      return false;
    }
    made->paths[i] = copy_of(paths->ptr[i]);
  }
  ret->__handle = (int32_t)selector_count++;
  return true;
}

bool trackside_plugin_message_select(trackside_plugin_message_borrow_selector_t selector,
                                     trackside_plugin_message_list_match_t *ret,
                                     trackside_plugin_message_payload_error_t *err) {
  match *matches;
  if (!find(selector.__handle, &matches, &ret->len, err)) return false;
  ret->ptr = ts_alloc(ret->len * sizeof *ret->ptr);
  for (size_t i = 0; i < ret->len; i++) {
    const ts_json *value = matches[i].value;
    ret->ptr[i].path = matches[i].path;
    trackside_plugin_message_value_t *found = &ret->ptr[i].value;
    switch (value->kind) {
      case TS_JSON_NULL: found->tag = TRACKSIDE_PLUGIN_MESSAGE_VALUE_NULL; break;
      case TS_JSON_BOOLEAN:
        found->tag = TRACKSIDE_PLUGIN_MESSAGE_VALUE_BOOLEAN;
        found->val.boolean = value->boolean;
        break;
      case TS_JSON_NUMBER:
        found->tag = TRACKSIDE_PLUGIN_MESSAGE_VALUE_NUMBER;
        found->val.number = string_of(value->text);
        break;
      case TS_JSON_TEXT:
        found->tag = TRACKSIDE_PLUGIN_MESSAGE_VALUE_TEXT;
        found->val.text = string_of(value->text);
        break;
      case TS_JSON_LIST:
      case TS_JSON_TABLE:
        found->tag = TRACKSIDE_PLUGIN_MESSAGE_VALUE_JSON;
        found->val.json = string_of(value->raw);
        break;
    }
  }
  return true;
}

// ---- Replacing -------------------------------------------------------------------------------------------------------

static ts_text quoted(ts_text text) {
  char *out = ts_alloc(text.len * 6 + 2), *at = out;
  *at++ = '"';
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (c == '"' || c == '\\') {
      *at++ = '\\';
      *at++ = (char)c;
    } else if (c < 0x20) {
      at += sprintf(at, "\\u%04x", c);
    } else {
      *at++ = (char)c;
    }
  }
  *at++ = '"';
  return (ts_text){out, (size_t)(at - out)};
}

static ts_text written(const trackside_plugin_message_value_t *value) {
  switch (value->tag) {
    case TRACKSIDE_PLUGIN_MESSAGE_VALUE_BOOLEAN: return value->val.boolean ? TS("true") : TS("false");
    case TRACKSIDE_PLUGIN_MESSAGE_VALUE_NUMBER: return text_of(value->val.number);
    case TRACKSIDE_PLUGIN_MESSAGE_VALUE_TEXT: return quoted(text_of(value->val.text));
    case TRACKSIDE_PLUGIN_MESSAGE_VALUE_JSON: return text_of(value->val.json);
    default: return TS("null");
  }
}

// The text of a member or element with the comma that belongs to it: the one behind it, else the one before.
static ts_text with_comma(ts_text payload, ts_text item) {
  const char *start = item.ptr, *end = item.ptr + item.len, *stop = payload.ptr + payload.len;
  const char *behind = end;
  while (behind < stop && strchr(" \t\r\n", *behind) != NULL) behind++;
  if (behind < stop && *behind == ',') {
    behind++;
    while (behind < stop && strchr(" \t\r\n", *behind) != NULL) behind++;
    return (ts_text){start, (size_t)(behind - start)};
  }
  const char *before = start;
  while (before > payload.ptr && strchr(" \t\r\n", before[-1]) != NULL) before--;
  if (before > payload.ptr && before[-1] == ',') start = before - 1;
  return (ts_text){start, (size_t)(end - start)};
}

bool trackside_plugin_message_replace(trackside_plugin_message_borrow_selector_t selector,
                                      trackside_plugin_message_list_option_value_t *values,
                                      trackside_plugin_message_payload_error_t *err) {
  match *matches;
  size_t count;
  if (!find(selector.__handle, &matches, &count, err)) return false;
  if (count != values->len) {
    err->tag = TRACKSIDE_PLUGIN_MESSAGE_PAYLOAD_ERROR_LIMIT;
    err->val.limit = string_of(ts_format("there are %zu values for %zu matches", values->len, count));
    return false;
  }
  ts_text payload = message->payload, result = TS("");
  const char *done = payload.ptr;
  for (size_t i = 0; i < count; i++) {
    const ts_json *value = matches[i].value;
    // The root has no member text: removing it leaves nothing.
    bool removed = !values->ptr[i].is_some && value->member.len > 0;
    ts_text place = removed ? with_comma(payload, value->member) : value->raw;
    if (place.ptr + place.len <= done) continue;  // inside of what was replaced already
    if (place.ptr < done) place.len -= (size_t)(done - place.ptr), place.ptr = done;
    ts_text before = {done, (size_t)(place.ptr - done)};
    ts_text instead = values->ptr[i].is_some ? written(&values->ptr[i].val) : TS("");
    result = ts_format("%.*s%.*s%.*s", TS_ARG(result), TS_ARG(before), TS_ARG(instead));
    done = place.ptr + place.len;
  }
  ts_text rest = {done, (size_t)(payload.ptr + payload.len - done)};
  message->payload = ts_keep(ts_format("%.*s%.*s", TS_ARG(result), TS_ARG(rest)));
  return true;
}

// ---- Setup and log ---------------------------------------------------------------------------------------------------

void trackside_plugin_setup_routes(plugin_list_string_t *ret) {
  ret->len = route_count;
  ret->ptr = ts_alloc(route_count * sizeof *ret->ptr);
  for (size_t i = 0; i < route_count; i++) ret->ptr[i] = string_of(routes[i]);
}

bool trackside_plugin_setup_read_file(plugin_string_t *path, plugin_list_u8_t *ret, plugin_string_t *err) {
  for (size_t i = 0; i < file_count; i++) {
    if (!ts_equal(files[i].path, text_of(*path))) continue;
    *ret = (plugin_list_u8_t){(uint8_t *)files[i].content.ptr, files[i].content.len};
    return true;
  }
  *err = string_of(ts_format("`%.*s` cannot be read: the test has no such file", TS_ARG(text_of(*path))));
  return false;
}

void trackside_plugin_log_log(trackside_plugin_log_level_t level, plugin_string_t *line) {
  check_room(line_count, TS_TEST_MAX_LOG, "lines of the log");
  lines[line_count++] = (ts_test_line){(ts_level)level, copy_of(*line)};
}
