//! The pictures of people: sent where the user's link does not note one of those that the directory
//! has.

use std::collections::BTreeMap;

use super::Decider;
use crate::{
    model::{
        edit::{Attribute, Edit},
        link::Link,
        picture::UnfitPicture,
    },
    sync::{
        desired::Identified,
        difference::{set, text},
        written::Stage,
    },
};

/// The most people that are named in one notice.
const NAMED: usize = 8;

impl<'a> Decider<'a, '_> {
    /// What sets the picture of a person's user, who has this link.
    pub(super) fn picture(
        &mut self,
        (id, person): &'a Identified,
        link: Option<&Link>,
        stage: Stage,
    ) -> Option<Edit> {
        let rules = self.matched.rules;
        let is_left = rules.written.leaves(&Attribute::Thumbnail, stage)
            || (stage == Stage::Existing && !rules.users.update);
        let shown = self.matched.desired.pictures.get(&person.dn);
        let shown = shown.filter(|_| !is_left)?;
        let old = link.and_then(|link| link.sent.picture.as_ref());
        let mut new = None;
        for value in shown {
            match value {
                Ok(digest) if Some(digest) == old => return None,
                Ok(digest) => new = new.or(Some(digest)),
                Err(unfit) => {
                    self.unfit_pictures.push((*unfit, &person.username));
                    let problem = format!("its picture is {unfit}");
                    self.plan.unfit.entry(id.clone()).or_default().push(problem);
                }
            }
        }
        let old = old.map_or(serde_json::Value::Null, |old| text(old.as_str()));
        new.map(|new| set(Attribute::Thumbnail, old, text(new.as_str())))
    }

    /// Names the people whose pictures cannot be sent.
    pub(super) fn of_unfit_pictures(&mut self) {
        let mut by_reason: BTreeMap<UnfitPicture, Vec<&str>> = BTreeMap::new();
        for (unfit, login) in std::mem::take(&mut self.unfit_pictures) {
            by_reason.entry(unfit).or_default().push(login);
        }
        for (unfit, mut logins) in by_reason {
            logins.sort_unstable();
            logins.dedup();
            let number = logins.len();
            logins.truncate(NAMED);
            let more = match number - logins.len() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            self.notice(format!(
                "pictures that are not sent ({unfit}): {}{more}",
                logins.join(", ")
            ));
        }
    }
}
