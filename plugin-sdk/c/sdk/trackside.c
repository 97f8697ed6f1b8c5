// Between the plugin and the bindings.

#include "trackside.h"

#include "bindings/plugin.h"

// ---- Conversions -----------------------------------------------------------------------------------------------------

static ts_text text_of(plugin_string_t string) { return (ts_text){(const char *)string.ptr, string.len}; }

static plugin_string_t string_of(ts_text text) { return (plugin_string_t){(uint8_t *)text.ptr, text.len}; }

static plugin_list_u8_t bytes_of(ts_text text) { return (plugin_list_u8_t){(uint8_t *)text.ptr, text.len}; }

static plugin_list_string_t strings_of(const ts_text *texts, size_t count) {
  plugin_string_t *strings = ts_alloc(count * sizeof *strings);
  for (size_t i = 0; i < count; i++) strings[i] = string_of(texts[i]);
  return (plugin_list_string_t){strings, count};
}

static ts_value value_of(trackside_plugin_message_value_t value) {
  ts_value converted = {.kind = (ts_value_kind)value.tag};
  switch (converted.kind) {
    case TS_BOOLEAN: converted.boolean = value.val.boolean; break;
    case TS_NUMBER: converted.text = text_of(value.val.number); break;
    case TS_TEXT: converted.text = text_of(value.val.text); break;
    case TS_JSON: converted.text = text_of(value.val.json); break;
    case TS_NULL:
    case TS_REMOVE: break;
  }
  return converted;
}

static trackside_plugin_message_option_value_t option_of(ts_value value) {
  trackside_plugin_message_option_value_t option = {.is_some = value.kind != TS_REMOVE, .val.tag = (uint8_t)value.kind};
  switch (value.kind) {
    case TS_BOOLEAN: option.val.val.boolean = value.boolean; break;
    case TS_NUMBER: option.val.val.number = string_of(value.text); break;
    case TS_TEXT: option.val.val.text = string_of(value.text); break;
    case TS_JSON: option.val.val.json = string_of(value.text); break;
    case TS_NULL:
    case TS_REMOVE: break;
  }
  return option;
}

static ts_payload_error error_of(trackside_plugin_message_payload_error_t error) {
  bool is_limit = error.tag == TRACKSIDE_PLUGIN_MESSAGE_PAYLOAD_ERROR_LIMIT;
  return (ts_payload_error){is_limit, text_of(is_limit ? error.val.limit : error.val.not_json)};
}

// ---- What the host calls ---------------------------------------------------------------------------------------------

bool exports_trackside_plugin_stage_configure(plugin_string_t *config, plugin_string_t *err) {
  ts_text error = TS("the settings were refused");
  const ts_json *settings = ts_json_read(text_of(*config), &error);
  bool well = settings != NULL && ts_configure(settings, &error);
  if (!well) *err = string_of(error);
  return well;
}

static exports_trackside_plugin_stage_list_part_t parts_of(const ts_part *parts, size_t count) {
  exports_trackside_plugin_stage_part_t *converted = ts_alloc(count * sizeof *converted);
  for (size_t i = 0; i < count; i++) {
    exports_trackside_plugin_stage_header_t *headers = ts_alloc(parts[i].header_count * sizeof *headers);
    for (size_t h = 0; h < parts[i].header_count; h++) {
      headers[h].name = string_of(parts[i].headers[h].name);
      headers[h].value = string_of(parts[i].headers[h].value);
    }
    converted[i] = (exports_trackside_plugin_stage_part_t){
        .payload = bytes_of(parts[i].payload),
        .headers = {headers, parts[i].header_count},
        .route = {parts[i].route.len > 0, string_of(parts[i].route)},
    };
  }
  return (exports_trackside_plugin_stage_list_part_t){converted, count};
}

bool exports_trackside_plugin_stage_handle(exports_trackside_plugin_stage_verdict_t *ret,
                                           exports_trackside_plugin_stage_failure_t *err) {
  ts_outcome outcome = ts_handle();
  switch (outcome.kind) {
    case TS_FORWARD: ret->tag = EXPORTS_TRACKSIDE_PLUGIN_STAGE_VERDICT_FORWARD; return true;
    case TS_ROUTE:
      ret->tag = EXPORTS_TRACKSIDE_PLUGIN_STAGE_VERDICT_ROUTE;
      ret->val.route = strings_of(outcome.routes, outcome.count);
      return true;
    case TS_SPLIT:
      ret->tag = EXPORTS_TRACKSIDE_PLUGIN_STAGE_VERDICT_SPLIT;
      ret->val.split = parts_of(outcome.parts, outcome.count);
      return true;
    case TS_DROP:
      ret->tag = EXPORTS_TRACKSIDE_PLUGIN_STAGE_VERDICT_DROP;
      ret->val.drop = string_of(outcome.reason);
      return true;
    case TS_REJECT:
      ret->tag = EXPORTS_TRACKSIDE_PLUGIN_STAGE_VERDICT_REJECT;
      ret->val.reject = string_of(outcome.reason);
      return true;
    case TS_RETRY:
      err->tag = EXPORTS_TRACKSIDE_PLUGIN_STAGE_FAILURE_RETRY;
      err->val.retry.reason = string_of(outcome.reason);
      err->val.retry.after = (plugin_option_u32_t){outcome.has_delay, outcome.delay_ms};
      return false;
    case TS_FATAL: break;
  }
  err->tag = EXPORTS_TRACKSIDE_PLUGIN_STAGE_FAILURE_FATAL;
  err->val.fatal = string_of(outcome.reason);
  return false;
}

