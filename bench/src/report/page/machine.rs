//! What was measured on which machine and how, and how to do it again: from the heads of the documents, whatever their
//! fields are.

use maud::{Markup, html};
use serde_json::Value;

use super::super::document::Documents;
use super::super::schema::Head;
use super::super::words::bytes;

const METHODS: [&str; 6] = [
    "Whole processes: wall time from start to exit; user and system time and peak memory of the process and its children, by \
     the kernel's own account.",
    "Comparisons are interleaved: in each round everybody runs once, in an order drawn anew. A ratio is formed within a round, \
     so what disturbs the machine for seconds disturbs both sides.",
    "Intervals are 95% bootstrap intervals of the geometric mean of the rounds' ratios.",
    "A run whose cache was not in the state that it should have been in is counted as not held, and listed.",
    "Stages are timed within the program: every sample goes into a histogram that keeps it within 1%.",
    "A run over every corpus and backend measures each once: it shows what works and where time goes, not who is faster by a \
     few percent.",
];

/// The machine in a line: of the first document that says something.
pub(super) fn host_line(documents: &Documents) -> String {
    let heads = documents.heads();
    let Some(host) = heads.iter().map(|(_, head)| &head.host).find(|host| host.is_object()) else {
        return "on a machine that the documents do not describe".to_owned();
    };
    let text = |key: &str| host.get(key).and_then(Value::as_str).map(str::to_owned);
    let cpu = text("cpu").map(|cpu| match host.get("cores").and_then(Value::as_u64) {
        Some(cores) => format!("{cores} × {cpu}"),
        None => cpu,
    });
    let memory = host.get("memory_bytes").and_then(Value::as_f64);
    let memory = memory.map(|memory| format!("{:.0} GiB", memory / 1_073_741_824.0));
    let version = text("version").map(|version| format!("Carrack {version}"));
    [version, cpu, memory, text("kernel")].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Each machine once, with the documents that were measured on it: they may come from several.
pub(super) fn hosts(documents: &Documents) -> Markup {
    let mut hosts: Vec<(Vec<&str>, &Value)> = Vec::new();
    for (name, Head { host, .. }) in documents.heads() {
        let load = |host: &Value| flat(host).into_iter().filter(|(key, _)| !key.contains("load")).collect::<Vec<_>>();
        match hosts.iter_mut().find(|(_, other)| load(other) == load(host)) {
            Some((names, _)) => names.push(name),
            None => hosts.push((vec![name], host)),
        }
    }
    html! {
        @for (names, host) in hosts {
            p.of { @for name in names { code { (name) } " " } }
            @let rows = flat(host);
            @if rows.is_empty() { p.absent { "The document does not say." } }
            dl.facts { @for (key, value) in rows { dt { (key) } dd { (value) } } }
        }
    }
}

/// A JSON object as lines: keys of nested ones joined by a blank.
fn flat(value: &Value) -> Vec<(String, String)> {
    fn walk(key: &str, value: &Value, lines: &mut Vec<(String, String)>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let name = name.replace('_', " ");
                    walk(&if key.is_empty() { name } else { format!("{key} {name}") }, value, lines);
                }
            }
            Value::Array(values) if values.iter().any(Value::is_object) => {
                lines.extend(
                    values.iter().map(|value| backend(value).unwrap_or_else(|| (key.to_owned(), inline(value)))),
                );
            }
            other => lines.push((key.to_owned(), shown(key, other))),
        }
    }
    let mut lines = Vec::new();
    if value.is_object() {
        walk("", value, &mut lines);
    }
    lines
}

/// A backend, and why it cannot be had.
fn backend(value: &Value) -> Option<(String, String)> {
    let name = value.get("backend")?.as_str()?;
    let refused = value.get("refused")?;
    let words = refused.as_str().map_or_else(|| "works".to_owned(), |why| format!("refused: {why}"));
    Some((format!("backend {name}"), words))
}

/// An object in one line: `name ext4, device /dev/vda1`.
fn inline(value: &Value) -> String {
    match value.as_object() {
        Some(fields) => {
            fields.iter().map(|(key, value)| format!("{key} {}", shown(key, value))).collect::<Vec<_>>().join(", ")
        }
        None => shown("", value),
    }
}

fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if key.ends_with("bytes") => number.as_f64().map_or_else(|| number.to_string(), bytes),
        Value::Array(values) => values.iter().map(|value| shown(key, value)).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

pub(super) fn again(documents: &Documents) -> Markup {
    html! {
        ul.methods { @for method in METHODS { li { (method) } } }
        h3 { "The commands" }
        dl.commands {
            @for (name, head) in documents.heads() {
                @let command = head.command.shell();
                dt { (name) }
                dd {
                    @if command.is_empty() { "the document does not say" } @else { pre { code { (command) } } }
                    @let settings = settings(head);
                    @if !settings.is_empty() { p.settings { (settings) } }
                }
            }
            dt { "this page" }
            dd { pre { code { "make report" } } }
        }
    }
}

/// What else a document says of how it was made: `rounds 9, level 3, seed 1`.
fn settings(head: &Head) -> String {
    let mut lines = flat(&head.settings);
    for (name, value) in [("durable when the clock stops", &head.sync), ("seed", &head.seed)] {
        if !value.is_null() {
            lines.push((name.to_owned(), shown(name, value)));
        }
    }
    lines.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_shown_whatever_its_fields_are() {
        let host = serde_json::json!({"cpu":"x","memory_bytes":25_000_000_000_u64,"fs":{"kind":"ext4","read_ahead_kb":128},
            "backends":[{"backend":"uring","refused":null}],"memlock_bytes":null,"tools":["a","b"],"none":{}});
        let lines: Vec<String> = flat(&host).into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let expected = [
            "backend uring: works",
            "cpu: x",
            "fs kind: ext4",
            "fs read ahead kb: 128",
            "memlock bytes: none",
            "memory bytes: 25.0 GB",
            "none: {}",
            "tools: a b",
        ];
        let mut sorted = lines.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
        assert!(flat(&Value::Null).is_empty() && flat(&serde_json::json!([1])).is_empty());
    }
}
