//! The settings that decide who is read, and what is read of them: where one of them changed, that
//! explains missing people and other values better than the people themselves do.

use std::{collections::BTreeMap, fmt};

use super::desired::Desired;
use crate::{
    config::{AttributeRule, LdapJob, WhenAbsent, Write},
    model::{
        bind_account::BindAccount,
        change::Change,
        change_kind::ChangeKind,
        edit::{Attribute, Edit},
        grant::Grant,
        reason::Cause,
    },
};

/// One of the settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(
    missing_docs,
    reason = "variants are the keys of a job, unless described"
)]
pub enum Setting {
    SearchBases,
    Scope,
    Filter,
    /// `member_of` and `group_bases`.
    MemberOf,
    /// The groups that give roles, and for which projects.
    Roles,
    /// The groups whose members are members of ftrack's groups.
    Groups,
    /// Who may not sign in.
    Disabled,
    /// The same, where no earlier run knew of it: it can only show more people as disabled.
    FirstDisabled,
    Source,
    /// The directory's id.
    Directory,
    /// As whom the directory is bound to, which decides what can be seen.
    BindAccount,
    /// The kind of the directory's servers, on which the default filter and mapping depend.
    Kind,
    /// The attribute that identified the people.
    IdAttribute,
    /// `users.protect`.
    Protect,
    /// The mapping of an ftrack attribute, by its key.
    Attribute(String),
}

impl Setting {
    /// Whether its change may be the reason for an edit that ends access, gives it or loses values.
    fn bears_on(&self, change: &Change, edit: &Edit) -> bool {
        let kind = ChangeKind::of(change.action, edit);
        if kind == ChangeKind::Deactivate {
            return self.explains(change.reason.cause() == Some(Cause::Disabled));
        }
        match self {
            // A rule that shows fewer people as disabled gives them access.
            Self::Disabled => {
                matches!(kind, ChangeKind::Reactivate | ChangeKind::Create)
                    && matches!(edit, Edit::Activate)
            }
            Self::Directory | Self::BindAccount | Self::Kind => {
                matches!(
                    kind,
                    ChangeKind::Rename | ChangeKind::Clear | ChangeKind::Revoke
                )
            }
            Self::Roles => takes(edit).is_some_and(|grant| grant.role().is_some()),
            Self::Groups => takes(edit).is_some_and(|grant| grant.role().is_none()),
            Self::Attribute(key) => {
                matches!(kind, ChangeKind::Rename | ChangeKind::Clear)
                    && sets_what(edit).is_some_and(|attribute| is_mapped_by(key, attribute))
            }
            Self::SearchBases
            | Self::Scope
            | Self::Filter
            | Self::MemberOf
            | Self::FirstDisabled
            | Self::Source
            | Self::IdAttribute
            | Self::Protect => false,
        }
    }

    /// Whether its change may be the reason for a deactivation: of somebody who is disabled, or of
    /// somebody who is missing.
    fn explains(&self, is_disabled: bool) -> bool {
        match self {
            Self::SearchBases
            | Self::Scope
            | Self::Filter
            | Self::MemberOf
            | Self::Source
            | Self::IdAttribute => !is_disabled,
            Self::Disabled | Self::FirstDisabled => is_disabled,
            Self::Directory | Self::BindAccount | Self::Kind => true,
            Self::Roles | Self::Groups | Self::Protect | Self::Attribute(_) => false,
        }
    }
}

/// A role or a group with the LDAP groups whose members get it.
fn mapped(name: &str, groups: &[String]) -> String {
    let mut groups = groups.to_vec();
    groups.sort();
    format!("{name}\n{}", groups.join("\n"))
}

/// What an edit takes.
fn takes(edit: &Edit) -> Option<&Grant> {
    match edit {
        Edit::Revoke(grant) => Some(grant),
        Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Grant(_) | Edit::Link => None,
    }
}

fn sets_what(edit: &Edit) -> Option<&Attribute> {
    match edit {
        Edit::Set { attribute, .. } => Some(attribute),
        Edit::Activate | Edit::Deactivate | Edit::Grant(_) | Edit::Revoke(_) | Edit::Link => None,
    }
}