// The host calls these when it has read what the call returned. They take the place of the bindings' own, which are
// weak and would free one by one what is of the call's memory here.
#ifdef __wasm__
__attribute__((__export_name__("cabi_post_trackside:plugin/stage@0.1.0#configure")))
void __wasm_export_exports_trackside_plugin_stage_configure_post_return(uint8_t *returned) {
  (void)returned;
  ts_end_call();
}

__attribute__((__export_name__("cabi_post_trackside:plugin/stage@0.1.0#handle")))
void __wasm_export_exports_trackside_plugin_stage_handle_post_return(uint8_t *returned) {
  (void)returned;
  ts_end_call();
}
#endif

// ---- What becomes of the message -------------------------------------------------------------------------------------

// Routes and parts may be on the stack of `ts_handle`, which has returned when they are read.
ts_outcome ts_route_all(const ts_text *routes, size_t count) {
  ts_text *copy = ts_alloc(count * sizeof *copy);
  for (size_t i = 0; i < count; i++) copy[i] = routes[i];
  return (ts_outcome){.kind = TS_ROUTE, .routes = copy, .count = count};
}

ts_outcome ts_split(const ts_part *parts, size_t count) {
  ts_part *copy = ts_alloc(count * sizeof *copy);
  for (size_t i = 0; i < count; i++) {
    ts_header *headers = ts_alloc(parts[i].header_count * sizeof *headers);
    for (size_t h = 0; h < parts[i].header_count; h++) headers[h] = parts[i].headers[h];
    copy[i] = parts[i];
    copy[i].headers = headers;
  }
  return (ts_outcome){.kind = TS_SPLIT, .parts = copy, .count = count};
}

ts_outcome ts_route(ts_text route) { return ts_route_all(&route, 1); }
ts_outcome ts_forward(void) { return (ts_outcome){.kind = TS_FORWARD}; }
ts_outcome ts_drop(ts_text reason) { return (ts_outcome){.kind = TS_DROP, .reason = reason}; }
ts_outcome ts_reject(ts_text reason) { return (ts_outcome){.kind = TS_REJECT, .reason = reason}; }
ts_outcome ts_retry(ts_text reason) { return (ts_outcome){.kind = TS_RETRY, .reason = reason}; }
ts_outcome ts_fatal(ts_text reason) { return (ts_outcome){.kind = TS_FATAL, .reason = reason}; }

ts_outcome ts_retry_after(ts_text reason, uint32_t milliseconds) {
  return (ts_outcome){.kind = TS_RETRY, .reason = reason, .has_delay = true, .delay_ms = milliseconds};
}

ts_outcome ts_reject_payload(ts_payload_error error) {
  const char *what = error.is_limit ? "is beyond a limit" : "is not JSON";
  return ts_reject(ts_format("the payload %s: %.*s", what, TS_ARG(error.text)));
}

// ---- The message -----------------------------------------------------------------------------------------------------

ts_text ts_subject(void) {
  plugin_string_t subject;
  trackside_plugin_message_subject(&subject);
  return text_of(subject);
}

ts_text ts_id(void) {
  plugin_string_t id;
  trackside_plugin_message_id(&id);
  return text_of(id);
}

ts_origin ts_message_origin(void) { return (ts_origin)trackside_plugin_message_origin(); }
uint64_t ts_timestamp(void) { return trackside_plugin_message_timestamp(); }
uint32_t ts_delivery(void) { return trackside_plugin_message_delivery(); }

bool ts_get_header(ts_text name, ts_text *value) {
  plugin_string_t name_string = string_of(name), found;
  bool there = trackside_plugin_message_get_header(&name_string, &found);
  if (there) *value = text_of(found);
  return there;
}

size_t ts_headers(const ts_header **headers) {
  trackside_plugin_message_list_header_t list;
  trackside_plugin_message_headers(&list);
  ts_header *converted = ts_alloc(list.len * sizeof *converted);
  for (size_t i = 0; i < list.len; i++) {
    converted[i] = (ts_header){text_of(list.ptr[i].name), text_of(list.ptr[i].value)};
  }
  *headers = converted;
  return list.len;
}

