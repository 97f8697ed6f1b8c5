// The plugin that README.md shows.

import { Selector, forward, plugin, route } from "trackside-plugin";

export const stage = plugin((settings, setup) => {
  const { to } = setup.check(settings, { to: "string" }); // other keys are errors
  setup.checkRoute(to, "to");
  const tier = new Selector(["$.customer.tier"]);

  return (message) => (message.select(tier).some(({ value }) => value === "gold") ? route(to) : forward());
});
