// The plugin that README.md shows, natively.

#include "testing/trackside_test.h"

int main(void) {
  ts_text error;
  ts_test_begin();
  ts_test_route("default");
  TS_CHECK(!ts_test_configure("{}", &error));
  ts_test_route("vip");
  TS_CHECK(ts_test_configure("{}", &error));
  ts_test_message gold = ts_test_message_of("{\"customer\": {\"tier\": \"gold\"}}");
  ts_outcome outcome = ts_test_handle(&gold);
  TS_CHECK(outcome.kind == TS_ROUTE && outcome.count == 1);
  TS_CHECK_TEXT(outcome.routes[0], "vip");
  ts_test_message other = ts_test_message_of("{\"customer\": {\"tier\": \"none\"}}");
  TS_CHECK(ts_test_handle(&other).kind == TS_FORWARD);
  puts("ok");
  return 0;
}
