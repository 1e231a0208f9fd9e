//! A directory as jobs see it: whole, through a server with other limits, and by what changed.

use std::mem;

use ftrack_ldap_sync::model::report::Outcome;

use super::servers::RealDirectory;
use crate::{
    changes::{SCHEDULES, changes},
    ldap_proxy::{LdapProxy, quirks::SMALL},
    situations::Situation,
    studio::Studio,
};

/// One of several jobs, each with an ftrack of its own, that read the same directory.
pub struct View {
    pub name: &'static str,
    pub situation: Situation,
}

/// The directory as it is; a domain by Samba also as if it were one by Microsoft, with limits so
/// small that they matter to a few people.
pub fn views(directory: &RealDirectory, proxy: &LdapProxy) -> Vec<View> {
    let mut views = vec![View {
        name: "as it is",
        situation: situation(directory),
    }];
    if directory.kind.is_active_directory() {
        proxy.set_quirks(SMALL);
        views.push(View {
            name: "in small parts",
            situation: behind(directory, proxy),
        });
    }
    views
}

/// A configuration that leaves the filter and the attributes to the kind of the directory, which is
/// detected.
pub fn situation(directory: &RealDirectory) -> Situation {
    let more = format!("ca_file = {:?}", directory.ca_file);
    at(directory, &directory.url, &more)
}

/// The same through a proxy.
pub fn behind(directory: &RealDirectory, proxy: &LdapProxy) -> Situation {
    at(directory, &proxy.url(), "allow_plaintext = true")
}

/// A server of which hundreds of tests leave little may take its time.
pub const PATIENT: &str = "operation_timeout = \"1m\"\n";

fn at(directory: &RealDirectory, url: &str, more: &str) -> Situation {
    let mut situation = Situation::of(&[]);
    situation.directory_url = url.to_owned();
    situation.filter.clear();
    situation.attributes.clear();
    situation.password = directory.password.into();
    // Of the others, only a domain shows when an account ends, without being told how.
    let expires = if directory.kind.is_active_directory() {
        ""
    } else {
        "expires = { from = \"departmentNumber\", form = \"days\" }"
    };
    situation
        .job(&format!(
            "limits = {{ deactivate = 10, rename = 10, reactivate = 10 }}\n{expires}"
        ))
        .config(&format!(
            "[directories.studio]\nbind_dn = {:?}\n{more}\npage_size = 7\n{PATIENT}",
            directory.bind_dn
        ))
}

/// A job that after its first run reads only what changed.
pub struct Changes {
    situation: Situation,
    /// Whether the server names those who are not among the job's people any more.
    names_the_missing: bool,
}

/// What makes people missing, which a domain does not show among its changes.
const MISSING: [&str; 3] = [
    "somebody moves out of the search base",
    "somebody is disabled and moved out of the search base",
    "somebody leaves",
];

impl Changes {
    pub fn of(directory: &RealDirectory) -> Self {
        let mut situation = situation(directory);
        *situation = mem::replace(&mut *situation, Studio::empty()).end_to_end();
        situation.job = format!("{SCHEDULES}{}", situation.job);
        situation.sync();
        Self {
            situation,
            names_the_missing: !directory.kind.is_active_directory(),
        }
    }

    /// What changed leads to what a run leads to that reads everything; where it cannot, that run
    /// does the rest.
    pub fn follow(&self, what: &str, whole: &Situation) {
        if let Some(report) = changes(&self.situation) {
            assert_eq!(report.outcome, Outcome::Succeeded, "{what}: {report:#?}");
        }
        if !self.names_the_missing && MISSING.contains(&what) {
            self.situation.sync();
        }
        assert_eq!(self.situation.users(), whole.users(), "{what}");
    }
}
