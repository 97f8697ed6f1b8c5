// The plugin natively, against a host in memory: `make test`.

#include "testing/trackside_test.h"

static void configure(void) {
  ts_text error;
  ts_test_begin();
  ts_test_route("default");
  ts_test_route("review");
  TS_CHECK(ts_test_configure("{\"limit\": 1000, \"to\": \"review\"}", &error));
}

static void a_large_order_takes_the_route_and_loses_its_coupon(void) {
  configure();
  ts_test_message message = ts_test_message_of("{ \"amount\": 2500.00, \"coupon\": \"XMAS\" }");
  ts_outcome outcome = ts_test_handle(&message);
  TS_CHECK(outcome.kind == TS_ROUTE && outcome.count == 1);
  TS_CHECK_TEXT(outcome.routes[0], "review");
  TS_CHECK_TEXT(message.payload, "{ \"amount\": 2500.00 }");
}

static void a_small_order_goes_on(void) {
  configure();
  ts_test_message message = ts_test_message_of("{\"amount\":999.99}");
  TS_CHECK(ts_test_handle(&message).kind == TS_FORWARD);
  TS_CHECK_TEXT(message.payload, "{\"amount\":999.99}");
}

static void an_order_without_an_amount_is_rejected(void) {
  configure();
  ts_test_message message = ts_test_message_of("{\"amount\":\"1000\"}");
  ts_outcome outcome = ts_test_handle(&message);
  TS_CHECK(outcome.kind == TS_REJECT);
  TS_CHECK_TEXT(outcome.reason, "`$.amount` is not a number");
}

static void a_route_that_the_rule_does_not_have_is_an_error_of_the_settings(void) {
  ts_text error;
  ts_test_begin();
  ts_test_route("default");
  TS_CHECK(!ts_test_configure("{\"limit\": 1000, \"to\": \"review\"}", &error));
  TS_CHECK_TEXT(error, "to: the rule has no route `review`; it declares default");
}

int main(void) {
  a_large_order_takes_the_route_and_loses_its_coupon();
  a_small_order_goes_on();
  an_order_without_an_amount_is_rejected();
  a_route_that_the_rule_does_not_have_is_an_error_of_the_settings();
  puts("ok");
  return 0;
}
