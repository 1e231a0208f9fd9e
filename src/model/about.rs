//! Whom a change of a report is about.

use crate::model::{edit::Field, fold::fold, report::Reported};

impl Reported {
    /// Whether it is about the person with this login, mail, DN, directory id or ftrack id, before or
    /// after it.
    #[must_use]
    pub fn is_about(&self, who: &str) -> bool {
        let folded = fold(who);
        let person = self.person.iter();
        let person = person.flat_map(|person| [&person.email, &person.last_dn]);
        let mut known = [&self.dn, &self.directory_id]
            .into_iter()
            .chain(person)
            .flatten();
        let is = |text: &str| fold(text) == folded;
        let is_name = |field: &Field| matches!(field, Field::Username | Field::Email);
        let names = self.fields.iter().filter(|(field, _)| is_name(field));
        let mut values = names.flat_map(|(_, values)| [&values.old, &values.new]);
        is(&self.username)
            || is(&self.ftrack_id.text())
            || known.any(|text| is(text))
            || values.any(|value| value.as_str().is_some_and(is))
    }
}
