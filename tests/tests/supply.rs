//! Where plugins come from: lock file, signatures and registries, by the commands and in a running Trackside.

use trackside_tests::{Finished, LOGIN, Registry, Server, Setup, Trackside, command, command_with, hostile, until};

const SOURCE: &str = "[sources.orders]\nstream = \"ORDERS\"\ndurable = \"trackside-orders\"\n\
                      [streams.CLEAN]\nsubjects = [\"clean.>\"]\n";

const RULE: &str = "[[rule]]\nname = \"orders\"\nsource = \"orders\"\nsubject = \"orders.>\"\n\
                    [[rule.stage]]\nplugin = \"own\"\n[rule.routes]\ndefault = \"clean.orders\"\n\
                    [rule.on-failure]\ndead-letter = \"dead.orders\"\n";

const BY_PATH: &str = "[plugins.own]\npath = \"plugins/own.wasm\"\n";

/// A configuration with these tables, whose plugin of its own is `forward`. It has a cache of its own, in which nothing is
/// yet.
fn setup(server: &str, tables: &str) -> Setup {
    let setup = Setup::new(server, "");
    configure(&setup, server, tables);
    setup.write("rules/orders.toml", RULE);
    setup.write("plugins/own.wasm", hostile::component("forward"));
    setup
}

fn configure(setup: &Setup, server: &str, tables: &str) {
    let admin = &setup.admin;
    let head =
        format!("[nats]\nservers = [\"{server}\"]\n[admin]\nlisten = \"{admin}\"\n[runtime]\ncache = \"../cache\"\n");
    setup.write("trackside.toml", format!("{head}{SOURCE}{tables}"));
}

async fn server() -> Server {
    let server = Server::start().await;
    for (name, subjects) in [("ORDERS", "orders.>"), ("CLEAN", "clean.>"), ("DEAD", "dead.>")] {
        server.stream(name, &[subjects]).await;
    }
    server
}

/// Publishes the numbers up to this one.
async fn publish(server: &Server, last: usize) {
    let context = async_nats::jetstream::new(server.client().await);
    for number in 1..=last {
        let stored = context.publish("orders.new", number.to_string().into()).await.expect("the client can publish");
        stored.await.expect("the stream stores it");
    }
}

/// A command that has to succeed.
fn succeed(arguments: &[&str]) -> String {
    let done = command(arguments, b"");
    assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
    done.stdout
}

/// A command that has to fail, and say this; lines are wrapped where a terminal would.
fn refuse(arguments: &[&str], says: &[&str]) {
    refused(&command(arguments, b""), says);
}

fn refused(done: &Finished, says: &[&str]) {
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{}", done.stderr);
    for say in says {
        assert!(says_so(&done.stderr, say), "{say} in\n{}", done.stderr);
    }
}

/// Whether a report says this. It wraps lines where a terminal would.
fn says_so(report: &str, say: &str) -> bool {
    let flat = |text: &str| text.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    flat(report).contains(&flat(say))
}

/// The reference of what was pushed, as the command prints it.
fn push(arguments: &[&str]) -> String {
    succeed(&[&["plugin", "push"], arguments].concat()).trim_end().to_owned()
}

mod commands {
    use super::*;

    #[test]
    fn a_lock_is_written_checked_and_kept_to_by_check_and_try() {
        let setup = setup("nats://127.0.0.1:1", BY_PATH);
        let directory = setup.argument();
        refuse(&["plugin", "lock", directory, "--check"], &["there is no", "trackside.lock", "write it by"]);
        let written = succeed(&["plugin", "lock", directory]);
        assert!(written.starts_with("+ own  ") && written.ends_with("trackside.lock: 1 plugin\n"), "{written}");
        assert!(succeed(&["plugin", "lock", directory, "--check"]).starts_with("ok: "));
        assert!(succeed(&["check", directory]).starts_with("ok: "));
        let again = succeed(&["plugin", "lock", directory]);
        assert_eq!(again.lines().count(), 1, "nothing changed: {again}");

        setup.write("plugins/own.wasm", hostile::component("retry"));
        let says = ["plugin `own`: trackside.lock expects the SHA-256", "run `trackside plugin lock"];
        for arguments in [
            ["plugin", "lock", directory, "--check"].as_slice(),
            &["check", directory],
            &["try", directory, "--subject", "orders.1"],
        ] {
            refuse(arguments, &says);
        }
        let changed = succeed(&["plugin", "lock", directory]);
        assert!(changed.starts_with("- own  ") && changed.contains("\n+ own  "), "{changed}");
        assert!(succeed(&["check", directory]).starts_with("ok: "));
        setup.write("trackside.lock", "version = 1\n[[plugin]]\nname = \"ow");
        refuse(&["check", directory], &["is not a lock file, or not all of one"]);
    }

