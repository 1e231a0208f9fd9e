//! The page of the configuration has every key, as the schema says.

use std::fs;

use ftrack_ldap_sync::command;
use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/README.md");
const START: &str = "tests/run config::keys -->\n";
const END: &str = "<!-- The end of the tables. -->";

/// The schema, and the text that is made of it.
struct Tables {
    schema: Value,
    text: String,
}

impl Tables {
    /// What the schema refers to in place of a reference.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let path = reference.trim_start_matches('#');
                self.schema.pointer(path).unwrap()
            }
            None => schema,
        }
    }

    /// The schemas that a value may have.
    fn forms<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolve(schema);
        match schema["anyOf"].as_array() {
            Some(forms) => forms.iter().flat_map(|form| self.forms(form)).collect(),
            None => vec![schema],
        }
    }

    /// The form of a value that is a table, and how its heading is written.
    fn table<'a>(&'a self, schema: &'a Value, name: &str) -> Option<(&'a Value, String)> {
        self.forms(schema).into_iter().find_map(|form| {
            if form["properties"].is_object() {
                return Some((form, format!("[{name}]")));
            }
            let item = self.resolve(form.get("items")?);
            let is_table = item["properties"].is_object();
            is_table.then(|| (item, format!("[[{name}]]")))
        })
    }

    /// The words that a value may be.
    fn choices(&self, schema: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for form in self.forms(schema) {
            for one in form["oneOf"].as_array().into_iter().flatten().chain([form]) {
                let means = one["description"]
                    .as_str()
                    .filter(|_| one["const"].is_string())
                    .map(|text| format!(" ({})", lower(text)))
                    .unwrap_or_default();
                let words = one["enum"].as_array().into_iter().flatten();
                for word in words.chain(one.get("const")) {
                    found.extend(word.as_str().map(|word| format!("`\"{word}\"`{means}")));
                }
            }
        }
        found
    }

    /// Adds the table of this name, and those within.
    fn add(&mut self, schema: &Value, heading: &str, name: &str, text: &Value) {
        let mut rows = String::new();
        let mut inner = Vec::new();
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{name}.{key}").trim_start_matches('.').to_owned();
            let about = &schema["description"];
            let values = &self.resolve(schema)["additionalProperties"];
            if values.is_object() {
                let one = if path == "directories" || path == "jobs" {
                    "NAME"
                } else {
                    "KEY"
                };
                let is_table = self.resolve(values)["properties"].is_object();
                if !is_table {
                    inner.push((
                        Value::Null,
                        format!("[{path}]"),
                        path.clone(),
                        about.clone(),
                    ));
                }
                let path = format!("{path}.{one}");
                if let Some((table, heading)) = self.table(values, &path) {
                    let about = if is_table {
                        about
                    } else {
                        &table["description"]
                    };
                    inner.push((table.clone(), heading, path, about.clone()));
                }
            } else if let Some((table, heading)) = self.table(schema, &path) {
                inner.push((table.clone(), heading, path, about.clone()));
            } else {
                let mut says = one_line(about);
                let choices = self.choices(schema);
                if !choices.is_empty() {
                    says = format!("{says} {}.", choices.join(", "));
                }
                let default = match schema.get("default") {
                    None | Some(Value::Null) => String::new(),
                    Some(default) => format!("`{default}`"),
                };
                rows += &format!("| `{key}` | {default} | {says} |\n");
            }
        }
        if !heading.is_empty() {
            self.text += &format!("### `{heading}`\n\n{}\n\n", wrapped(text));
        }
        if !rows.is_empty() {
            self.text += &format!("| key | default | |\n|---|---|---|\n{rows}\n");
        }
        for (schema, heading, name, text) in inner {
            self.add(&schema, &heading, &name, &text);
        }
    }
}

fn one_line(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn wrapped(text: &Value) -> String {
    let options = textwrap::Options::new(120).word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(&one_line(text), options)
}

/// A sentence as a part of another one.
fn lower(text: &str) -> String {
    let text = one_line(&Value::from(text));
    let text = text.trim_end_matches('.').to_owned();
    let mut letters = text.chars();
    let first = letters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// With `FTRACK_LDAP_SYNC_TEST_PAGES` set, the page gets the tables; otherwise it must have them.
#[test]
fn the_page_has_every_key_as_the_schema_says() {
    let schema: Value = serde_json::from_str(&command::config::schema()).unwrap();
    let mut tables = Tables {
        schema: schema.clone(),
        text: String::new(),
    };
    tables.add(&schema, "", "", &Value::Null);
    assert!(
        tables.text.matches("\n| `").count() > 100,
        "{}",
        tables.text
    );
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(START).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let made = format!("\n{}", tables.text);
    if std::env::var_os("FTRACK_LDAP_SYNC_TEST_PAGES").is_some() {
        fs::write(PAGE, format!("{before}{START}{made}{END}{after}")).unwrap();
    } else {
        let way = "FTRACK_LDAP_SYNC_TEST_PAGES=1 tests/run config::keys";
        assert_eq!(written, made, "{way} writes config/README.md anew");
    }
}
