// UTF-8, of which QuickJS has no TextEncoder and TextDecoder.

import { decode, encode } from "#host";

export { decode, encode };
