//! The fields of queries and forms.

use axum::body::Body;
use url::form_urlencoded;

use crate::daemon::serve::{self, BodyError};

/// The fields in their order; a name may occur several times.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of a query.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self::parsed(query.unwrap_or_default().as_bytes())
    }

    /// The fields of a form.
    ///
    /// # Errors
    /// It is too long, incomplete, or did not arrive in time.
    pub(super) async fn of_form(body: Body) -> Result<Self, BodyError> {
        Ok(Self::parsed(&serve::body(body).await?))
    }

    fn parsed(text: &[u8]) -> Self {
        let fields = form_urlencoded::parse(text);
        Self(
            fields
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The value of a field without blanks around it; none where it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        let value = found.map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let of_name = self.0.iter().filter(|(field, _)| field == name);
        of_name.map(|(_, value)| value.clone()).collect()
    }

    /// The page of a list, from 1 on.
    pub(super) fn page(&self) -> usize {
        let page = self.get("page").and_then(|page| page.parse().ok());
        page.unwrap_or(1).clamp(1, 100_000)
    }
}

/// A query of these fields, without those that are empty.
pub(super) fn query(fields: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
    query.finish()
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
