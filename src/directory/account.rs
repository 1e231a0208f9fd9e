//! What an entry shows of its person's account, by the rule of a job. No I/O.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use crate::{
    config::{AccountRule, DisabledFlag, Expires, ExpiryForm},
    model::{account::Account, entry::Entry},
};

/// The bit of `userAccountControl` that disables an account (`ACCOUNTDISABLE`).
const ACCOUNT_DISABLE: i64 = 2;
/// The time that locks an account until an administrator unlocks it (draft-behera-ldap-password-policy-11
/// section 5.3.3).
const LOCKED_FOR_EVER: &str = "000001010000Z";
/// Values of `accountExpires` that mean never ([MS-ADA1] section 2.2).
const NEVER: [i64; 2] = [0, i64::MAX];
/// From 1601 to 1970, in seconds.
const SINCE_1601: i64 = 11_644_473_600;
/// The forms of a generalized time in UTC, and with another zone (RFC 4517 section 3.3.13).
const IN_UTC: [&str; 2] = ["%Y%m%d%H%M%S%.fZ", "%Y%m%d%H%MZ"];
const IN_A_ZONE: [&str; 2] = ["%Y%m%d%H%M%S%.f%z", "%Y%m%d%H%M%z"];

/// What the values of an entry show; a filter is asked of the server.
pub(super) fn shown(rule: &AccountRule, entry: &Entry) -> Account {
    if entry.is_too_large() {
        return Account::Unclear("the entry was not read".into(), None);
    }
    let flag = rule
        .flag
        .map_or(Account::Enabled, |flag| flagged(flag, entry));
    // In Active Directory every account has accountExpires; a global catalogue does not show it.
    let is_everybodys = rule.flag == Some(DisabledFlag::UserAccountControl);
    let ends = rule.expires.iter().map(|expires| {
        let is_own = !rule.named.contains(&expires.from);
        end(expires, is_everybodys && is_own, entry)
    });
    ends.fold(flag, Account::and)
}

/// Whether an attribute of any kind of server shows that the account is disabled.
#[must_use]
pub fn is_flagged(entry: &Entry) -> bool {
    let mut flags = DisabledFlag::ALL.into_iter();
    flags.any(|flag| flagged(flag, entry) == Account::Disabled)
}

fn flagged(flag: DisabledFlag, entry: &Entry) -> Account {
    let name = flag.attribute();
    let values = entry.values(name);
    let texts: Vec<&str> = values.iter().filter_map(|value| text(value)).collect();
    match (flag, &*texts) {
        (DisabledFlag::UserAccountControl, [one]) => match one.parse::<i64>() {
            Ok(bits) if bits & ACCOUNT_DISABLE != 0 => Account::Disabled,
            Ok(_) => Account::Enabled,
            Err(_) => unclear(name),
        },
        (DisabledFlag::UserAccountControl, []) => Account::Unclear(hidden(name), None),
        (DisabledFlag::UserAccountControl, _) => unclear(name),
        (DisabledFlag::NsAccountLock, texts) => {
            // One value that locks is enough: roles and classes of service may add another.
            let locks = |text: &&str| text.eq_ignore_ascii_case("true");
            disabled_if(texts.iter().any(locks))
        }
        (DisabledFlag::PwdAccountLockedTime, texts) => {
            disabled_if(texts.contains(&LOCKED_FOR_EVER))
        }
    }
}

fn disabled_if(is_disabled: bool) -> Account {
    if is_disabled {
        Account::Disabled
    } else {
        Account::Enabled
    }
}

/// Until when the person may sign in; of several values the earliest.
fn end(expires: &Expires, is_everybodys: bool, entry: &Entry) -> Account {
    let values = entry.values(&expires.from);
    if is_everybodys && values.is_empty() {
        return Account::Unclear(hidden(&expires.from), None);
    }
    let ends = values.iter().map(|value| match text(value) {
        Some(text) => end_of(expires, text),
        None => unclear(&expires.from),
    });
    ends.fold(Account::Enabled, Account::and)
}

fn end_of(expires: &Expires, text: &str) -> Account {
    let number = || text.parse::<i64>().ok();
    let since_1970 = |seconds: i64| DateTime::from_timestamp(seconds, 0);
    let end = match expires.form {
        ExpiryForm::Filetime => match number() {
            Some(never) if NEVER.contains(&never) => return Account::Enabled,
            Some(ticks @ 1..) => since_1970(ticks / 10_000_000 - SINCE_1601),
            Some(_) | None => None,
        },
        ExpiryForm::Days => match number() {
            Some(..=0) => return Account::Enabled,
            // Beyond what a time can be, it never ends.
            Some(days) => Some(after_1970(TimeDelta::try_days(days))),
            None => None,
        },
        ExpiryForm::Seconds => match number() {
            Some(..=0) => return Account::Enabled,
            Some(seconds) => Some(after_1970(TimeDelta::try_seconds(seconds))),
            None => None,
        },
        ExpiryForm::GeneralizedTime => match generalized_time(text) {
            // Of principals that do not end, Kerberos stores the time zero.
            Some(end) if end == DateTime::UNIX_EPOCH => return Account::Enabled,
            end => end,
        },
    };
    end.map_or_else(|| unclear(&expires.from), Account::Until)
}

/// Until when an account or a password lasts, by a time in the form of Active Directory.
pub(super) fn of_filetime(text: &str) -> Account {
    let from = String::new();
    let form = ExpiryForm::Filetime;
    end_of(&Expires { from, form }, text)
}