/// Whether the mapping with this key sets the attribute; that of the full name sets two.
fn is_mapped_by(key: &str, attribute: &Attribute) -> bool {
    let is_name = matches!(attribute, Attribute::FirstName | Attribute::LastName);
    key == attribute.name() || (is_name && key == FULL_NAME)
}

const FULL_NAME: &str = "full_name";

impl Setting {
    /// The setting with this name; none where there is no such setting.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let others = [
            Self::SearchBases,
            Self::Scope,
            Self::Filter,
            Self::MemberOf,
            Self::Roles,
            Self::Groups,
            Self::Disabled,
            Self::Source,
            Self::Directory,
            Self::BindAccount,
            Self::Kind,
            Self::IdAttribute,
            Self::Protect,
        ];
        match name.strip_prefix("attributes.") {
            Some(key) => Some(Self::Attribute(key.to_owned())),
            // Its name in earlier versions.
            None if name == "bind_dn of the directory" => Some(Self::BindAccount),
            None => others
                .into_iter()
                .find(|setting| setting.to_string() == name),
        }
    }
}

/// As the key of a job, or with the place where it stands.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SearchBases => f.write_str("search_bases"),
            Self::Scope => f.write_str("scope"),
            Self::Filter => f.write_str("filter"),
            Self::MemberOf => f.write_str("member_of"),
            Self::Roles => f.write_str("roles"),
            Self::Groups => f.write_str("groups"),
            Self::Disabled | Self::FirstDisabled => f.write_str("disabled"),
            Self::Source => f.write_str("source"),
            Self::Directory => f.write_str("directory"),
            Self::BindAccount => f.write_str("bind account of the directory"),
            Self::Kind => f.write_str("kind of the directory"),
            Self::IdAttribute => f.write_str("id_attribute of the directory"),
            Self::Protect => f.write_str("users.protect"),
            Self::Attribute(key) => write!(f, "attributes.{key}"),
        }
    }
}

/// The values of the settings in one run, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<Setting, String>);

impl Settings {
    /// The settings of a job, for what it read.
    #[must_use]
    pub fn new(job: &LdapJob, desired: &Desired) -> Self {
        let mut bases = job.search_bases.clone();
        bases.sort();
        let kind = desired.kind();
        let filter = desired.filter().map(ToString::to_string);
        let mut protect: Vec<String> = job.users.protect.iter().map(ToString::to_string).collect();
        protect.sort();
        let mut settings = BTreeMap::from([
            (Setting::SearchBases, bases.join("\n")),
            (Setting::Scope, format!("{:?}", job.scope)),
            (Setting::Source, job.source.clone()),
            (Setting::BindAccount, desired.bound_as().to_string()),
            (Setting::Protect, protect.join("\n")),
        ]);
        settings.insert(Setting::Kind, kind.to_string());
        settings.insert(Setting::Disabled, job.account(kind).to_string());
        settings.extend(filter.map(|filter| (Setting::Filter, filter)));
        if !job.member_of.is_empty() {
            let lists = [&job.member_of, &job.group_bases].map(|list| {
                let mut list = list.clone();
                list.sort();
                list.join("\n")
            });
            settings.insert(Setting::MemberOf, lists.join("\n\n"));
        }
        if !job.roles.is_empty() {
            let roles = job.roles.iter().map(|(role, rule)| {
                let mut projects = rule.projects.clone().unwrap_or_default();
                projects.sort();
                let projects = projects.iter().map(|project| format!("\nfor {project}"));
                let projects: String = projects.collect();
                format!("{}{projects}", mapped(role, &rule.groups))
            });
            let roles: Vec<String> = roles.chain([job.group_bases.join("\n")]).collect();
            settings.insert(Setting::Roles, roles.join("\n\n"));
        }
        if !job.groups.is_empty() {
            let groups = job.groups.iter();
            let groups = groups.map(|(path, groups)| mapped(path, groups));
            let groups: Vec<String> = groups.chain([job.group_bases.join("\n")]).collect();
            settings.insert(Setting::Groups, groups.join("\n\n"));
        }
        if let Some(directory) = desired.directory() {
            settings.insert(Setting::Directory, directory.to_string());
        }
        if let Some(attribute) = desired.id_attribute() {
            settings.insert(Setting::IdAttribute, attribute.to_string());
        }
        for (key, rule) in job.mapping(kind).as_ref() {
            settings.insert(Setting::Attribute(key.clone()), mapping(rule));
        }
        Self(settings)
    }

