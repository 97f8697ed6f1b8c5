// Sends large orders to a route of their own, and takes the coupon out of all of them.
//
// The settings are `limit`, an amount, and `to`, the route for orders of that amount or more.

import { Selector, forward, plugin, reject, remove, route } from "trackside-plugin";

export const stage = plugin((settings, setup) => {
  // What is misspelt is found now, before any message is.
  const { limit, to } = setup.check(settings, { limit: "number", to: "string" });
  setup.checkRoute(to, "to");
  const selector = new Selector(["$.amount", "$.coupon"]);

  return (message) => {
    const matches = message.select(selector);
    const amount = matches.find((found) => found.path === 0);
    if (amount?.kind !== "number") return reject("`$.amount` is not a number");
    // One value for each match, in the same order; `remove` takes the member out.
    message.replace(selector, matches.map((found) => (found.path === 0 ? found : remove)));
    return Number(amount.value) >= limit ? route(to) : forward();
  };
});
