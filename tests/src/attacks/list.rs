//! The list.

use super::Outcome::{Dead, InVain, Refused};
use super::{Attack, Made, Outcome, bombs};

const ROUTE: &str = "clean.attack";

const TIME: &str = "Time";
const MEMORY: &str = "Memory";
const TRAPS: &str = "Traps, wherever the host calls";
const RESULTS: &str = "Results that are none";
const CALLS: &str = "Floods of host calls";
const SELECTORS: &str = "Selectors";
const HANDLES: &str = "Handles, and calls out of turn";
const INJECTION: &str = "Injection";
const VERDICTS: &str = "Huge verdicts";
const WORLD: &str = "The world outside";
const STATE: &str = "State";
const LOAD: &str = "Components, and those who compile them";

const OVER_BYTES: Outcome =
    Dead("limit", "the plugin went over its limit of 8MiB exchanged with the host (`host-bytes`)");
const OVER_CALLS: Outcome = Dead("limit", "the plugin went over its limit of 10000 host calls (`host-calls`)");
const LATE: Outcome = Dead("deadline", "the plugin did not finish within its deadline of 50ms");
const TRAPPED: &str = "the plugin trapped: ";
const SHORT: &str = "deadline = \"50ms\"";
/// With more memory than a compiler fills in that time, so that the time is what stops it on a fast machine too.
const SOON: &str = "compile-timeout = \"500ms\"\ncompile-memory = \"8GiB\"";
const TOO_LONG: Outcome = Refused("it is not compiled after 500ms");

const fn file(group: &'static str, name: &'static str, outcome: Outcome) -> Attack {
    Attack { name, group, made: Made::File, settings: "", route: ROUTE, outcome }
}

const fn with(settings: &'static str, attack: Attack) -> Attack {
    Attack { settings, ..attack }
}

const fn bomb(name: &'static str, make: fn() -> Vec<u8>, says: &'static str, outcome: Outcome) -> Attack {
    Attack { name, group: LOAD, made: Made::By(make, says), settings: "", route: ROUTE, outcome }
}

