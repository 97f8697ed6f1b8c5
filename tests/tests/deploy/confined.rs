//! Trackside as the image and the manifests run it: nobody in particular, with no rights, where nothing can be written but
//! a folder in memory. The configuration is that of the deployment.

use std::fs;

use serde_json::json;
use trackside_tests::{Server, Trackside, cache_folder, free_port};

use crate::kubernetes::configuration;

/// Becomes what comes after it, confined.
const CONFINE: &str = "set -e\n\
                       mount --make-rprivate /\n\
                       mount -t tmpfs tmpfs /var/cache\n\
                       cp -r \"$1\" /var/cache/trackside\n\
                       shift\n\
                       mount -o remount,bind,ro /\n\
                       if touch /usr/written 2>/dev/null; then echo '/usr can be written to'; exit 1; fi\n\
                       exec setpriv --ambient-caps -all --inh-caps -all --bounding-set -all --no-new-privs -- \"$@\"";

/// In a namespace of its own, user 65532 is whoever runs the tests, and may mount until it gives that up.
const WRAPPER: [&str; 9] =
    ["unshare", "--user", "--map-user=65532", "--map-group=65532", "--mount", "--keep-caps", "sh", "-c", CONFINE];

#[tokio::test]
async fn the_deployment_works_with_no_rights_on_a_file_system_that_cannot_be_written_to() {
    let server = Server::start().await;
    server.stream("ORDERS", &["orders.>"]).await;
    server.stream("CLEAN", &["clean.>"]).await;
    server.stream("DEAD", &["dead.>"]).await;
    let (_folder, directory) = configuration("deployment.yaml").await;
    let admin = format!("127.0.0.1:{}", free_port());
    let config = fs::read_to_string(directory.join("trackside.toml")).expect("the configuration");
    let here = config.replace("nats://nats.nats.svc:4222", &server.url()).replace("0.0.0.0:9270", &admin);
    fs::write(directory.join("trackside.toml"), here).expect("written");

    // `sh -c` takes the argument after the script for its own name. What other tests have compiled saves it the time.
    let cache = cache_folder();
    fs::create_dir_all(&cache).expect("the cache of the tests");
    let wrapper: Vec<_> = WRAPPER.into_iter().chain(["confined", cache.to_str().expect("UTF-8")]).collect();
    let mut trackside =
        Trackside::spawn_under(&wrapper, &["run"], &directory, &admin, &[("XDG_CACHE_HOME", "/var/cache")]);
    trackside.ready().await;
    let id = trackside.process().id();
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    for line in ["Name:\ttrackside", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.lines().any(|have| have == line), "{line}: {status}");
    }
    let map = fs::read_to_string(format!("/proc/{id}/uid_map")).expect("who it is");
    assert_eq!(map.split_whitespace().next(), Some("65532"), "{map}");

    let order = json!({ "customer": { "email": "ada@example.com" }, "payment": { "card": "4111111111111111" } });
    let client = server.client().await;
    client.publish("orders.eu.created", order.to_string().into()).await.expect("it can be published");
    let clean = &server.stored("CLEAN", 1).await[0];
    assert_eq!(clean.json()["payment"]["card"], "************1111");
    assert!(!clean.text().contains("ada@example.com"), "{}", clean.text());

    // Above all none of a cache that cannot be written to: at the start a file is made in it.
    let log = trackside.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    assert_eq!(trackside.drain().await, 0);
}
