// Hides what `mask` hides for the harness: an e-mail address, and all but the end of a telephone and a card number.

import { Selector, forward, plugin } from "trackside-plugin";

const KEPT = [0, 2, 4];
const hidden = (text, kept) => (kept ? "*".repeat(text.length - kept) + text.slice(-kept) : "***");

export const stage = plugin(() => {
  const selector = new Selector(["$.customer.email", "$.customer.phone", "$.payment.card"]);

  return (message) => {
    message.replace(selector, message.select(selector).map(({ path, value }) => hidden(value, KEPT[path])));
    return forward();
  };
});