bool ts_set_header(ts_text name, ts_text value, ts_text *error) {
  plugin_string_t name_string = string_of(name), value_string = string_of(value), refused;
  bool well = trackside_plugin_message_set_header(&name_string, &value_string, &refused);
  if (!well) *error = text_of(refused);
  return well;
}

bool ts_append_header(ts_text name, ts_text value, ts_text *error) {
  plugin_string_t name_string = string_of(name), value_string = string_of(value), refused;
  bool well = trackside_plugin_message_append_header(&name_string, &value_string, &refused);
  if (!well) *error = text_of(refused);
  return well;
}

void ts_remove_header(ts_text name) {
  plugin_string_t name_string = string_of(name);
  trackside_plugin_message_remove_header(&name_string);
}

ts_text ts_payload(void) {
  plugin_list_u8_t payload;
  trackside_plugin_message_payload(&payload);
  return (ts_text){(const char *)payload.ptr, payload.len};
}

size_t ts_payload_len(void) { return trackside_plugin_message_payload_len(); }

void ts_set_payload(ts_text bytes) {
  plugin_list_u8_t list = bytes_of(bytes);
  trackside_plugin_message_set_payload(&list);
}

// ---- JSON of the payload ---------------------------------------------------------------------------------------------

bool ts_compile(const ts_text *paths, size_t count, ts_selector *selector, ts_text *error) {
  plugin_list_string_t list = strings_of(paths, count);
  trackside_plugin_message_own_selector_t compiled;
  plugin_string_t wrong;
  bool well = trackside_plugin_message_static_selector_compile(&list, &compiled, &wrong);
  if (well) {
    selector->handle = compiled.__handle;
  } else {
    *error = text_of(wrong);
  }
  return well;
}

bool ts_select(ts_selector selector, const ts_match **matches, size_t *count, ts_payload_error *error) {
  trackside_plugin_message_list_match_t list;
  trackside_plugin_message_payload_error_t wrong;
  if (!trackside_plugin_message_select((trackside_plugin_message_borrow_selector_t){selector.handle}, &list, &wrong)) {
    *error = error_of(wrong);
    return false;
  }
  ts_match *converted = ts_alloc(list.len * sizeof *converted);
  for (size_t i = 0; i < list.len; i++) converted[i] = (ts_match){list.ptr[i].path, value_of(list.ptr[i].value)};
  *matches = converted;
  *count = list.len;
  return true;
}

bool ts_replace(ts_selector selector, const ts_value *values, size_t count, ts_payload_error *error) {
  trackside_plugin_message_option_value_t *options = ts_alloc(count * sizeof *options);
  for (size_t i = 0; i < count; i++) options[i] = option_of(values[i]);
  trackside_plugin_message_list_option_value_t list = {options, count};
  trackside_plugin_message_payload_error_t wrong;
  trackside_plugin_message_borrow_selector_t borrowed = {selector.handle};
  bool well = trackside_plugin_message_replace(borrowed, &list, &wrong);
  if (!well) *error = error_of(wrong);
  return well;
}

// ---- What `ts_configure` may ask for, and the log --------------------------------------------------------------------

size_t ts_routes(const ts_text **routes) {
  plugin_list_string_t list;
  trackside_plugin_setup_routes(&list);
  ts_text *converted = ts_alloc(list.len * sizeof *converted);
  for (size_t i = 0; i < list.len; i++) converted[i] = text_of(list.ptr[i]);
  *routes = converted;
  return list.len;
}

bool ts_check_route(ts_text route, ts_text *error) {
  const ts_text *routes;
  size_t count = ts_routes(&routes);
  ts_text declared = count == 0 ? TS("none; add it under [rule.routes]") : TS("");
  for (size_t i = 0; i < count; i++) {
    if (ts_equal(routes[i], route)) return true;
    declared = ts_format("%.*s%s%.*s", TS_ARG(declared), i == 0 ? "" : ", ", TS_ARG(routes[i]));
  }
  *error = ts_format("the rule has no route `%.*s`; it declares %.*s", TS_ARG(route), TS_ARG(declared));
  return false;
}

bool ts_read_file(ts_text path, ts_text *content, ts_text *error) {
  plugin_string_t path_string = string_of(path), wrong;
  plugin_list_u8_t bytes;
  bool well = trackside_plugin_setup_read_file(&path_string, &bytes, &wrong);
  if (well) {
    *content = (ts_text){(const char *)bytes.ptr, bytes.len};
  } else {
    *error = text_of(wrong);
  }
  return well;
}

void ts_log(ts_level level, ts_text line) {
  plugin_string_t message = string_of(line);
  trackside_plugin_log_log((trackside_plugin_log_level_t)level, &message);
}