    /// The id of the directory that was read.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        self.0.get(&Setting::Directory).map(String::as_str)
    }

    /// Those of an earlier run, as they were saved.
    pub fn saved(settings: impl IntoIterator<Item = (Setting, String)>) -> Self {
        Self(settings.into_iter().collect())
    }

    /// Each setting with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&Setting, &str)> {
        self.0.iter().map(|(setting, value)| (setting, &**value))
    }

    /// The settings that differ from those before: also one that is there no more, or was not. What
    /// a reading does not show, since there was nobody to identify, is no difference.
    #[must_use]
    pub fn changed(&self, before: &Self) -> Vec<Setting> {
        let all = self.0.keys().chain(before.0.keys());
        let differs = |setting: &&Setting| {
            let (now, then) = (self.0.get(setting), before.0.get(setting));
            let is_read = matches!(
                setting,
                Setting::IdAttribute | Setting::Directory | Setting::Kind
            );
            let is_known = !is_read || (now.is_some() && then.is_some());
            if let (Setting::BindAccount, Some(now), Some(then)) = (setting, now, then) {
                return !BindAccount::saved(now).may_be(&BindAccount::saved(then));
            }
            is_known && now != then
        };
        let of_run = |setting: &Setting| {
            let is_first = *setting == Setting::Disabled && !before.0.contains_key(setting);
            if is_first {
                Setting::FirstDisabled
            } else {
                setting.clone()
            }
        };
        let mut changed: Vec<Setting> = all.filter(differs).map(of_run).collect();
        changed.sort();
        changed.dedup();
        changed
    }
}

/// The settings that bear on an edit, as one text; none where there is none.
#[must_use]
pub fn cause(changed: &[Setting], change: &Change, edit: &Edit) -> Option<String> {
    names(changed, |setting| setting.bears_on(change, edit))
}

/// The settings that bear on a deactivation of this cause, as one text; none where there is none.
#[must_use]
pub fn cause_of_deactivation(changed: &[Setting], cause: Cause) -> Option<String> {
    names(changed, |setting| {
        setting.explains(cause == Cause::Disabled)
    })
}

fn names(changed: &[Setting], bears: impl Fn(&Setting) -> bool) -> Option<String> {
    let bearing = changed.iter().filter(|setting| bears(setting));
    let names: Vec<String> = bearing.map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn mapping(rule: &AttributeRule) -> String {
    let or_empty = match rule.when_absent {
        WhenAbsent::Clear => " or empty",
        WhenAbsent::Keep => "",
    };
    let on_create = match rule.write {
        Write::OnCreate => " on creation",
        Write::Always => "",
    };
    format!("{}{or_empty}{on_create}", rule.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound_as(account: &str) -> Settings {
        Settings::saved([(Setting::BindAccount, account.to_owned())])
    }

    #[test]
    fn an_account_is_another_one_only_where_both_are_known() {
        let other = [Setting::BindAccount];
        let none: [Setting; 0] = [];
        for (before, now, changed) in [
            ("cn=a,dc=test", "cn=a,dc=test", &none[..]),
            ("cn=a,dc=test", "cn=b,dc=test", &other),
            ("", "cn=b,dc=test", &other),
            // As earlier versions saved it.
            (
                "certificate /etc/a.pem",
                "certificate of the subject 550403=a",
                &none,
            ),
            (
                "a Kerberos ticket",
                "a Kerberos ticket by principal a@STUDIO.TEST",
                &none,
            ),
            (
                "the program's user",
                "the program's user by number 1000",
                &none,
            ),
            ("the program's user", "cn=a,dc=test", &other),
            (
                "a Kerberos ticket by principal a@STUDIO.TEST",
                "a Kerberos ticket by principal b@STUDIO.TEST",
                &other,
            ),
        ] {
            assert_eq!(
                bound_as(now).changed(&bound_as(before)),
                changed,
                "{before} {now}"
            );
        }
    }

    #[test]
    fn every_setting_is_found_by_its_name_also_by_an_earlier_one() {
        let before = Setting::named("bind_dn of the directory");
        assert_eq!(before, Some(Setting::BindAccount));
        let now = Setting::named(&Setting::BindAccount.to_string());
        assert_eq!(now, Some(Setting::BindAccount));
    }
}
