//! Hides what must not be seen: by path, by header, and by detection.
//!
//! ```toml
//! fields = [
//!   { path = "$.customer.email", action = "hash", key = "env:MASK_KEY" },
//!   { path = "$.payment.card", action = "keep-last", count = 4 },
//!   { header = "Authorization", action = "remove" },
//! ]
//! detect = [
//!   { kind = "card", action = "keep-last", count = 4 },
//!   { kind = "email" },
//! ]
//! ```
//!
//! It fails closed: a payload that is not JSON, a value that an action cannot read, or a missing one that is required
//! rejects the message, and no reason or error ever shows a value or a key.
//!
//! # `fields`: what to mask by name
//!
//! Each entry has a `path` (JSONPath, RFC 9535, all of it) or a `header` (its name, in any case; all of its values are
//! masked), an `action` (`redact` unless given) with the keys that belong to it, and `required` (false unless given: a
//! path that matches nothing is fine).
//!
//! The actions, each with all its keys:
//!
//! ```toml
//! fields = [
//!   { path = "$.a", action = "redact", text = "***" },          # any value at all; `text` is "***" unless given
//!   { path = "$.b", action = "null" },                          # not for headers
//!   { path = "$.c", action = "remove" },                        # the member or element itself
//!   { path = "$.d", action = "keep-first", count = 2 },         # every other character becomes `*`
//!   { path = "$.e", action = "keep-last", count = 4 },
//!   { path = "$.f", action = "hash", key = "env:MASK_KEY", length = 64, prefix = "" },
//!   { path = "$.g", action = "tokenise", key = "env:MASK_KEY", prefix = "tok_" },
//!   { path = "$.h", action = "encrypt", key = "env:MASK_AES_KEY", key-id = "k1" },
//!   { path = "$.i", action = "decrypt", keys = { k1 = "env:MASK_AES_KEY", k0 = "env:MASK_OLD_AES_KEY" } },
//!   { path = "$.j", action = "round", to = 100 },               # to a multiple
//!   { path = "$.k", action = "round", digits = 2 },             # or to digits after the point
//!   { path = "$.l", action = "truncate-date", to = "month" },   # year, month, day or hour
//!   { path = "$.m", required = true },
//! ]
//! ```
//!
//! * `keep-first`, `keep-last`, `hash` and `tokenise` work on text. They take a number by its spelling, and give a string.
//!   Objects, arrays and booleans have no spelling and become `"***"`; null stays null.
//! * `keep-first` and `keep-last` count Unicode scalar values, of which what a reader takes for one character may have
//!   several. A text with no more of them than `count` is starred whole.
//! * `hash` is HMAC-SHA-256 of the text's UTF-8 under the key's bytes, in lower-case hexadecimal, cut to `length` digits
//!   (8 to 64): any program with the key computes the same, so hashes join. The number 42 and the string "42"
//!   hash alike; 42 and 42.0 do not. Under one key, one text hashes alike wherever it is.
//! * `tokenise` replaces each digit by a digit and each letter by an ASCII letter of the same case, by a key stream that
//!   HMAC-SHA-256 of the whole text gives; all else stays. One text gives one token under one key. Different short texts
//!   may get the same one. A text without letters and digits becomes `"***"`.
//! * Keys for `hash` and `tokenise` are texts of any length, without the white space around them; 32 random bytes in
//!   hexadecimal are a good one.
//! * `encrypt` is AES-256-GCM-SIV (RFC 8452), takes any value, null too, and gives
//!   `enc:v1:<key-id>:<base64url of nonce, ciphertext and tag>`. The key is 32 bytes in hexadecimal or base64; `key-id` is
//!   `k1` unless given. The path (or header) is bound in: a value that was moved to where another path is configured does
//!   not decrypt. How names are quoted makes no difference; otherwise the path has to be spelt alike. Equal values
//!   at one path have equal ciphertexts, because a stage has no randomness and a redelivery must give the same bytes.
//! * `decrypt` gives back the value with its type and spelling. `key` and `key-id` do in place of `keys` for one key. What
//!   `encrypt` did not make, a key id that is not listed, another path or a changed value reject.
//! * `round` takes numbers, and strings that spell one, in decimal arithmetic without a limit of precision; halves are
//!   rounded away from zero. `truncate-date` takes strings with a date or date-time of RFC 3339 (an offset may be
//!   missing) and keeps their shape: `2026-11-22T10:11:12Z` becomes `2026-11-01T00:00:00Z`. Null stays null; anything else
//!   rejects.
//!
//! All fields are looked for in the message as it came, in one look at the payload; those after a `decrypt`, in what it
//! gave. Where two match the same place the one listed first masks it, and where places nest, the outer one does. Every byte
//! that no field matches stays as it was. Repeated and escaped keys all match.
//!
//! # `detect`: what to mask wherever it is
//!
//! ```toml
//! detect = [
//!   { kind = "card", action = "keep-last", count = 4 },
//!   { kind = "iban", action = "hash", key = "env:MASK_KEY", prefix = "iban_" },
//!   { kind = "phone", below = "$..notes" },                     # only there
//!   { kind = "ip", in = "headers" },                            # "message" (the default), "body" or "headers"
//!   { kind = "email", text = "<email>" },
//!   { kind = "jwt" },
//!   { kind = "bearer" },
//!   { kind = "secret" },
//!   { regex = "CUST-[0-9]{6}", action = "tokenise", key = "env:MASK_KEY" },
//!   { regex = "(?i)pin:? ?(?<secret>[0-9]{4})", action = "remove" },
//! ]
//! keys = "mask"
//! ```
//!
//! Strings, numbers (by their spelling) and objects' keys are searched, anywhere in the payload or below a path, and
//! the values of headers, unless the entry has a `below` or an `in`. Headers that begin with `Nats-` or `Trackside-`, which
//! a stage cannot change, and `traceparent` and `tracestate` are left out. Escapes hide nothing. In a string, only the part
//! that was found changes; a number becomes a string as a whole. What is split over several strings is not found. Names of
//! headers are not searched. JSON inside of a string is searched as the text it is: escapes inside of that inner JSON are
//! not resolved.
//!
//! | kind | what is found |
//! | --- | --- |
//! | `email` | a local part, quoted or not, `@` or `%40`, and a domain of two labels or more, with what is glued to its end; any script |
//! | `card` | 13 to 19 digits that pass the Luhn check and begin as issued cards of that length do, in groups or not, with spaces, dashes, underscores, full stops or one of `/ + , : \| ·` between them; two of them run together; digits of any script; not inside UUIDs and digests, nor after `0.`, nor in the fraction of a JSON number, nor 13 digits after any decimal point |
//! | `iban` | a country's code, check digits and the right length, with the remainder 1 modulo 97; in groups or not, any case, letters and digits may touch it |
//! | `phone` | `+` and 7 to 15 digits; grouped numbers that begin with `00` or `0`; North American numbers with separators |
//! | `ip` | IPv4 and IPv6 addresses; leading zeros and letters that touch IPv4 do not hide it, a fifth number does |
//! | `jwt` | JSON Web Tokens, signed, unsigned or encrypted |
//! | `bearer` | the token after the word `Bearer` and white space, `:`, `=` or `%20`: of 6 characters or more in running text, of any length where a string or a header's value is just the two |
//! | `secret` | both of these, credentials after `Basic`, private keys in PEM, and tokens of AWS, GitHub, GitLab, Slack, Stripe, Google, OpenAI, Anthropic, SendGrid, npm, PyPI, Hugging Face, DigitalOcean, Shopify and Vault by their marks |
//! | `regex` | what the regex matches (syntax of the crate regex, linear time, at most 4 KiB), or its group named `secret` |
//!
//! The action is `redact` unless given; `remove` takes the part out; `null`, `encrypt`, `decrypt`, `round` and
//! `truncate-date` cannot be done to a part of a text. Detection comes after the fields, and leaves alone what `hash`,
//! `tokenise` and `encrypt` put there. Within one place all entries search the same text. Finds that overlap are masked as
//! one, by the entry that is listed first, except that `keep-first` and `keep-last` give way to an entry that reveals
//! nothing, or to `"***"`. Entries with different `below` search one after another.
//!
//! `keys` says what is done about an object's key that holds a find: `mask` (unless given) masks it as text, and rejects if
//! two keys of one object would become the same; `reject` rejects; `allow` does not search keys.