    #[test]
    fn a_component_is_signed_verified_and_loaded_with_the_key_that_was_made() {
        let setup = setup("nats://127.0.0.1:1", BY_PATH);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name).to_str().expect("a name of UTF-8").to_owned();
        let (key, public) = (at("release.key"), at("release.key.pub"));
        let made = succeed(&["plugin", "keygen", &key]);
        let keys = made.split_once("\n\n").expect("the lines for the configuration").1;
        assert!(keys.starts_with("[trust.keys]\nrelease = \"MCow"), "{made}");
        refuse(&["plugin", "keygen", &key], &["cannot be written", "exists"]);

        let component = format!("{}/plugins/own.wasm", setup.argument());
        refuse(&["plugin", "verify", &component, "--key", &public], &["own.wasm.sig: cannot be read"]);
        let with_keys = format!("{BY_PATH}require-signature = [\"release\"]\n{keys}");
        configure(&setup, "nats://127.0.0.1:1", &with_keys);
        refuse(&["check", setup.argument()], &["plugin `own`: it has to be signed by `release`, and has no signature"]);

        succeed(&["plugin", "sign", &component, "--key", &key]);
        assert!(succeed(&["plugin", "verify", &component, "--key", &public]).starts_with("ok: "));
        let line = keys.split('"').nth(1).expect("the key");
        assert!(succeed(&["plugin", "verify", &component, "--key", line]).starts_with("ok: "));
        assert!(succeed(&["check", setup.argument()]).starts_with("ok: "));

        // By another key, from a variable: the line is added, and the first one stays.
        let other = at("other.key");
        succeed(&["plugin", "keygen", &other]);
        let text = std::fs::read_to_string(&other).expect("the key");
        let sign = ["plugin", "sign", &component, "--key", "env:SIGNING_KEY"];
        assert_eq!(command_with(&sign, &[("SIGNING_KEY", &text)], b"").code, 0);
        assert!(succeed(&["plugin", "verify", &component, "--key", &public]).starts_with("ok: "));