/// That long after 1970; the last time there is, where it is longer.
fn after_1970(span: Option<TimeDelta>) -> DateTime<Utc> {
    span.and_then(|span| DateTime::UNIX_EPOCH.checked_add_signed(span))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

pub(super) fn generalized_time(text: &str) -> Option<DateTime<Utc>> {
    let in_utc = |form: &&str| NaiveDateTime::parse_from_str(text, form).ok();
    let in_a_zone = |form: &&str| DateTime::parse_from_str(text, form).ok();
    IN_UTC
        .iter()
        .find_map(in_utc)
        .map(|time| time.and_utc())
        .or_else(|| {
            let time = IN_A_ZONE.iter().find_map(in_a_zone)?;
            Some(time.with_timezone(&Utc))
        })
}

fn hidden(attribute: &str) -> Box<str> {
    format!("the entry shows no {attribute} (can the bind account read it?)").into()
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

fn unclear(attribute: &str) -> Account {
    Account::Unclear(
        format!("the value of {attribute} cannot be understood").into(),
        None,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn entry(values: &[(&str, &str)]) -> Entry {
        let values = values
            .iter()
            .map(|(name, value)| (*name, vec![value.as_bytes().to_vec()]));
        Entry::showing("cn=x", values)
    }

    fn by_flag(flag: DisabledFlag, values: &[&str]) -> Account {
        let rule = AccountRule {
            flag: Some(flag),
            ..AccountRule::default()
        };
        let values: Vec<_> = values
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect();
        let values = (!values.is_empty()).then(|| (flag.attribute(), values));
        shown(&rule, &Entry::showing("cn=x", values))
    }

    fn by_end(form: ExpiryForm, value: &str) -> Account {
        let expires = Expires {
            from: "end".into(),
            form,
        };
        let rule = AccountRule {
            expires: vec![expires],
            ..AccountRule::default()
        };
        shown(&rule, &entry(&[("end", value)]))
    }

    #[test]
    fn each_kind_of_server_shows_it_in_its_own_way() {
        use Account::{Disabled, Enabled};
        use DisabledFlag::{NsAccountLock, PwdAccountLockedTime, UserAccountControl};
        for (flag, values, account) in [
            (UserAccountControl, &["512"][..], Enabled),
            (UserAccountControl, &["514"], Disabled),
            (UserAccountControl, &["66050"], Disabled),
            // A locked out account is not disabled.
            (UserAccountControl, &["528"], Enabled),
            (NsAccountLock, &[], Enabled),
            (NsAccountLock, &["false"], Enabled),
            (NsAccountLock, &["TRUE"], Disabled),
            (NsAccountLock, &["false", "true"], Disabled),
            (PwdAccountLockedTime, &[], Enabled),
            (PwdAccountLockedTime, &["20260102030405Z"], Enabled),
            (PwdAccountLockedTime, &["000001010000Z"], Disabled),
        ] {
            assert_eq!(by_flag(flag, values), account, "{flag:?} {values:?}");
        }
    }

    #[test]
    fn what_every_entry_has_is_not_missed_in_silence() {
        for values in [&[][..], &["x"], &[""], &["512", "514"]] {
            let account = by_flag(DisabledFlag::UserAccountControl, values);
            assert!(matches!(account, Account::Unclear(..)), "{values:?}");
        }
    }

    #[test]
    fn ends_are_shown_in_four_forms() {
        let until = |text: &str| Account::Until(text.parse().unwrap());
        for (form, value, account) in [
            (ExpiryForm::Filetime, "0", Account::Enabled),
            (
                ExpiryForm::Filetime,
                "9223372036854775807",
                Account::Enabled,
            ),
            (
                ExpiryForm::Filetime,
                "134116992000000000",
                until("2026-01-01T00:00:00Z"),
            ),
            (
                ExpiryForm::GeneralizedTime,
                "20260101000000Z",
                until("2026-01-01T00:00:00Z"),
            ),
            (
                ExpiryForm::GeneralizedTime,
                "20260101000000.5Z",
                until("2026-01-01T00:00:00.5Z"),
            ),
            (
                ExpiryForm::GeneralizedTime,
                "202601010100+0100",
                until("2026-01-01T00:00:00Z"),
            ),
            (ExpiryForm::Days, "20454", until("2026-01-01T00:00:00Z")),
            (ExpiryForm::Days, "-1", Account::Enabled),
            (ExpiryForm::Days, "0", Account::Enabled),
            (
                ExpiryForm::GeneralizedTime,
                "19700101000000Z",
                Account::Enabled,
            ),
            (
                ExpiryForm::Days,
                "9223372036854775807",
                Account::Until(DateTime::<Utc>::MAX_UTC),
            ),
            (
                ExpiryForm::Seconds,
                "1767225600",
                until("2026-01-01T00:00:00Z"),
            ),
            (ExpiryForm::Seconds, "0", Account::Enabled),
        ] {
            assert_eq!(by_end(form, value), account, "{form:?} {value:?}");
        }
    }

    proptest! {
        /// Whatever the value is, it is understood or unclear, and nothing panics.
        #[test]
        fn no_value_is_too_odd(value in "\\PC{0,24}", number in any::<i64>()) {
            for form in [ExpiryForm::Filetime, ExpiryForm::GeneralizedTime, ExpiryForm::Days, ExpiryForm::Seconds] {
                for value in [value.clone(), number.to_string()] {
                    let account = by_end(form, &value);
                    prop_assert!(account != Account::Disabled);
                }
            }
        }
    }
}
