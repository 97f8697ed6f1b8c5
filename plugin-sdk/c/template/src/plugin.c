// Sends large orders to a route of their own, and takes the coupon out of all of them.
//
// The settings are `limit`, an amount, and `to`, the route for orders of that amount or more.

#include <stdlib.h>

#include "trackside.h"

enum { AMOUNT, COUPON };

static ts_selector selector;
static double limit;
static ts_text to;

bool ts_configure(const ts_json *settings, ts_text *error) {
  static const char *const keys[] = {"limit", "to", NULL};
  static const ts_text paths[] = {[AMOUNT] = TS("$.amount"), [COUPON] = TS("$.coupon")};
  ts_text route;
  if (!ts_settings_only(settings, keys, error) || !ts_settings_number(settings, "limit", &limit, error) ||
      !ts_settings_text(settings, "to", &route, error)) {
    return false;
  }
  // A misspelt route is found now, before any message is.
  if (!ts_check_route(route, error)) {
    *error = ts_format("to: %.*s", TS_ARG(*error));
    return false;
  }
  to = ts_keep(route);
  return ts_compile(paths, 2, &selector, error);
}

ts_outcome ts_handle(void) {
  const ts_match *matches;
  size_t count;
  ts_payload_error error;
  if (!ts_select(selector, &matches, &count, &error)) return ts_reject_payload(error);

  // One value for each match, in the same order.
  ts_value *values = ts_alloc(count * sizeof *values);
  const ts_value *amount = NULL;
  for (size_t i = 0; i < count; i++) {
    bool is_amount = matches[i].path == AMOUNT;
    values[i] = is_amount ? matches[i].value : (ts_value){.kind = TS_REMOVE};
    if (is_amount && amount == NULL) amount = &matches[i].value;
  }
  if (amount == NULL || amount->kind != TS_NUMBER) return ts_reject(TS("`$.amount` is not a number"));
  if (!ts_replace(selector, values, count, &error)) return ts_reject_payload(error);

  if (strtod(ts_format("%.*s", TS_ARG(amount->text)).ptr, NULL) < limit) return ts_forward();
  return ts_route(to);
}