mod actions;
mod detect;
mod detection;
mod fields;
mod headers;
mod scan;
mod settings;

use std::rc::Rc;

use trackside_plugin::{Failure, Message, Setup, SetupError, Stage, Verdict};

use crate::detect::Entry;
use crate::detection::Place;
use crate::fields::{HeaderField, Pass};
use crate::scan::Made;
pub use crate::settings::Settings;

/// The stage.
#[derive(Debug)]
pub struct Mask {
    passes: Vec<Pass>,
    headers: Vec<HeaderField>,
    places: Vec<Place>,
    in_headers: Vec<Rc<Entry>>,
}

impl Stage for Mask {
    type Settings = Settings;

    fn configure(settings: Settings, _: &Setup) -> Result<Self, SetupError> {
        let plan = settings.plan()?;
        Ok(Self {
            passes: fields::passes(plan.fields)?,
            headers: plan.headers,
            places: plan.places,
            in_headers: plan.in_headers,
        })
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        let detects = !(self.places.is_empty() && self.in_headers.is_empty());
        let mut made = detects.then(Made::new);
        for pass in &self.passes {
            pass.apply(message, made.as_mut())?;
        }
        for header in &self.headers {
            header.apply(message, made.as_mut())?;
        }
        if let Some(made) = made {
            for place in &self.places {
                place.apply(message, &made)?;
            }
            if !self.in_headers.is_empty() {
                detection::mask_headers(&self.in_headers, message, &made)?;
            }
        }
        Ok(Verdict::Forward)
    }
}

trackside_plugin::export!(Mask);

#[cfg(test)]
mod tests;
