//! `[jobs.NAME.attributes]`: the mapping for each ftrack attribute.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, value::MapAccessDeserializer},
};

use super::{
    finding::{KeyPath, did_you_mean, nearest},
    notes::Notes,
    value::Source,
};

/// The ftrack attributes that can be mapped, apart from `custom_attributes.KEY`.
const ATTRIBUTES: [&str; 6] = [
    "username",
    "email",
    "first_name",
    "last_name",
    "full_name",
    "thumbnail",
];

/// The mapping for one ftrack attribute.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "AttributeRule")]
pub enum AttributeKey {
    /// An LDAP attribute's name, or a template such as `{{ givenName }} {{ sn }}`.
    From(String),
    /// The same, with rules for an absent value.
    Table(AttributeTable),
}

/// The mapping for one ftrack attribute, with rules for an absent value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct AttributeTable {
    /// An LDAP attribute's name, or a template such as `{{ givenName }} {{ sn }}`; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What happens to the value in ftrack when the directory shows none.
    pub when_absent: WhenAbsent,
    /// Whether an entry without a value is skipped; always true for `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// When the value is written; always "always" for `username`.
    #[serde(skip_serializing_if = "Write::is_always")]
    pub write: Write,
}

/// When the value of an attribute is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", expecting = r#""always" or "on_create""#)]
pub enum Write {
    /// Whenever ftrack has another one.
    #[default]
    Always,
    /// With the creation of a user only; afterwards it belongs to whoever changes it in ftrack. A user
    /// that is adopted exists already.
    OnCreate,
}

impl Write {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde asks for"
    )]
    fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

/// What happens to the value in ftrack when the directory shows none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""keep" or "clear""#)]
pub enum WhenAbsent {
    /// It is unchanged.
    #[default]
    Keep,
    /// It is emptied.
    Clear,
}

/// An ftrack attribute that can be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum Target {
    Username,
    Email,
    FirstName,
    LastName,
    FullName,
    /// The picture.
    Thumbnail,
    /// The custom attribute with this key.
    Custom(String),
}

/// What the program uses of the mapping for one ftrack attribute.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the written form describes the keys")]
pub struct AttributeRule {
    pub target: Target,
    pub from: Source,
    pub when_absent: WhenAbsent,
    pub required: bool,
    pub write: Write,
}

