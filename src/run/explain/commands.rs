//! The `ldapsearch` commands that show the same as an explanation.

use std::collections::BTreeSet;

use crate::{
    config::{Directory, Sasl, Scope},
    directory::find::Found,
    model::id::IdAttribute,
    run::{RunContext, ldap_work::LdapWork},
};

impl RunContext<'_, LdapWork> {
    /// The command that finds the same entries.
    pub(super) fn command(&self, found: &Found) -> String {
        let scope = match (found.is_one_entry, self.work.job.scope) {
            (true, _) => "base",
            (false, Scope::One) if found.bases == self.work.job.search_bases => "one",
            (false, Scope::One | Scope::Subtree) => "sub",
        };
        let attributes = self.shown_attributes(found);
        let of_base = |base: &String| {
            self.ldapsearch(&found.server, (base, scope, &found.filter), &attributes)
        };
        let commands: Vec<String> = found.bases.iter().map(of_base).collect();
        commands.join("\n")
    }

    /// The command that shows whether the filter for people matches an entry.
    pub(super) fn filter_command(&self, found: &Found, dn: &str) -> String {
        let people = found.people.as_ref().map(ToString::to_string);
        let what = (dn, "base", people.as_deref().unwrap_or_default());
        self.ldapsearch(&found.server, what, &self.shown_attributes(found))
    }

    /// What the job maps, and by what it identifies people and tells who may not sign in.
    fn shown_attributes(&self, found: &Found) -> Vec<String> {
        let mut attributes = self.work.mappings.of(found.kind).ldap_attributes();
        let configured = self.work.pool.id_attribute().map(IdAttribute::named);
        let ids = match configured {
            Some(attribute) => vec![attribute],
            None => IdAttribute::candidates(found.kind),
        };
        attributes.extend(ids.iter().map(|id| id.name().to_owned()));
        let rule = self.work.job.account(found.kind);
        attributes.extend(rule.attributes().map(ToOwned::to_owned));
        let mut known = BTreeSet::new();
        attributes.retain(|name| known.insert(name.to_ascii_lowercase()));
        attributes
    }

    /// A command that searches a base, with a scope and a filter, and shows these attributes.
    pub(super) fn ldapsearch(
        &self,
        server: &str,
        (base, scope, filter): (&str, &str, &str),
        attributes: &[String],
    ) -> String {
        let directories = &self.prepared.config.directories;
        let directory = directories.get(&self.work.job.directory);
        let variables = directory.map(|directory| variables(directory, server));
        let account = directory.map(account);
        let mut words = vec!["ldapsearch".to_owned()];
        words.extend(["-LLL", "-o", "ldif-wrap=no", "-H", server].map(ToOwned::to_owned));
        words.extend(account.unwrap_or_default());
        words.extend(["-b", base, "-s", scope, filter].map(ToOwned::to_owned));
        words.extend(attributes.iter().cloned());
        let words = words.iter().map(|word| quoted(word));
        let variables = variables.into_iter().flatten();
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }
}

fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

/// What `ldapsearch` is told by its environment alone (ldap.conf(5)): whom it trusts, where that is not
/// the system's, and the certificate that it shows.
fn variables(directory: &Directory, server: &str) -> Vec<String> {
    if !directory.start_tls && !server.starts_with("ldaps:") {
        return Vec::new();
    }
    let files = [
        ("LDAPTLS_CACERT", &directory.ca_file),
        ("LDAPTLS_CERT", &directory.client_cert_file),
        ("LDAPTLS_KEY", &directory.client_key_file),
    ];
    let set = files.into_iter().filter_map(|(name, file)| {
        let file = file.as_ref()?.display().to_string();
        Some(format!("{name}={}", quoted(&file)))
    });
    set.collect()
}

/// The options with which a directory is entered; the password is asked for.
fn account(directory: &Directory) -> Vec<String> {
    let mut options = Vec::new();
    if directory.start_tls {
        options.push("-ZZ".to_owned());
    }
    match (directory.sasl, &directory.bind_dn) {
        (Some(Sasl::External), _) => options.extend(["-Y", "EXTERNAL"].map(ToOwned::to_owned)),
        (Some(Sasl::Gssapi), _) => options.extend(["-Y", "GSSAPI"].map(ToOwned::to_owned)),
        (None, Some(dn)) => options.extend(["-x", "-D", dn, "-W"].map(ToOwned::to_owned)),
        (None, None) => options.push("-x".to_owned()),
    }
    options
}
