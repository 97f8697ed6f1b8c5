//! Plugins of every version of the contract that was released, as they were built then.

use std::fs;

use super::super::{Part, Refusal};
use super::*;

struct Golden {
    plugin: Arc<Plugin>,
    stage: Arc<ConfiguredStage>,
}

/// Every `tests/golden/plugin-VERSION.wasm`, configured, with an instance for many messages and with one for each.
fn golden() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let directory = tempfile::tempdir().expect("a folder");
    fs::create_dir(directory.path().join("schemas")).expect("a folder");
    fs::write(directory.path().join("schemas/golden.json"), "{}").expect("a file");
    let files = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    let files =
        files.flat_map(|path| [Isolation::Instance, Isolation::Message].map(|isolation| (path.clone(), isolation)));
    let golden = files.map(|(path, isolation)| {
        let settings = PluginSettings { grants: Grants { log: true, ..Grants::default() }, isolation, ..settings() };
        let plugin = ENGINE.load(source(fs::read(path).expect("a component"), settings)).expect("it loads");
        let routes = vec!["default".to_owned(), "other".to_owned()];
        let configure = |config: &str| {
            plugin.configure(config.to_owned(), routes.clone(), directory.path(), StageSecrets::default())
        };
        let refused = configure("{\"a\":1}").expect_err("it takes no settings").to_string();
        assert_eq!(refused, "not these settings: {\"a\":1}");
        let stage = configure("{}").expect("it takes the settings");
        assert_eq!(stage.has_snapshot(), isolation == Isolation::Message);
        Golden { stage, plugin }
    });
    golden.collect()
}

impl Golden {
    /// What it makes of a payload when it is told to do this.
    fn does(&self, what: &str, payload: &str) -> (Result<Verdict, CallError>, Message) {
        let mut work = work(payload);
        work.message.headers.push("Do", what);
        (call(&self.stage, &mut work), work.message)
    }

    fn payload(&self, what: &str, payload: &str) -> String {
        let (verdict, message) = self.does(what, payload);
        assert_eq!(verdict, Ok(Verdict::Forward), "{what}");
        String::from_utf8(message.payload.to_vec()).expect("text")
    }
}

#[test]
fn there_is_one_for_every_version() {
    let mut versions: Vec<_> = golden().iter().map(|golden| golden.plugin.contract().to_owned()).collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions, ["0.1.0"], "add the golden plugin of a version before it is released");
}

#[test]
fn each_finds_all_that_it_was_built_for() {
    for golden in golden() {
        let told = golden.payload("tell", "{}");
        let want = "orders.eu\nORDERS:1:0\ntrial\n1763800000123\n1\n2\n{}\nRegion=eu Do=tell\ndefault other\n{}";
        assert_eq!(told, want);

        let (_, message) = golden.does("headers", "{}");
        let headers: Vec<_> =
            message.headers.iter().map(|header| (header.name.as_ref(), header.value.as_str())).collect();
        assert_eq!(headers, [("Region", "eu"), ("One", "1"), ("One", "refused true")]);

        let payload = r#"{"a":"x","b":[null,true,2.50,[1]]}"#;
        assert_eq!(golden.payload("select", payload), "0 text x\n1 null\n1 boolean true\n1 number 2.50\n1 json [1]");
        assert_eq!(golden.payload("replace", payload), r#"{"a":1.50,"b":[true,null,["x"]]}"#);
        assert!(golden.payload("select", "{").starts_with("not JSON: "));

        let lines = super::secrets::logged(|| assert_eq!(golden.payload("log", "{}"), "{}"));
        assert_eq!(lines.len(), 3, "info, warn and error are shown: {lines:?}");
    }
}

#[test]
fn each_verdict_arrives() {
    let part = |payload: &'static str, route: Option<&str>| Part {
        payload: payload.into(),
        headers: [crate::message::Header { name: "Part".into(), value: payload.to_owned() }].into_iter().collect(),
        route: route.map(str::to_owned),
    };
    for golden in golden() {
        let verdict = |what: &str| golden.does(what, "{}").0;
        assert_eq!(verdict(""), Ok(Verdict::Forward));
        assert_eq!(verdict("route"), Ok(Verdict::Route(vec!["other".to_owned(), "default".to_owned()])));
        assert_eq!(verdict("split"), Ok(Verdict::Split(vec![part("one", None), part("two", Some("other"))])));
        assert_eq!(verdict("drop"), Ok(Verdict::Drop("no need".to_owned())));
        assert_eq!(verdict("reject"), Ok(Verdict::Reject("never".to_owned())));
        let after = Some(Duration::from_millis(250));
        assert_eq!(verdict("retry"), Err(CallError::Refused(Refusal { reason: "later".to_owned(), after })));
        assert_eq!(verdict("fatal"), Err(Fault::Fatal { reason: "broken".to_owned() }.into()));
    }
}
