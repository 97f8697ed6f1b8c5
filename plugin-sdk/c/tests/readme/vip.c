// The plugin that README.md shows.

#include "trackside.h"

static ts_selector tier;

bool ts_configure(const ts_json *settings, ts_text *error) {
  static const char *const keys[] = {NULL};  // there are no settings
  const ts_text paths[] = {TS("$.customer.tier")};
  return ts_settings_only(settings, keys, error) && ts_compile(paths, 1, &tier, error) &&
         ts_check_route(TS("vip"), error);
}

ts_outcome ts_handle(void) {
  const ts_match *matches;
  size_t count;
  ts_payload_error error;
  if (!ts_select(tier, &matches, &count, &error)) return ts_reject_payload(error);
  for (size_t i = 0; i < count; i++) {
    if (ts_equal(matches[i].value.text, TS("gold"))) return ts_route(TS("vip"));
  }
  return ts_forward();
}
