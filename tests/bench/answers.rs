//! Lines of standard input, each answered by a line of JSON.

use std::io::Write as _;

use serde_json::Value;

/// Answers each line of standard input, whatever it says, until there are no more.
pub async fn until_the_end(mut answer: impl FnMut() -> Value + Send + 'static) {
    let reading = tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lines() {
            say(&answer());
        }
    });
    reading.await.expect("standard input");
}

/// Prints a line.
pub fn say(what: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")
        .and_then(|()| out.flush())
        .expect("standard output");
}
