//! The documentation: every command and every snippet of every page is run, parsed or compiled, here or by a test that the
//! page names.

use std::io::Write as _;

use futures::StreamExt as _;
use trackside_tests::pages::{Page, Proof, all, prove, repository};

/// How many pages are proved at a time.
const AT_A_TIME: usize = 3;

/// `PAGE=docs/start.md` picks those whose names contain it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_block_of_every_page_is_so() {
    let only = std::env::var("PAGE").unwrap_or_default();
    let root = repository();
    let names = all().into_iter().filter(|name| name.contains(&only));
    let proofs = futures::stream::iter(names.map(async |name| match Page::read(&root, &name) {
        Ok(page) => prove(&root, &page).await,
        Err(error) => Proof { wrong: vec![error], ..Proof::default() },
    }));
    let proofs: Vec<Proof> = proofs.buffered(AT_A_TIME).collect().await;
    let sum = |count: fn(&Proof) -> usize| proofs.iter().map(count).sum::<usize>();
    let not: Vec<_> = proofs.iter().flat_map(|proof| &proof.not).cloned().collect();
    let wrong: Vec<_> = proofs.iter().flat_map(|proof| &proof.wrong).cloned().collect();
    // Past the capture of the test harness: whoever runs the tests should see what is not proved.
    let mut out = std::io::stderr();
    let counts = (sum(|proof| proof.here), sum(|proof| proof.elsewhere), not.len());
    let told = writeln!(
        out,
        "\nblocks of {} pages: {} proved here, {} by other tests, {} not run:\n  {}",
        proofs.len(),
        counts.0,
        counts.1,
        counts.2,
        not.join("\n  ")
    );
    told.expect("there is a standard error");
    assert!(!proofs.is_empty(), "no page has {only:?} in its name");
    assert!(wrong.is_empty(), "{} blocks are not so:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
