//! The unit of systemd, read by systemd; and what Trackside tells a service manager.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use trackside_tests::readers::{program, read};
use trackside_tests::{PATIENCE, Server, Setup, Trackside, free_port};

use crate::deploy;

const RULE: &str = "[[rule]]\nname = \"a\"\nsource = \"a\"\nsubject = \"a.*\"\nroutes = { default = \"b.c\" }\n\
                    on-failure = { dead-letter = \"dead.a\" }\n";
const SOURCE: &str = "watch = false\n[sources.a]\nsubject = \"a.>\"\n";

/// The worst that `systemd-analyze security` may say, in tenths. deploy/README.md tells the score itself.
const MOST_EXPOSED: &str = "15";

/// The unit with its credentials, in a folder where what it starts is there.
fn unit(folder: &Path) -> String {
    let text = fs::read_to_string(deploy("systemd/trackside.service")).expect("the unit");
    assert!(text.contains("\nExecStart=/usr/bin/trackside run /etc/trackside\n"), "{text}");
    let unit = folder.join("trackside.service");
    fs::write(&unit, text.replace("/usr/bin/trackside ", "/bin/true ")).expect("a copy");
    let (from, to) = (deploy("systemd/trackside.service.d"), folder.join("trackside.service.d"));
    fs::create_dir(&to).expect("a folder");
    for entry in fs::read_dir(from).expect("what is added to the unit") {
        let entry = entry.expect("a file");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
    unit.to_str().expect("UTF-8").to_owned()
}

#[tokio::test]
async fn systemd_finds_nothing_wrong_with_the_unit_and_its_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = unit(folder.path());
    let verify = || program("sh", &["-c", "systemd-analyze verify --man=no \"$0\" 2>&1", &unit]);
    // Other units of the machine are loaded with it, and their faults are told as well.
    let said = read(verify(), "").await.unwrap_or_else(|said| panic!("{said}"));
    assert!(!said.contains("trackside"), "{said}");
    // It reads what is added to the unit, too.
    fs::write(folder.path().join("trackside.service.d/wrong.conf"), "[Service]\nLoadCredentials=a:b\n")
        .expect("a file");
    let said = read(verify(), "").await.unwrap_or_else(|said| said);
    assert!(said.contains("wrong.conf:2: Unknown key") && said.contains("LoadCredentials"), "{said}");
}

#[tokio::test]
async fn the_service_is_as_little_exposed_as_the_readme_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = unit(folder.path());
    let security = ["security", "--offline=true", "--no-pager", "--threshold", MOST_EXPOSED, &unit];
    let said = read(program("systemd-analyze", &security), "").await.unwrap_or_else(|said| panic!("{said}"));
    let readme = fs::read_to_string(deploy("README.md")).expect("the page");
    assert!(readme.contains("`systemd-analyze security` gives it 1.2"), "{said}");
}

/// A server, and a configuration for it.
async fn world() -> (Server, Setup) {
    let server = Server::start().await;
    server.stream("DEAD", &["dead.>"]).await;
    let setup = Setup::new(&server.url(), SOURCE);
    setup.write("rules/a.toml", RULE);
    (server, setup)
}

/// What the service manager is told next, without the status lines.
fn told(socket: &UnixDatagram) -> String {
    loop {
        let message = next(socket);
        if !message.starts_with("STATUS=") {
            return message;
        }
    }
}

fn next(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut message = [0; 4096];
    let length = socket.recv(&mut message).expect("the service manager is told something");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[tokio::test]
async fn a_service_manager_is_told_of_start_reload_and_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let (_server, setup) = world().await;
    let told_at = [("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))];
    let mut trackside = Trackside::start_with(&setup, &told_at).await;
    assert_eq!(told(&socket), "READY=1");
    for rules in [RULE.replace("b.c", "b.d"), "this is no rule".to_owned()] {
        setup.write("rules/a.toml", rules);
        trackside.process().signal("HUP");
        let reloading = told(&socket);
        let (first, time) = reloading.split_once("\nMONOTONIC_USEC=").expect("which reload it is");
        assert_eq!(first, "RELOADING=1");
        assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{time}");
        assert_eq!(told(&socket), "READY=1", "whatever came of it");
    }
    assert!(trackside.log().contains("the configuration was rejected"), "{}", trackside.log());
    trackside.process().signal("TERM");
    assert_eq!(told(&socket), "STOPPING=1");
    assert_eq!(trackside.process().ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_status_line_says_what_is_waited_for_and_the_start_is_not_over_before() {
    let name = format!("trackside-test-{}", free_port());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    let (mut server, setup) = world().await;
    server.stop();
    let mut trackside = Trackside::spawn(setup.path(), &setup.admin, &[("NOTIFY_SOCKET", &format!("@{name}"))]);
    let waiting = "STATUS=not ready: connection: not connected yet; ";
    while !next(&socket).starts_with(waiting) {}
    server.restart().await;
    let mut before = Vec::new();
    loop {
        let message = next(&socket);
        if message == "STATUS=ready" {
            break;
        }
        before.push(message);
    }
    assert!(before.contains(&"READY=1".to_owned()) || told(&socket) == "READY=1", "{before:?}");
    trackside.ready().await;
    assert_eq!(trackside.drain().await, 0);
}

#[tokio::test]
async fn a_service_manager_that_is_gone_costs_a_warning_and_nothing_else() {
    let (_server, setup) = world().await;
    let trackside = Trackside::start_with(&setup, &[("NOTIFY_SOCKET", "/nowhere/notify")]).await;
    let log = trackside.log();
    assert!(log.contains("the service manager at NOTIFY_SOCKET cannot be told `STATUS="), "{log}");
    assert_eq!(trackside.drain().await, 0);
}
