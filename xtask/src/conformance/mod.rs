//! The conformance suite: in every language the plugin of `tests/conformance` is built as users build theirs and does
//! what the same cases say, and the template becomes a project whose tests pass.

mod language;
mod outcome;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::cargo::{BUILD_LIMIT, Workspace};
use crate::{release, shell, test};
pub(crate) use language::Language;
use outcome::{Outcome, Row};
use tools::Tools;

/// Where the table of `docs/plugins.md` comes from.
const MEASURED: &str = "tests/conformance/measured.md";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this language
    #[arg(value_enum)]
    language: Option<Language>,
    /// Measure with the release build; with all languages, for the table of docs/plugins.md
    #[arg(long)]
    release: bool,
}

/// Builds `trackside`, and runs the suite.
pub(crate) async fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let trackside = if args.release {
        release::build(workspace).await?
    } else {
        // As the tests build it, or its dependencies would be compiled once more.
        test::build(workspace).await?;
        workspace.target.join("debug").join("trackside")
    };
    let languages = args.language.map_or(Language::ALL.to_vec(), |language| vec![language]);
    let table = suite(workspace, trackside, &languages).await?;
    if args.release && args.language.is_none() {
        let path = workspace.root.join(MEASURED);
        let measured = format!("Measured by the release build, with nothing compiled before.\n\n{table}");
        std::fs::write(&path, measured).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The suite in all languages, with the `trackside` that was built for the tests.
pub(crate) async fn as_test(workspace: &Workspace) -> Result<()> {
    let trackside = workspace.target.join("debug").join("trackside");
    suite(workspace, trackside, &Language::ALL).await.map(drop)
}

async fn suite(workspace: &Workspace, trackside: PathBuf, languages: &[Language]) -> Result<String> {
    let scratch = workspace.target.join("conformance");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    std::fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let mut rows = Vec::new();
    for language in languages {
        println!("\n--- {}", language.title());
        let tools = Tools::provision(workspace, *language).await?;
        let suite = Suite { workspace, trackside: &trackside, scratch: &scratch, tools, language: *language };
        let conformance = suite.conformance().await?;
        suite.checks().await?;
        let template = suite.template().await?;
        rows.push(Row { language: *language, conformance, template });
    }
    let table = outcome::table(&rows);
    println!("\n{table}");
    let failed: Vec<_> = rows.iter().filter(|row| !row.holds()).map(|row| row.language.title()).collect();
    if !failed.is_empty() {
        bail!("cases do not hold in {}", failed.join(", "));
    }
    Ok(table)
}

/// A project of a template, for who wants a plugin of its own.
pub(crate) struct Project<'s> {
    suite: Suite<'s>,
    folder: PathBuf,
}

impl<'s> Project<'s> {
    /// Makes one in a folder for such projects, with all that it needs to be built.
    pub(crate) async fn begin(
        workspace: &'s Workspace,
        trackside: &'s Path,
        language: Language,
        scratch: &'s Path,
    ) -> Result<Self> {
        let tools = Tools::provision(workspace, language).await?;
        let suite = Suite { workspace, trackside, scratch, tools, language };
        let folder = suite.new_project().await?;
        Ok(Self { suite, folder })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Builds it.
    pub(crate) async fn build(&self, component: &Path) -> Result<()> {
        self.suite.build(&self.folder, component).await
    }
}

/// One language's part of the suite.
struct Suite<'s> {
    workspace: &'s Workspace,
    trackside: &'s Path,
    scratch: &'s Path,
    tools: Tools,
    language: Language,
}

impl Suite<'_> {
    /// Builds the conformance plugin and runs the cases that all languages share.
    async fn conformance(&self) -> Result<Outcome> {
        let tests = self.workspace.root.join("tests/conformance");
        let project = tests.join(self.language.name());
        let component = self.scratch.join(format!("{}.wasm", self.language.name()));
        self.prepare(&project).await?;
        self.build(&project, &component).await?;
        self.cases(&component, &tests.join("cases.toml")).await
    }

    /// The SDK's own tests.
    async fn checks(&self) -> Result<()> {
        for (program, arguments, folder) in self.language.checks() {
            let mut check = Command::new(program);
            self.tools.apply(check.args(*arguments).current_dir(self.workspace.root.join(folder)));
            let what = format!("{program} {} in {folder}", arguments.join(" "));
            shell::capture(&what, &mut check, BUILD_LIMIT).await?;
        }
        Ok(())
    }

    /// Makes a project of the template, with what it needs.
    async fn new_project(&self) -> Result<PathBuf> {
        let project = self.scratch.join(format!("new-{}", self.language.name()));
        let mut new = self.command(&["plugin", "new", "brand-new", "--lang", self.language.name(), "--dir"]);
        new.arg(&project);
        if self.language == Language::Rust {
            new.arg("--sdk").arg(self.workspace.root.join("plugin-sdk/rust"));
        }
        shell::capture("plugin new", &mut new, BUILD_LIMIT).await?;
        self.prepare(&project).await?;
        Ok(project)
    }

    /// Makes a project of the template, runs its own test, builds it and runs its cases.
    async fn template(&self) -> Result<Outcome> {
        let project = self.new_project().await?;
        let (program, arguments) = self.language.native_test();
        let mut native = Command::new(program);
        self.tools.apply(native.args(arguments).current_dir(&project));
        shell::capture(&format!("the native test in {}", self.language.title()), &mut native, BUILD_LIMIT).await?;
        let component = project.join("brand-new.wasm");
        self.build(&project, &component).await?;
        self.cases(&component, &project.join("cases.toml")).await
    }

    /// What a project needs in its own folder.
    async fn prepare(&self, project: &Path) -> Result<()> {
        let Some((program, arguments)) = self.language.install() else { return Ok(()) };
        let mut install = Command::new(program);
        self.tools.apply(install.args(arguments).current_dir(project));
        shell::capture(program, &mut install, BUILD_LIMIT).await.map(drop)
    }

    async fn build(&self, project: &Path, component: &Path) -> Result<()> {
        let mut build = self.command(&["plugin", "build"]);
        build.arg(project).arg("--output").arg(component);
        let what = format!("plugin build {}", self.workspace.shown(project));
        println!("{}", shell::capture(&what, &mut build, BUILD_LIMIT).await?.trim_end());
        Ok(())
    }

    async fn cases(&self, component: &Path, cases: &Path) -> Result<Outcome> {
        let mut test = self.command(&["plugin", "test", "--json"]);
        test.arg(component).arg(cases);
        let outcome = Outcome::of(&mut test).await?;
        println!("{}", outcome.shown(&self.workspace.shown(cases)));
        Ok(outcome)
    }

    /// `trackside`, with the language's tools and a cache of its own, so that compiling is measured.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.trackside);
        command.args(arguments).env("XDG_CACHE_HOME", self.scratch.join("cache"));
        self.tools.apply(&mut command);
        command
    }
}
