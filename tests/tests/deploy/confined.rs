//! Trackside as the image and the manifests run it: nobody in particular, with no rights, where nothing can be written but
//! a folder in memory. The configurations are those of the manifests.

use std::fs;

use serde_json::json;
use tempfile::TempDir;
use trackside_tests::app::App;
use trackside_tests::http::post;
use trackside_tests::{Server, Trackside, cache_folder, free_port, until};

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

/// Starts it with the configuration of a manifest, in which these are replaced by what is there in the test.
async fn start(file: &str, replacements: &[(&str, String)]) -> (TempDir, Trackside) {
    let (folder, directory) = configuration(file).await;
    let admin = format!("127.0.0.1:{}", free_port());
    for name in ["trackside.toml", "rules/orders.toml", "rules/payments.toml"].map(|name| directory.join(name)) {
        let Ok(mut text) = fs::read_to_string(&name) else { continue };
        for (from, to) in replacements.iter().chain(&[("0.0.0.0:9270", admin.clone())]) {
            text = text.replace(from, to);
        }
        fs::write(name, text).expect("written");
    }
    // `sh -c` takes the argument after the script for its own name. What other tests have compiled saves it the time.
    let cache = cache_folder();
    fs::create_dir_all(&cache).expect("the cache of the tests");
    let wrapper: Vec<_> = WRAPPER.into_iter().chain(["confined", cache.to_str().expect("UTF-8")]).collect();
    let environment = [("XDG_CACHE_HOME", "/var/cache")];
    (folder, Trackside::spawn_under(&wrapper, &["run"], &directory, &admin, &environment))
}

async fn server(streams: &[(&str, &str)]) -> Server {
    let server = Server::start().await;
    for (name, subjects) in streams {
        server.stream(name, &[subjects]).await;
    }
    server
}

#[tokio::test]
async fn the_deployment_works_with_no_rights_on_a_file_system_that_cannot_be_written_to() {
    let server = server(&[("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")]).await;
    let (_folder, mut trackside) = start("deployment.yaml", &[("nats://nats.nats.svc:4222", server.url())]).await;
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

#[tokio::test]
async fn the_sidecar_is_alive_before_its_service_is_up_and_works_once_it_is() {
    let server = server(&[("PAYMENTS", "payments.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")]).await;
    let (listen, port) = (format!("127.0.0.1:{}", free_port()), free_port());
    let replacements = [
        ("nats://nats.nats.svc:4222", server.url()),
        ("127.0.0.1:9280", listen.clone()),
        ("127.0.0.1:8080", format!("127.0.0.1:{port}")),
    ];
    let (_folder, mut trackside) = start("sidecar.yaml", &replacements).await;
    // Kubernetes starts the service when the start-up probe has succeeded, so that must not wait for the service.
    let service = format!("service http://127.0.0.1:{port}");
    until("everything but the service to be there", async || {
        let log = trackside.log();
        log.contains("connected to NATS").then_some(())
    })
    .await;
    assert_eq!(trackside.admin("GET", "/healthz").await.0, 200);
    let (status, reasons) = trackside.admin("GET", "/readyz").await;
    assert!(status == 503 && reasons.contains(&service), "{status} {reasons}");

    let app = App::start(port, async |_| (204, None)).await;
    trackside.ready().await;
    let order = json!({ "payment": { "card": "4111111111111111" } });
    let published = post(&listen, "/v1/publish/orders.created", &[], &order.to_string()).await;
    assert_eq!(published.status, 200, "{published:?}");
    let clean = &server.stored("CLEAN", 1).await[0];
    assert_eq!(
        (clean.subject.as_str(), clean.text()),
        ("clean.orders.created", r#"{"payment":{"card":"************1111"}}"#)
    );
    let client = server.client().await;
    client.publish("payments.settled", "{\"order\":7}".into()).await.expect("it can be published");
    client.flush().await.expect("it is sent");
    assert_eq!(app.took(1).await, ["{\"order\":7}"]);
    assert_eq!(app.seen()[0].path, "/payments");
    assert_eq!(trackside.drain().await, 0);
}
