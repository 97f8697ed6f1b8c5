//! The tests as a JUnit report, which is what build servers read.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Done, failure};
use crate::rules::Rules;

/// The report as XML: a suite for each file.
///
/// # Errors
/// What keeps it from being written.
pub fn junit(done: &[Done<'_>], rules: &Rules) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("trackside test");
    for of_file in done.chunk_by(|left, right| std::ptr::eq(left.file, right.file)) {
        let mut suite = TestSuite::new(of_file[0].file.path.display().to_string());
        suite.add_test_cases(of_file.iter().map(|done| case(done, rules)));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(done: &Done<'_>, rules: &Rules) -> TestCase {
    let status = if done.passed() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let why = failure(done, rules);
        status
            .set_message(why.lines().next().unwrap_or_default().to_owned())
            .set_type("expectation")
            .set_description(why);
        status
    };
    let mut case = TestCase::new(done.test().name.clone(), status);
    case.set_classname(done.file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    case.set_time(done.took);
    case
}
