//! What ftrack's answers cost.

use std::io::Write;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{Measured, PATIENT};
use crate::{
    faults::settings,
    ftrack_client::scripted::{Reply, Scripted},
    studio::Studio,
};

/// The body of an answer: a beginning, something again and again, and an end.
fn zipped(beginning: &str, again: &str, bytes: usize, end: &str) -> Vec<u8> {
    let mut body = GzEncoder::new(Vec::new(), Compression::best());
    body.write_all(beginning.as_bytes()).unwrap();
    let block = again.repeat(65_536 / again.len());
    for _ in 0..bytes / block.len() {
        body.write_all(block.as_bytes()).unwrap();
    }
    body.write_all(end.as_bytes()).unwrap();
    body.finish().unwrap()
}

/// A studio whose ftrack gives these answers.
fn answered(script: impl Fn(&[Value]) -> Response + Send + Sync + 'static) -> (Studio, Scripted) {
    let mut studio = Studio::of(&["ada"]).end_to_end();
    settings(&studio, 1000, PATIENT);
    let scripted = studio
        .runtime()
        .block_on(Scripted::start(move |_, operations| {
            Reply::Now(script(operations))
        }));
    studio.ftrack_at = Some(scripted.url.as_str().trim_end_matches('/').to_owned());
    studio.ftrack_settings = "attempts = 1".into();
    (studio, scripted)
}

#[test]
fn a_small_gzip_costs_no_gigabytes() {
    let rows = r#"[{"action":"query","data":["#;
    let row = r#"{"id":"a","username":"b","is_active":true,"parent_id":"a","value":["#;
    let open = format!("{rows}{row}");
    for (what, beginning, again, end) in [
        ("rows", rows, "{},", "{}]}]"),
        (
            "rows that are users",
            rows,
            r#"{"id":"a"},"#,
            r#"{"id":"a"}]}]"#,
        ),
        ("answers", "[", "{},", "{}]"),
        ("parts of a value", &open, "0,", "0]}]}]"),
        ("lists in a value", &open, "[],", "0]}]}]"),
        ("parts of an error", r#"{"exception":["#, "[],", "0]}"),
        (
            "the text of an error",
            r#"[{"exception":""#,
            r"\u0001",
            r#""}]"#,
        ),
        ("unknown members", r#"[{"data":[],"x":["#, "{},", "0]}]"),
        (
            "a login",
            r#"[{"data":[{"id":"a","username":""#,
            r"\u0001",
            r#""}]}]"#,
        ),
        (
            "an activity",
            r#"[{"data":[{"id":"a","is_active":""#,
            r"\u0001",
            r#""}]}]"#,
        ),
        ("an id", r#"[{"data":[{"id":""#, r"\u0001", r#""}]}]"#),
        ("nesting", "[", "[", ""),
        ("blanks", "", " ", "[]"),
    ] {
        // As large as is read, or more.
        let bytes = if what == "blanks" { 60 << 20 } else { 30 << 20 };
        let body = zipped(beginning, again, bytes, end);
        assert!(body.len() < 400_000, "{what}: {}", body.len());
        let (studio, _scripted) = answered(move |_| {
            let headers = [(header::CONTENT_ENCODING, "gzip")];
            (headers, body.clone()).into_response()
        });
        let error = Measured::sync(&studio).failure();
        assert!(error.contains("nothing was written"), "{what}: {error}");
        assert!(error.len() < 2000, "{what}: {error}");
    }
}

/// The number after a word of an expression.
fn number_after(expression: &str, word: &str) -> usize {
    let mut words = expression.split(' ').skip_while(|found| *found != word);
    words.nth(1).unwrap().parse().unwrap()
}

#[test]
fn rows_without_end_cost_a_budget() {
    let rest = format!(
        "\",\"username\":\"{}\",\"is_active\":true}}",
        "n".repeat(50_000)
    );
    let (studio, scripted) = answered(move |operations| {
        let expression = operations[0]["expression"].as_str().unwrap();
        if !expression.contains("from User order by id offset") {
            let named = json!({"id": "a-1", "name": "Administrator", "user_id": "u-000000000"});
            let rows = if expression.contains("Metadata") {
                json!([])
            } else {
                json!([named])
            };
            return axum::Json(json!([{"data": rows}])).into_response();
        }
        let (offset, limit) = (
            number_after(expression, "offset"),
            number_after(expression, "limit"),
        );
        let rows: Vec<String> = (offset..offset + limit)
            .map(|number| format!("{{\"id\":\"u-{number:09}{rest}"))
            .collect();
        let rows = rows.join(",");
        format!("[{{\"data\":[{rows}],\"metadata\":{{\"next\":{{\"offset\":1}}}}}}]")
            .into_response()
    });
    let error = Measured::sync(&studio).failure();
    assert!(error.contains("more than 160 MiB of memory"), "{error}");
    assert!(scripted.calls().len() < 100);
}
