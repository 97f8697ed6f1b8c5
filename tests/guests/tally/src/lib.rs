//! A plugin of the tests that does with the key-value store, the secrets and the clock what the headers of its message
//! say, and puts what came of it into the header `Tally`.
//!
//! | header | meaning |
//! | --- | --- |
//! | `Bucket` | the bucket to open; `tally` if there is none |
//! | `Do` | `count`, `get`, `set`, `delete`, `exists`, `list`, `many`, `secret` or `now` |
//! | `Key` | the key; the message's subject if there is none |

use serde::Deserialize;
use trackside_plugin::{Failure, Message, Setup, SetupError, Stage, Verdict};

use given::wasi::clocks::wall_clock;
use given::wasi::config::store as config;
use given::wasi::keyvalue::store::{self, Bucket, Error};
use given::wasi::keyvalue::{atomics, batch};

mod given {
    wit_bindgen::generate!({
        path: "../../../host/wit",
        inline: "
            package tests:tally;

            world tally {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
                import wasi:config/store@0.2.0-draft;
                import wasi:clocks/wall-clock@0.2.0;
            }

            package wasi:clocks@0.2.0 {
                interface wall-clock {
                    record datetime {
                        seconds: u64,
                        nanoseconds: u32,
                    }
                    now: func() -> datetime;
                }
            }
        ",
        world: "tests:tally/tally",
        generate_all,
    });
}

struct Tally;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl Stage for Tally {
    type Settings = Settings;

    fn configure(_: Settings, _: &Setup) -> Result<Self, SetupError> {
        Ok(Self)
    }

    fn handle(&mut self, message: &mut Message) -> Result<Verdict, Failure> {
        let what = message.header("Do").unwrap_or_else(|| "count".to_owned());
        let key = message.header("Key").unwrap_or_else(|| message.subject());
        let bucket = message.header("Bucket").unwrap_or_else(|| "tally".to_owned());
        let told = match what.as_str() {
            "secret" => format!("{:?} of {}", config::get(&key), config::get_all().map_or(0, |all| all.len())),
            "now" => wall_clock::now().seconds.to_string(),
            _ => match store::open(&bucket) {
                Ok(bucket) => told(&bucket, &what, &key, message).unwrap_or_else(said),
                Err(error) => said(error),
            },
        };
        message.set_header("Tally", &told)?;
        Ok(Verdict::Forward)
    }
}

fn told(bucket: &Bucket, what: &str, key: &str, message: &Message) -> Result<String, Error> {
    Ok(match what {
        "count" => atomics::increment(bucket, key, 1)?.to_string(),
        "get" => bucket.get(key)?.map_or_else(|| "none".to_owned(), text),
        "set" => bucket.set(key, &message.payload()).map(|()| "set".to_owned())?,
        "delete" => bucket.delete(key).map(|()| "deleted".to_owned())?,
        "exists" => bucket.exists(key)?.to_string(),
        "list" => bucket.list_keys(None)?.keys.join(" "),
        "many" => {
            let pairs = [("one".to_owned(), b"1".to_vec()), ("two".to_owned(), b"2".to_vec())];
            batch::set_many(bucket, &pairs)?;
            batch::delete_many(bucket, &["one".to_owned()])?;
            let found = batch::get_many(bucket, &["one".to_owned(), "two".to_owned()])?;
            found.into_iter().map(|pair| pair.map_or_else(|| "none".to_owned(), |(_, value)| text(value))).collect()
        }
        other => format!("cannot {other}"),
    })
}

fn said(error: Error) -> String {
    match error {
        Error::NoSuchStore => "no such store".to_owned(),
        Error::AccessDenied => "access denied".to_owned(),
        Error::Other(reason) => reason,
    }
}

fn text(value: Vec<u8>) -> String {
    String::from_utf8_lossy(&value).into_owned()
}

trackside_plugin::export!(Tally);
