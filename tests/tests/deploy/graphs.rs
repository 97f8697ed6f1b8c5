//! The flow of messages, read by Mermaid, by Graphviz and by a parser of XML.

use trackside_tests::readers::{node, program, python, read};
use trackside_tests::{Example, Setup, command};

/// Subjects may have most visible characters, and most of these mean something to somebody.
const HARD: &str = "a.\"b\"<c&amp;[d](e)|f|#g;\\\\h'i`j%%k$l.end";

/// Rules that lead from subjects of such characters to such, and round in a circle that has a way out.
fn hard() -> Setup {
    let setup = Setup::new("nats://127.0.0.1:1", "[sources.a]\nsubject = \"a.>\"\n[sources.b]\nsubject = \"b.>\"\n");
    let rule = |name: &str, subject: &str, to: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nsource = \"{name}\"\nsubject = '''{subject}'''\n\
             routes = {{ default = '''{to}''', out = 'c.{name}' }}\n\
             on-failure = {{ dead-letter = \"dead.{name}\" }}\n"
        )
    };
    setup.write("rules/all.toml", rule("a", HARD, "b.x") + &rule("b", "b.*", HARD));
    setup
}

fn graph(setup: &Setup, format: &str) -> String {
    let done = command(&["graph", setup.argument(), "--format", format], b"");
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.stdout
}

/// The example, and what is hard to draw.
fn both(format: &str) -> [String; 2] {
    [graph(&Example::new(), format), graph(&hard(), format)]
}

#[tokio::test]
async fn mermaid_reads_what_is_drawn_for_it() {
    // Its labels are cleaned by a library that wants a page.
    let module = "import { readFileSync } from 'node:fs';\n\
                  import { parseHTML } from 'linkedom';\n\
                  const { window } = parseHTML('<html><body></body></html>');\n\
                  Object.assign(globalThis, { window, document: window.document });\n\
                  const { default: mermaid } = await import('mermaid');\n\
                  const { diagramType } = await mermaid.parse(readFileSync(0, 'utf8'));\n\
                  console.log(diagramType);";
    for graph in both("mermaid") {
        let said = read(node(module), &graph).await.unwrap_or_else(|said| panic!("{graph}\n{said}"));
        assert_eq!(said, "flowchart-v2\n");
        read(node(module), &graph.replacen('[', "", 1)).await.expect_err("a bracket is missing");
    }
}

#[tokio::test]
async fn graphviz_reads_what_is_drawn_for_it() {
    for graph in both("dot") {
        // To the end, with the layout, which is where HTML labels are read.
        let drawn = read(program("dot", &["-Tsvg"]), &graph).await.unwrap_or_else(|said| panic!("{graph}\n{said}"));
        assert!(drawn.contains("</svg>"), "{drawn}");
        read(program("dot", &["-Tsvg"]), &graph.replacen('"', "", 1)).await.expect_err("a quote is missing");
    }
}

#[tokio::test]
async fn the_picture_is_well_formed_xml_with_the_subjects_as_they_are() {
    let script = "import sys, xml.etree.ElementTree as tree\n\
                  root = tree.parse(sys.stdin).getroot()\n\
                  print(root.tag)\n\
                  print(*(''.join(t.itertext()) for t in root.iter('{http://www.w3.org/2000/svg}text')), sep='\\n')";
    let [example, hard] = both("svg");
    let read_example = read(python(script), &example).await.unwrap_or_else(|said| panic!("{said}"));
    assert!(read_example.starts_with("{http://www.w3.org/2000/svg}svg\n"), "{read_example}");
    for text in ["clean.orders.created", "review.orders.{subject.2}", "telemetry"] {
        assert!(read_example.lines().any(|line| line.contains(text)), "{text}: {read_example}");
    }
    let read_hard = read(python(script), &hard).await.unwrap_or_else(|said| panic!("{said}"));
    assert!(read_hard.contains("\"b\"<c&amp;[d](e)|f|#g;"), "{read_hard}");
}
