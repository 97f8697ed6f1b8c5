//! What is looked at of a component before the compiler's process gets it: any bytes at all.

use trackside::plugins::{Inspection, Kind};

/// Inspects a file.
pub(crate) fn check(bytes: &[u8]) {
    let inspection = match Inspection::of(bytes) {
        Ok(inspection) => inspection,
        Err(error) => return bounded(&error.to_string()),
    };
    assert!(inspection.imports.len() <= 1000 && inspection.exports.len() <= 1000);
    assert_eq!(inspection.bytes, bytes.len());
    match inspection.contract() {
        Ok(contract) => {
            assert_eq!(inspection.kind, Kind::Plugin { contract: contract.to_owned() });
            let ours = |name: &String| name.starts_with("trackside:plugin/") || name.starts_with("wasi:");
            assert!(inspection.imports.iter().all(ours), "{inspection:?}");
        }
        Err(error) => bounded(&error.to_string()),
    }
}

/// Errors are shown to people, and what is quoted in them is the component's.
fn bounded(error: &str) {
    assert!(error.len() < 4096, "{} bytes", error.len());
    assert!(!error.contains(char::is_control), "{error:?}");
}