// Not derived: for an untagged enum, serde cannot report which key of the table is wrong.
impl<'de> Deserialize<'de> for AttributeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> de::Visitor<'de> for TextOrTable {
            type Value = AttributeKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an LDAP attribute, a template, or a table")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AttributeKey, E> {
                Ok(AttributeKey::From(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AttributeKey, A::Error> {
                AttributeTable::deserialize(MapAccessDeserializer::new(map))
                    .map(AttributeKey::Table)
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

/// Checks the table at this key.
pub fn check(
    notes: &mut Notes,
    at: &KeyPath,
    written: BTreeMap<String, AttributeKey>,
) -> Option<BTreeMap<String, AttributeRule>> {
    if !written.contains_key("username")
        && !written
            .keys()
            .any(|name| nearest(name, ["username"]).is_some())
    {
        notes.missing(
            &at.key("username"),
            "the login name, such as username = \"uid\"",
        );
    }
    if written.contains_key("full_name") {
        for name in ["first_name", "last_name"]
            .into_iter()
            .filter(|name| written.contains_key(*name))
        {
            notes.find(
                &at.key(name),
                "full_name sets it already; remove one of them",
            );
        }
    }
    let count = written.len();
    let mut rules = BTreeMap::new();
    for (name, rule) in written {
        let name = name.as_str();
        if notes.is_judged(&at.key(name)) {
            continue;
        }
        if let Some(rule) = attribute_rule(notes, &at.key(name), name, rule) {
            rules.insert(name.to_owned(), rule);
        }
    }
    (rules.len() == count).then_some(rules)
}

fn attribute_rule(
    notes: &mut Notes,
    at: &KeyPath,
    name: &str,
    rule: AttributeKey,
) -> Option<AttributeRule> {
    let target: Result<Target, ()> = name
        .parse()
        .map_err(|problem: String| notes.find(at, problem));
    let is_username = target == Ok(Target::Username);
    let (from_key, table) = match rule {
        AttributeKey::From(from) => (
            at.clone(),
            AttributeTable {
                from: Some(from),
                ..AttributeTable::default()
            },
        ),
        AttributeKey::Table(table) => (at.key("from"), table),
    };
    if is_username && table.required == Some(false) {
        notes.find(&at.key("required"), "a user needs a username; remove it");
    }
    if is_username && table.when_absent == WhenAbsent::Clear {
        notes.find(&at.key("when_absent"), "a user needs a username; remove it");
    }
    if is_username && table.write == Write::OnCreate {
        notes.find(
            &at.key("write"),
            "a login follows the directory, by which its person signs in; remove it",
        );
    }
    if !is_username && table.write == Write::OnCreate && table.when_absent == WhenAbsent::Clear {
        notes.find(
            &at.key("when_absent"),
            "with write = \"on_create\", nothing is cleared; remove one of the two",
        );
    }
    if target == Ok(Target::Thumbnail) {
        check_thumbnail(notes, at, (&from_key, &table));
    }
    let Some(from) = table.from else {
        notes.missing(&from_key, "the name of an LDAP attribute, or a template");
        return None;
    };
    let from = Source::parse(name, &from).map_err(|problem| notes.find(&from_key, problem));
    Some(AttributeRule {
        target: target.ok()?,
        from: from.ok()?,
        when_absent: table.when_absent,
        required: table.required.unwrap_or(is_username),
        write: table.write,
    })
}

/// A picture is no text, and nobody is left out or loses one for want of it.
fn check_thumbnail(
    notes: &mut Notes,
    at: &KeyPath,
    (from_key, table): (&KeyPath, &AttributeTable),
) {
    if table.required == Some(true) {
        notes.find(
            &at.key("required"),
            "nobody is left out for want of a picture; remove it",
        );
    }
    if table.when_absent == WhenAbsent::Clear && table.write == Write::Always {
        notes.find(
            &at.key("when_absent"),
            "a picture that the directory does not show stays in ftrack; remove it",
        );
    }
    if table.from.as_ref().is_some_and(|from| from.contains("{{")) {
        notes.find(
            from_key,
            "a picture is no text; name the LDAP attribute that contains it, such as \"jpegPhoto\"",
        );
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Username => f.write_str("username"),
            Self::Email => f.write_str("email"),
            Self::FirstName => f.write_str("first_name"),
            Self::LastName => f.write_str("last_name"),
            Self::FullName => f.write_str("full_name"),
            Self::Thumbnail => f.write_str("thumbnail"),
            Self::Custom(key) => write!(f, "custom_attributes.{key}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let custom = name
            .strip_prefix("custom_attributes.")
            .filter(|key| !key.trim().is_empty() && !key.chars().any(char::is_control));
        match (name, custom) {
            ("username", _) => Ok(Self::Username),
            ("email", _) => Ok(Self::Email),
            ("first_name", _) => Ok(Self::FirstName),
            ("last_name", _) => Ok(Self::LastName),
            ("full_name", _) => Ok(Self::FullName),
            ("thumbnail", _) => Ok(Self::Thumbnail),
            (_, Some(key)) => Ok(Self::Custom(key.to_owned())),
            (_, None) => Err(match did_you_mean(name, ATTRIBUTES) {
                question if question.is_empty() => format!(
                    "not an ftrack attribute; known attributes are {} and \
                     \"custom_attributes.KEY\"",
                    ATTRIBUTES.join(", ")
                ),
                question => format!("not an ftrack attribute{question}"),
            }),
        }
    }
}

/// A rule as it would be written: in the short form, where it is
/// sufficient.
pub fn written(rule: &AttributeRule) -> AttributeKey {
    let from = rule.from.to_string();
    if rule.when_absent == WhenAbsent::Keep
        && rule.required == (rule.target == Target::Username)
        && rule.write == Write::Always
    {
        return AttributeKey::From(from);
    }
    AttributeKey::Table(AttributeTable {
        from: Some(from),
        when_absent: rule.when_absent,
        required: Some(rule.required),
        write: rule.write,
    })
}