/// All of them, by group.
pub const ATTACKS: &[Attack] = &[
    with(SHORT, file(TIME, "loop", LATE)),
    with(SHORT, file(TIME, "loop-in-realloc", LATE)),
    with(SHORT, file(TIME, "loop-in-post-return", LATE)),
    with(
        "configure-deadline = \"50ms\"",
        file(TIME, "loop-in-configure", Refused("the plugin did not finish within its deadline of 50ms")),
    ),
    with(
        "configure-deadline = \"50ms\"",
        file(TIME, "loop-in-start", Refused("the plugin did not finish within its deadline of 50ms")),
    ),
    file(TIME, "busy", InVain(None)),
    file(TIME, "busy-in-configure", Dead("trap", TRAPPED)),
    file(TIME, "recursion", Dead("trap", "the plugin trapped: it used up its call stack in `deeper`")),
    file(TIME, "recursion-in-realloc", Dead("trap", "the plugin trapped: it used up its call stack in `deeper`")),
    file(MEMORY, "memory", Dead("limit", "the plugin ran out of its 16MiB of memory")),
    file(MEMORY, "memory-at-start", Refused("the plugin ran out of its 16MiB of memory")),
    file(MEMORY, "memory-creep", InVain(None)),
    file(MEMORY, "memory-survivor", InVain(None)),
    file(MEMORY, "table", Dead("limit", "the plugin went over its limit of 20000 table elements (`table-elements`)")),
    file(MEMORY, "table-at-start", Refused("the plugin went over its limit of 20000 table elements")),
    file(MEMORY, "table-giant", Refused("exceeds the limit of 131072")),
    file(TRAPS, "trap", Dead("trap", "the plugin trapped: it aborted (wasm `unreachable`) in `broken_on_purpose`")),
    file(TRAPS, "trap-in-start", Refused(TRAPPED)),
    file(TRAPS, "trap-in-configure", Refused(TRAPPED)),
    file(TRAPS, "trap-in-realloc", Dead("trap", TRAPPED)),
    file(TRAPS, "trap-in-post-return", Dead("trap", TRAPPED)),
    file(TRAPS, "exit", Dead("trap", "the plugin trapped: it exited with code 1")),
    file(TRAPS, "fatal", Dead("trap", "the plugin gave up: cannot\\non!")),
    file(RESULTS, "bad-pointer", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-length", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-alignment", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-text", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-verdict", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-result", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-option", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-level", Dead("trap", TRAPPED)),
    file(RESULTS, "bad-realloc", Dead("trap", TRAPPED)),
    file(RESULTS, "wild-realloc", InVain(None)),
    file(CALLS, "host-calls", OVER_CALLS),
    with("host-calls = 100000000", file(CALLS, "payload-flood", OVER_BYTES)),
    file(CALLS, "header-flood", OVER_CALLS),
    file(CALLS, "aliased-strings", OVER_BYTES),
    file(CALLS, "metadata-flood", OVER_CALLS),
    file(CALLS, "publish-flood", OVER_CALLS),
    file(CALLS, "log", InVain(None)),
    file(CALLS, "log-huge", OVER_BYTES),
    file(SELECTORS, "select-nested", OVER_BYTES),
    file(SELECTORS, "select-many", Dead("rejected", "the paths match more than 100000 places")),
    file(SELECTORS, "select-slow", Dead("rejected", "the paths take more than 20000000 steps")),
    file(SELECTORS, "selector-pattern", Dead("rejected", "path 0")),
    file(SELECTORS, "selector-deep", Dead("rejected", "path 0")),
    file(SELECTORS, "selector-long", Dead("rejected", "path 0 has 1048576 bytes")),
    file(SELECTORS, "selector-many", Dead("rejected", "10000 paths are too many for one selector")),
    with("deadline = \"10s\"", file(SELECTORS, "selector-large", Dead("rejected", "path 0"))),
    file(SELECTORS, "selector-leak", InVain(None)),
    with("deadline = \"10s\"", file(SELECTORS, "selector-memory", InVain(None))),
    file(HANDLES, "forged-handle", Dead("trap", TRAPPED)),
    file(HANDLES, "stale-handle", Dead("trap", TRAPPED)),
    file(HANDLES, "stale-message", Dead("trap", TRAPPED)),
    file(HANDLES, "handle-twice", Dead("trap", TRAPPED)),
    file(HANDLES, "foreign-handle", Dead("trap", TRAPPED)),
    file(HANDLES, "handle-flood", Dead("trap", TRAPPED)),
    file(HANDLES, "client-flood", Dead("limit", "the plugin went over its limit of 10000 handles at a time")),
    file(HANDLES, "poll-flood", OVER_BYTES),
    file(
        HANDLES,
        "setup-in-handle",
        Dead("trap", "the plugin trapped: it called `setup.read-file` outside of `configure`"),
    ),
    file(HANDLES, "message-in-configure", Refused("it called `message.subject` outside of `handle`")),
    file(HANDLES, "message-in-start", Refused("it called `message.timestamp` outside of `handle`")),
    file(HANDLES, "message-in-post-return", Dead("trap", TRAPPED)),
    file(HANDLES, "message-in-realloc", Dead("trap", TRAPPED)),
    file(INJECTION, "header-injection", InVain(Some("0"))),
    file(
        INJECTION,
        "split-bad-header",
        Dead("trap", "the plugin's verdict cannot be carried out: a header value cannot have control"),
    ),
    file(INJECTION, "split", Dead("route", "the plugin chose the route \"x\", which the rule does not declare")),
    file(
        INJECTION,
        "metadata-injection",
        Dead("trap", "the plugin's verdict cannot be carried out: a header value cannot have control"),
    ),
    file(
        INJECTION,
        "topic-injection",
        Dead("route", "the handler published to `clean.attack\\r\\nPUB secret 1`, which is neither"),
    ),
    file(INJECTION, "route-injection", Dead("route", "the plugin chose the route \"default\\\\r\\\\nPUB secret 1")),
    Attack {
        route: "clean.{header.Region}",
        ..file(
            INJECTION,
            "subject-injection",
            Dead("route", "route default: the value of `{header.Region}` cannot be part of a subject's token"),
        )
    },
    file(INJECTION, "reason-injection", Dead("rejected", "no\\r\\n2026-11-22T00:00:00Z ERROR forged\\u{1b}[31m")),
    file(VERDICTS, "split-many", Dead("limit", "the message was split into more than 10000 parts")),
    file(VERDICTS, "split-million", OVER_BYTES),
    file(VERDICTS, "routes-many", Dead("limit", "the plugin chose more than 10000 routes")),
    file(WORLD, "files", InVain(Some("0"))),
    file(WORLD, "environment", InVain(Some("0"))),
    file(WORLD, "network", InVain(None)),
    file(WORLD, "virtual-wasi", InVain(None)),
    file(WORLD, "random-flood", Dead("trap", "the plugin trapped: it asked for 1073741824 random bytes")),
    file(WORLD, "read-password", Refused("`/etc/passwd` is not a path from the configuration directory")),
    file(
        WORLD,
        "foreign-import",
        Refused("it imports `wasi:http/outgoing-handler@0.2.0`, which plugins are not given"),
    ),
    with("isolation = \"message\"", file(STATE, "leak", InVain(Some("\0\0\0\0")))),
    with(SOON, bomb("many-functions", bombs::many_functions, "the compiler: half a million functions.", TOO_LONG)),
    with(SOON, bomb("huge-function", bombs::huge_function, "the compiler: one function of seven megabytes.", TOO_LONG)),
    with(
        "compile-memory = \"128MiB\"",
        bomb(
            "hungry-function",
            bombs::huge_function,
            "the machine's memory, by the compiler: one function of seven megabytes.",
            Refused("it cannot be compiled in 128MiB"),
        ),
    ),
    with(
        SOON,
        bomb("giant-tables", bombs::giant_tables, "the compiler: branch tables of sixty thousand targets.", TOO_LONG),
    ),
    with(
        SOON,
        bomb(
            "many-locals",
            bombs::many_locals,
            "the compiler: forty thousand variables in twenty thousand loops.",
            TOO_LONG,
        ),
    ),
    with(
        SOON,
        bomb("deep-blocks", bombs::deep_blocks, "the compiler's stack: blocks a hundred thousand deep.", TOO_LONG),
    ),
    bomb("many-types", bombs::many_types, "the validator: a million types.", Refused("it does not compile: ")),
    bomb(
        "exponential-types",
        bombs::exponential_types,
        "the validator: types each twice the one before.",
        Refused("it does not compile: "),
    ),
    bomb(
        "nested-components",
        bombs::nested_components,
        "the validator's stack: components five hundred deep.",
        Refused("this component is not a plugin"),
    ),
    bomb(
        "invalid-code",
        bombs::invalid_code,
        "the validator: code of the wrong type.",
        Refused("it does not compile: "),
    ),
    bomb(
        "many-exports",
        bombs::many_exports,
        "the host's memory: ten thousand exports.",
        Refused("it has more than 1000 imports or exports"),
    ),
    bomb(
        "huge-file",
        bombs::huge_file,
        "the host's memory: a file of more than 64 MiB.",
        Refused("it has more than 67108864 bytes"),
    ),
    bomb("noise", bombs::noise, "the parser: noise.", Refused("it is damaged: ")),
];
