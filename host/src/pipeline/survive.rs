//! Panics of host code, which must not take the pipeline down with them.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use crate::telemetry::panic_text;

/// Awaits this. Should it panic, the log tells what broke off, and there is no result. Whatever it was in the middle of is
/// not to be used any more.
pub(super) async fn survive<T>(what: &str, future: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(done) => Some(done),
        Err(panic) => {
            let panic = panic_text(&*panic);
            tracing::error!(panic, "{what} broke off, and is tried again; this is a bug in Trackside");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_no_result() {
        assert_eq!(survive("a test", async { 7 }).await, Some(7));
        assert_eq!(survive("a test", async { std::panic::resume_unwind(Box::new("boom")) }).await, None::<u32>);
    }
}
