//! Compiling in a process of its own. How long the compiler takes, and how much memory, is up to the component, and
//! wasmtime cannot be interrupted: a process can. Another one of this very program is started (`trackside
//! compile-component`), confines itself, reads the component from its standard input and writes what it made of it to its
//! standard output. It finds nothing in its environment, and keeps nothing.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::rules::PluginLimits;

use super::engine::{self, failed_to_compile};
use super::error::LoadError;
use super::inspect::MAX_COMPONENT_BYTES;
use super::text;

/// The subcommand of this program, which its help does not show.
pub const COMPILE_COMMAND: &str = "compile-component";

/// Largest compiled component. A language runtime of 12 MiB becomes some 60.
const MAX_COMPILED_BYTES: usize = 512 << 20;

/// How much is read of what the process complains about.
const MAX_COMPLAINT_BYTES: u64 = 16 << 10;

/// How the process says that the component is to blame, and not the compiler or its limits.
const REFUSED: u8 = 3;

/// How much lower than the rest of Trackside its priority is: traffic goes on while something compiles.
const NICENESS: i32 = 10;

/// What glibc sets aside for each thread that allocates is 64 MiB of address space, which is what is limited.
const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "4");

/// Where components are compiled.
#[derive(Debug, Clone, Default)]
pub enum CompileIn {
    /// In this process, without bounds: for components that are trusted.
    #[default]
    ThisProcess,
    /// In a process of this program, which has to have the subcommand [`COMPILE_COMMAND`].
    Child(PathBuf),
}

impl CompileIn {
    /// In a process of the program that is running.
    #[must_use]
    pub fn child_of_this_program() -> Self {
        // The name of the program's file may lead to a newer one by now; this one leads to what is running.
        let running = Path::new("/proc/self/exe");
        let program = if running.exists() { None } else { std::env::current_exe().ok() };
        Self::Child(program.unwrap_or_else(|| running.to_owned()))
    }
}

/// What a process has said by its end.
struct Said {
    status: ExitStatus,
    compiled: Vec<u8>,
    complaint: String,
}

/// Has a component compiled by a process of its own, which is ended when its time is over.
///
/// # Errors
/// When the component does not compile, or not within its limits.
pub(super) fn in_child(program: &Path, component: &[u8], limits: &PluginLimits) -> Result<Vec<u8>, LoadError> {
    // On a thread of its own: the caller's may belong to a runtime, on which nothing may wait like this.
    let said = std::thread::scope(|scope| {
        scope
            .spawn(|| converse(program, component, limits))
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    if said.compiled.len() > MAX_COMPILED_BYTES {
        return Err(LoadError::CompiledLarge { max_bytes: MAX_COMPILED_BYTES });
    }
    if said.status.success() {
        return Ok(said.compiled);
    }
    let complaint = text::line(said.complaint.trim(), 1024);
    if said.status.code() == Some(REFUSED.into()) {
        return Err(LoadError::Compile { reason: complaint });
    }
    let starved = ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable"];
    if starved.iter().any(|sign| complaint.contains(sign)) {
        return Err(LoadError::CompileMemory { limit_bytes: limits.compile_memory_bytes });
    }
    Err(LoadError::CompilerBroke { status: said.status.to_string(), complaint })
}

fn converse(program: &Path, component: &[u8], limits: &PluginLimits) -> Result<Said, LoadError> {
    let failed = |error: std::io::Error| LoadError::Compiler { reason: error.to_string() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let seconds = limits.compile_timeout.as_secs().saturating_add(1);
    let mut command = Command::new(program);
    command.arg(COMPILE_COMMAND).arg(limits.compile_memory_bytes.to_string()).arg(seconds.to_string());
    command.env_clear().env(ARENAS.0, ARENAS.1).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    runtime.block_on(async {
        let child = command.spawn().map_err(failed)?;
        match tokio::time::timeout(limits.compile_timeout, hear(child, component)).await {
            Ok(said) => said.map_err(failed),
            Err(_) => Err(LoadError::CompileTime { limit: limits.compile_timeout }),
        }
    })
}

async fn hear(mut child: Child, component: &[u8]) -> std::io::Result<Said> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(std::io::Error::other("a pipe is missing"));
    };
    let (mut compiled, mut complaint) = (Vec::new(), Vec::new());
    let write = async move {
        // One that does not read to the end says why.
        let _ = stdin.write_all(component).await;
    };
    let mut compiled_bytes = stdout.take(MAX_COMPILED_BYTES as u64 + 1);
    let mut complaint_bytes = stderr.take(MAX_COMPLAINT_BYTES);
    let read = async {
        tokio::try_join!(compiled_bytes.read_to_end(&mut compiled), complaint_bytes.read_to_end(&mut complaint))
    };
    let (_, read) = tokio::join!(write, read);
    read?;
    if compiled.len() > MAX_COMPILED_BYTES {
        child.start_kill()?;
    }
    let status = child.wait().await?;
    Ok(Said { status, compiled, complaint: String::from_utf8_lossy(&complaint).into_owned() })
}

/// What the process does: confines itself to so much memory and, in case nobody is left to end it, so many seconds on
/// every processor, and compiles. Returns its exit code.
#[must_use]
pub fn compile_component(memory_bytes: u64, seconds: u64) -> u8 {
    let compiled = confine(memory_bytes, seconds).map_err(|error| (1, format!("cannot be confined: {error}")));
    let compiled = compiled.and_then(|()| {
        let mut component = Vec::new();
        let bound = MAX_COMPONENT_BYTES as u64 + 1;
        let read = std::io::stdin().lock().take(bound).read_to_end(&mut component);
        read.map_err(|error| (1, format!("the component cannot be read: {error}")))?;
        compile(&component)
    });
    let written = compiled.and_then(|compiled| {
        std::io::stdout().lock().write_all(&compiled).map_err(|error| (1, format!("nobody takes it: {error}")))
    });
    match written {
        Ok(()) => 0,
        Err((code, reason)) => {
            eprintln!("{reason}");
            code
        }
    }
}

fn compile(component: &[u8]) -> Result<Vec<u8>, (u8, String)> {
    let engine = engine::for_compiling().map_err(|error| (1, error.to_string()))?;
    engine.precompile_component(component).map_err(|error| (REFUSED, failed_to_compile(&error)))
}

fn confine(memory_bytes: u64, seconds: u64) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};

    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let most = |amount: u64| Rlimit { current: Some(amount), maximum: Some(amount) };
    // Where memory runs out for everybody, this process is the one to end. Only Linux has that.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    setrlimit(Resource::As, most(memory_bytes))?;
    setrlimit(Resource::Cpu, most(seconds.saturating_mul(cores)))?;
    setrlimit(Resource::Fsize, most(0))?;
    setrlimit(Resource::Core, most(0))?;
    nice(NICENESS)?;
    Ok(())
}