        setup.write("plugins/own.wasm", hostile::component("retry"));
        let says = ["is not one of this component"];
        refuse(&["plugin", "verify", &component, "--key", &public], &says);
        refuse(&["check", setup.argument()], &says);
        let chmod = std::process::Command::new("chmod").args(["644", &key]).status().expect("chmod is on every Unix");
        assert!(chmod.success());
        refuse(&["plugin", "sign", &component, "--key", &key], &["may be read or written by others (mode 644)"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_from_a_registry_is_pinned_by_the_lock_and_starts_without_the_registry() {
    let (server, mut registry) = (server().await, Registry::start().await);
    let url = server.url();
    let setup = setup(&url, "");
    let component = format!("{}/plugins/own.wasm", setup.argument());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = folder.path().join("release").to_str().expect("a name of UTF-8").to_owned();
    let made = succeed(&["plugin", "keygen", &key]);
    succeed(&["plugin", "sign", &component, "--key", &key]);
    let keys = made.split_once("\n\n").expect("the lines for the configuration").1;
    let trust = format!("[trust]\nrequire-signature = [\"release\"]\n{keys}");

    let tag = format!("{}/team/own:1.0", registry.host);
    let by_digest = push(&[&component, &tag]);
    assert!(by_digest.starts_with(&format!("{}/team/own@sha256:", registry.host)), "{by_digest}");
    assert_eq!(push(&[&component, &tag]), by_digest, "the same is the same, whoever pushes it");
    let plugin = |reference: &str| format!("[plugins.own]\noci = \"{reference}\"\n{trust}");
    configure(&setup, &url, &plugin(&tag));
    refuse(
        &["check", setup.argument()],
        &["is a tag, which may lead to something else tomorrow", "run `trackside plugin lock"],
    );
    succeed(&["plugin", "lock", setup.argument()]);
    assert!(succeed(&["check", setup.argument()]).starts_with("ok: "));

    // The tag moves on to what is not signed, and nothing here changes.
    let other = folder.path().join("other.wasm");
    std::fs::write(&other, hostile::component("retry")).expect("a file in a temporary folder");
    push(&[other.to_str().expect("a name of UTF-8"), &tag]);
    assert!(succeed(&["plugin", "lock", setup.argument(), "--check"]).starts_with("ok: "));
    refuse(
        &["plugin", "lock", setup.argument()],
        &["has to be signed by `release`, and has no signature: its manifest has none"],
    );

    registry.stop();
    let trackside = Trackside::start(&setup).await;
    publish(&server, 1).await;
    assert_eq!(server.stored("CLEAN", 1).await[0].text(), "1");
    assert_eq!(trackside.drain().await, 0);

    // By digest it needs no lock; but what was never fetched needs the registry.
    std::fs::remove_file(setup.path().join("trackside.lock")).expect("it was there");
    configure(&setup, &url, &plugin(&by_digest));
    assert!(succeed(&["check", setup.argument()]).starts_with("ok: "));
    let (known, last) = by_digest.split_at(by_digest.len() - 1);
    let unknown = format!("{known}{}", if last == "0" { '1' } else { '0' });
    configure(&setup, &url, &plugin(&unknown));
    refuse(
        &["check", setup.argument()],
        &["cannot be reached", "Connection refused", "reload once the registry is back"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_tls_and_a_login_is_reached_by_who_has_both() {
    let registry = Registry::start_guarded().await;
    let setup = setup("nats://127.0.0.1:1", "");
    let component = format!("{}/plugins/own.wasm", setup.argument());
    let tag = format!("{}/own:1", registry.host);
    let (ca, (user, password)) = (registry.ca(), LOGIN);
    let base = ["plugin", "push", &component, &tag, "--ca", &ca];
    refuse(&base, &["asks for a user and a password"]);
    let login = [base.as_slice(), &["--user", user, "--password", "env:REGISTRY_PASSWORD"]].concat();
    refused(&command_with(&login, &[("REGISTRY_PASSWORD", "wrong")], b""), &["refuses (status 401)"]);
    refuse(
        &["plugin", "push", &component, &tag, "--user", user, "--password", password],
        &["not a reference to a secret"],
    );
    let done = command_with(&login, &[("REGISTRY_PASSWORD", password)], b"");
    assert_eq!(done.code, 0, "{}", done.stderr);

    let plugin = format!("[plugins.own]\noci = \"{}\"\n[registries.\"{}\"]\n", done.stdout.trim_end(), registry.host);
    let check = |more: &str, password: &str| {
        configure(&setup, "nats://127.0.0.1:1", &format!("{plugin}{more}"));
        command_with(&["check", setup.argument()], &[("REGISTRY_PASSWORD", password)], b"")
    };
    let (ca, login) = (format!("ca = {ca:?}\n"), format!("user = \"{user}\"\npassword = \"env:REGISTRY_PASSWORD\"\n"));
    let stranger = format!("ca = {:?}\n", registry.strange_ca());
    refused(
        &check(&stranger, password),
        &["cannot be reached", "an authority that is not trusted here: those of ", "strange.pem are, the `ca` of"],
    );
    refused(&check(&ca, password), &["asks for a user and a password"]);
    refused(&check(&format!("{ca}{login}"), "wrong"), &["refuses (status 401)"]);
    let done = check(&format!("{ca}{login}"), password);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains(password));
}

#[tokio::test]
async fn a_registry_that_hangs_holds_up_no_message_and_changes_nothing() {
    let server = server().await;
    let url = server.url();
    let setup = setup(&url, BY_PATH);
    let trackside = Trackside::start(&setup).await;
    let revision = trackside.revision().await;

    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = hanging.local_addr().expect("its address");
    let digest = "0".repeat(64);
    configure(&setup, &url, &format!("[plugins.own]\noci = \"{host}/own@sha256:{digest}\"\n"));
    let (asked, _) = hanging.accept().await.expect("it is asked");
    // From here on the reload waits for an answer, until this test gives none.
    publish(&server, 50).await;
    assert_eq!(server.stored("CLEAN", 50).await.len(), 50);
    assert!(!trackside.log().contains("was rejected"), "{}", trackside.log());
    drop(asked);
    until("the rejection", async || trackside.log().contains("was rejected").then_some(())).await;
    assert!(says_so(&trackside.log(), "cannot be reached"), "{}", trackside.log());
    assert_eq!(trackside.revision().await, revision);
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_lock_that_changes_or_goes_away_takes_part_in_the_reload() {
    let server = server().await;
    let setup = setup(&server.url(), &format!("{BY_PATH}[trust]\nrequire-lock = true\n"));
    succeed(&["plugin", "lock", setup.argument()]);
    let trackside = Trackside::start(&setup).await;
    let revision = trackside.revision().await;

    let logged = |what: &'static str| until(what, async || says_so(&trackside.log(), what).then_some(()));
    setup.write("plugins/own.wasm", hostile::component("retry"));
    logged("trackside.lock expects the SHA-256").await;
    assert_eq!(trackside.revision().await, revision);
    succeed(&["plugin", "lock", setup.argument()]);
    let second = trackside.revision_after(&revision).await;

    std::fs::remove_file(setup.path().join("trackside.lock")).expect("it was there");
    logged("says `require-lock`").await;
    assert_eq!(trackside.revision().await, second);
    setup.write("plugins/own.wasm", hostile::component("forward"));
    succeed(&["plugin", "lock", setup.argument()]);
    assert_eq!(trackside.revision_after(&second).await, revision, "what went into it is the same again");
    assert_eq!(trackside.drain().await, 0);
}
