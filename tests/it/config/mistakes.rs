//! Every mistake in a configuration that has its own message: the changed text, and all messages
//! for it.

use super::{FILTER, Folder, with};

const SERVER: &str = r#"server = "https://studio.ftrackapp.com""#;
const API_USER: &str = r#"api_user = "ldap-sync""#;
const API_KEY: &str = r#"api_key = "planted-key""#;
const URLS: &str = r#"urls = ["ldaps://ldap.studio.test"]"#;
const BIND_DN: &str = r#"bind_dn = "cn=sync,dc=studio,dc=test""#;
const PASSWORD: &str = r#"bind_password = "planted-password""#;
const BASES: &str = r#"search_bases = ["ou=people,dc=studio,dc=test"]"#;
const USERNAME: &str = r#"username = "uid""#;
const EMAIL: &str = r#"email = "mail""#;

/// What is replaced, by what (or with a plus: what is added after it), and the lines that are said
/// about it.
type Mistake = (&'static str, &'static str, &'static [&'static str]);

fn check(mistakes: &[Mistake]) {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut differences = Vec::new();
    for (old, new, said) in mistakes {
        let new = new
            .strip_prefix("+ ")
            .map_or_else(|| (*new).to_owned(), |added| format!("{old}\n{added}"));
        let folder = Folder::new(&with(&[(old, &new)]));
        folder.file("cert.pem", certificate.cert.pem());
        folder.file("key.pem", certificate.signing_key.serialize_pem());
        folder.file("ca.cer", certificate.cert.der());
        folder.file("broken.pem", certificate.cert.pem().replace("MII", "{}"));
        let found = folder.load(&[]).err().unwrap_or_default();
        if found != said.join("\n") {
            differences.push(format!("{new}\n  says {found}\n  not  {}", said.join("\n")));
        }
        assert!(!found.contains("planted"), "{new} prints a secret: {found}");
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
#[rustfmt::skip] // one mistake a line
fn windows_and_freezes() {
    check(&[
        (FILTER, r#"+ windows = { deactivat = ["Mon 09:00-16:00"] }"#, &[r#"config.toml:15: jobs.artists.windows.deactivat: unknown key; did you mean "deactivate"?"#]),
        (FILTER, r#"+ windows = { deactivate = "Mon 09:00-16:00" }"#, &["config.toml:15: jobs.artists.windows.deactivate: a list is expected, not text"]),
        (FILTER, r#"+ windows = { deactivate = [] }"#, &["config.toml:15: jobs.artists.windows.deactivate: an empty list is never open; leave the key out for any time, or use a freeze"]),
        (FILTER, r#"+ windows = { rename = ["Mon 09:00-16:00", "Monday 09:00-16:00"], clear = ["Mon 9-16"] }"#, &[r#"config.toml:15: jobs.artists.windows.rename[1]: "Monday 09:00-16:00" is not a window: "Monday" is not a day of the week (Mon, Tue, Wed, Thu, Fri, Sat, Sun); did you mean Mon?"#, r#"config.toml:15: jobs.artists.windows.clear[0]: "Mon 9-16" is not a window: "9" is not a time of day from 00:00 to 24:00"#]),
        (FILTER, r#"+ freezes = [{ from = "2026-12-18", to = "2026-12-17", what = ["deactivate"] }]"#, &["config.toml:15: jobs.artists.freezes[0].to: before from (2026-12-18)"]),
        (FILTER, r#"+ freezes = [{ from = "2026-12-18", to = "2026-12-18", what = ["deactivates", "revoke"] }]"#, &[r#"config.toml:15: jobs.artists.freezes[0].what[0]: "deactivates" is not a kind of change (create, adopt, update, rename, clear, deactivate, reactivate, grant, revoke); did you mean "deactivate"?"#]),
        (FILTER, r#"+ freezes = [{ from = "2026-12-18", what = [] }]"#, &[r#"config.toml:15: jobs.artists.freezes[0].what: missing; the kinds of change, such as ["deactivate", "revoke"]"#, r#"config.toml:15: jobs.artists.freezes[0].to: missing; a day, such as "2026-12-18""#]),
        (FILTER, r#"+ freezes = [{ from = "18.12.2026", to = "2026-12-18", what = ["create"] }]"#, &[r#"config.toml:15: jobs.artists.freezes[0].from: "18.12.2026" is not a day such as "2026-12-18""#]),
        (FILTER, r#"+ freezes = [{ from = "18.12.2026", to = "2026-12-41", what = ["creat"] }]"#, &[r#"config.toml:15: jobs.artists.freezes[0].what[0]: "creat" is not a kind of change (create, adopt, update, rename, clear, deactivate, reactivate, grant, revoke); did you mean "create"?"#, r#"config.toml:15: jobs.artists.freezes[0].from: "18.12.2026" is not a day such as "2026-12-18""#, r#"config.toml:15: jobs.artists.freezes[0].to: "2026-12-41" is not a day such as "2026-12-18""#]),
        (FILTER, r#"+ freezes = [{ from = 2026-12-18, to = "2026-12-18", what = ["create"] }]"#, &["config.toml:15: jobs.artists.freezes[0].from: a date is not expected here; text goes in quotes"]),
        (FILTER, r#"+ freezes = [{ from = "2026-12-18", to = "2026-12-18", what = ["create"], why = "x" }]"#, &["config.toml:15: jobs.artists.freezes[0].why: unknown key; known keys are from, to, what, reason"]),
        (FILTER, r#"+ windows = { create = ["Mon 09:00-16:00"] }
freezes = { from = "2026-12-18" }"#, &["config.toml:16: jobs.artists.freezes: a list is expected, not a table"]),
    ]);
}

#[test]
#[rustfmt::skip] // one mistake a line
fn unknown_keys() {
    check(&[
        ("filter =", "fliter =", &[r#"config.toml:14: jobs.artists.fliter: unknown key; did you mean "filter"?"#]),
        ("[jobs.artists]\n", "[job.artists]\n", &[r#"config.toml:12: job: unknown key; did you mean "jobs"?"#]),
        (API_USER, "+ pagesize = 5", &[r#"config.toml:5: ftrack.pagesize: unknown key; did you mean "page_size"?"#]),
        (API_USER, r#"+ colour = "red""#, &["config.toml:5: ftrack.colour: unknown key; known keys are server, api_user, api_key, api_key_file, link_key, link_key_file, ca_file, connect_timeout, request_timeout, page_size, connections, batch_size, attempts, administrator_roles, default_roles"]),
        ("[ftrack]", "colour = 1\n[ftrack]", &["config.toml:2: colour: unknown key; known keys are state_dir, control_socket, parallel_runs, http, reports, snapshots, ftrack, notifications, directories, jobs"]),
        (FILTER, "+ roles = { User = [] }", &["config.toml:15: jobs.artists.roles.User: it has no groups, so that nobody could be given the role; name a group, or remove the key to leave everybody's role as it is"]),
        (FILTER, "+ roles = { User = [\"artists\"] }", &[r#"config.toml:15: jobs.artists.roles.User[0]: "artists" is not a DN (RFC 4514) such as "cn=artists,ou=groups,dc=studio,dc=test""#]),
        (FILTER, "+ roles = { User = [\"cn=a,dc=x\"], user = [\"cn=b,dc=x\"] }", &[r#"config.toml:15: jobs.artists.roles.user: it is the same role as "User": names are compared without case"#]),
        (FILTER, "+ roles = { \"\" = [\"cn=a,dc=x\"] }", &[r#"config.toml:15: jobs.artists.roles."": empty"#]),
        (FILTER, "+ roles = [\"cn=a,dc=x\"]", &["config.toml:15: jobs.artists.roles: a table is expected, not a list"]),
        (FILTER, "+ roles = { User = 5 }", &["config.toml:15: jobs.artists.roles.User: a list of groups, or a table is expected, not a whole number"]),
        (FILTER, "+ roles = { User = { groups = [\"cn=a,dc=x\"] } }", &["config.toml:15: jobs.artists.roles.User.projects: missing; the names of the projects, such as [\"show_a\"]; for all open ones, name the groups alone, as a list"]),
        (FILTER, "+ roles = { User = { projects = [\"a\"] } }", &["config.toml:15: jobs.artists.roles.User.groups: it has no groups, so that nobody could be given the role; name a group, or remove the key to leave everybody's role as it is"]),
        (FILTER, "+ roles = { User = { groups = [\"cn=a,dc=x\"], projects = [\"a\", \"A\"] } }", &["config.toml:15: jobs.artists.roles.User.projects: it is the same project as \"a\": names are compared without case"]),
        (FILTER, "+ roles = { User = { group = [\"cn=a,dc=x\"], projects = [\"a\"] } }", &["config.toml:15: jobs.artists.roles.User.group: unknown key; did you mean \"groups\"?"]),
        (FILTER, "+ roles = { \"A@B\" = [\"cn=a,dc=x\"] }", &["config.toml:15: jobs.artists.roles.\"A@B\": a role whose name has an @ cannot be mapped, since reports write a role for a project as ROLE@PROJECT; rename the role at ftrack"]),
        (FILTER, "+ groups = { Lighting = [] }", &["config.toml:15: jobs.artists.groups.Lighting: it has no LDAP groups, so that nobody could become a member; name one, or remove the key to leave everybody's membership as it is"]),
        (FILTER, "+ groups = { \"Departments//Lighting\" = [\"cn=a,dc=x\"] }", &["config.toml:15: jobs.artists.groups.\"Departments//Lighting\": a name in this path is empty: a path is written as \"Departments/Lighting\""]),
        (FILTER, "+ groups = { Light = [\"cn=a,dc=x\"], LIGHT = [\"cn=a,dc=x\"] }", &["config.toml:15: jobs.artists.groups.Light: it is the same group as \"LIGHT\": names are compared without case"]),
        (FILTER, "+ groups = [\"cn=a,dc=x\"]", &["config.toml:15: jobs.artists.groups: a table is expected, not a list"]),
        (FILTER, "+ schedule = \"@daily\"\nchanges_schedule = \"@hourly\"\nmode = \"observe\"", &["config.toml:16: jobs.artists.changes_schedule: a job with mode = \"observe\" cannot have it: what was not written is not known to later runs, so each of them reads everything"]),
        (FILTER, "+ schedule = \"@daily\"\nwatch = true\nmode = \"observe\"", &["config.toml:16: jobs.artists.watch: a job with mode = \"observe\" cannot have it: what was not written is not known to later runs, so each of them reads everything"]),
        (FILTER, "+ watch = true", &["config.toml:15: jobs.artists.watch: a job with watch = true needs a schedule as well: what ends by time, who left without the server's saying so, and what changed in ftrack is found only when everything is read"]),
        (FILTER, "+ mode = \"dry\"", &["config.toml:15: jobs.artists.mode: \"dry\" is not one of \"sync\", \"observe\""]),
        (FILTER, r#"+ group_bases = ["ou=groups"]"#, &["config.toml:15: jobs.artists.group_bases: it is used only beside member_of, roles or groups, which are absent"]),
        (FILTER, r#"+ member_of = ["artists"]"#, &[r#"config.toml:15: jobs.artists.member_of[0]: "artists" is not a DN (RFC 4514) such as "cn=artists,ou=groups,dc=studio,dc=test""#]),
        ("[directories.studio]", "[directory.studio]", &[r#"config.toml:7: directory: unknown key; did you mean "directories"?"#]),
        (FILTER, r#"+ state_dir = "/srv""#, &["config.toml:15: jobs.artists.state_dir: it belongs at the top, before the first table"]),
        (API_USER, "+ control_socket = \"/srv\"", &["config.toml:5: ftrack.control_socket: it belongs at the top, before the first table"]),
        (FILTER, "+ bind_dn = \"cn=sync\"", &["config.toml:15: jobs.artists.bind_dn: it does not belong here, but in [directories.NAME]"]),
        (FILTER, "+ deactivate_after = \"1d\"", &["config.toml:15: jobs.artists.deactivate_after: it does not belong here, but in [jobs.artists.users]"]),
        (FILTER, "+ page_size = 5", &["config.toml:15: jobs.artists.page_size: it does not belong here, but in [ftrack] or [directories.NAME]"]),
        ("[ftrack]\nserver = \"https://studio.ftrackapp.com\"", "server = \"https://studio.ftrackapp.com\"\n[ftrack]", &["config.toml:2: server: it does not belong here, but in [ftrack] or [notifications.mail] or [jobs.NAME.notifications.mail]"]),
        (FILTER, r#"+ kind = "ftrack""#, &[r#"config.toml:15: jobs.artists.kind: "ftrack" is not one of "ldap", "ftrack-ldap""#]),
        (FILTER, "+ limits.adopt = \"never\"", &["config.toml:15: jobs.artists.limits.adopt: it does not belong here, but in [jobs.artists.users] or [jobs.artists.windows]"]),
        (EMAIL, "+ [jobs.artist.limits]\ndeactivate = 5\n[jobs.artist.users]\nprotect = []", &[r#"config.toml:19: jobs.artist.limits: there is no job "artist" beside this table; did you mean [jobs.artists.limits]?"#, r#"config.toml:21: jobs.artist.users: there is no job "artist" beside this table; did you mean [jobs.artists.users]?"#]),
        (FILTER, "+ users.protects = []", &[r#"config.toml:15: jobs.artists.users.protects: unknown key; did you mean "protect"?"#]),
        (EMAIL, r#"email = { form = "mail" }"#, &[r#"config.toml:18: jobs.artists.attributes.email.form: unknown key; did you mean "from"?"#]),
        (EMAIL, r#"custom_attributes.number = "employeeNumber""#, &[r#"config.toml:18: jobs.artists.attributes.custom_attributes.number: unknown key; the name of a custom attribute goes in quotes: "custom_attributes.number" = ..."#]),
        ("[ftrack]", "\"a\\nb\" = 1\n[ftrack]", &[r#"config.toml:2: "a\nb": unknown key; known keys are state_dir, control_socket, parallel_runs, http, reports, snapshots, ftrack, notifications, directories, jobs"#]),
    ]);
}

#[test]
#[rustfmt::skip] // one mistake a line
fn wrong_types() {
    check(&[
        (PASSWORD, "bind_password = 12345", &["config.toml:10: directories.studio.bind_password: text in quotes is expected, not a whole number"]),
        (PASSWORD, r#"bind_password = ["planted-password"]"#, &["config.toml:10: directories.studio.bind_password: text in quotes is expected, not a list"]),
        (API_KEY, "api_key = true", &["config.toml:5: ftrack.api_key: text in quotes is expected, not true or false"]),
        (API_KEY, "api_key = 1979-05-27", &["config.toml:5: ftrack.api_key: a date is not expected here; text goes in quotes"]),
        (API_USER, r#"+ page_size = "500""#, &["config.toml:5: ftrack.page_size: a whole number is expected, not text; leave out the quotes"]),
        (API_USER, "+ page_size = 1.5", &["config.toml:5: ftrack.page_size: a whole number is expected, not a number with a fraction"]),
        (API_USER, "+ page_size = 99999999999999999999", &["config.toml:5: ftrack.page_size: the number is too large"]),
        (API_USER, "+ connect_timeout = 5", &[r#"config.toml:5: ftrack.connect_timeout: a duration in quotes, such as "90s", "15m" or "1h 30m", is expected, not a whole number"#]),
        (URLS, r#"urls = "ldaps://ldap.studio.test""#, &["config.toml:8: directories.studio.urls: a list is expected, not text"]),
        (URLS, r#"urls = ["ldaps://a.test", 7]"#, &["config.toml:8: directories.studio.urls[1]: text in quotes is expected, not a whole number"]),
        (BIND_DN, r#"+ start_tls = "true""#, &["config.toml:10: directories.studio.start_tls: true or false is expected, not text; leave out the quotes"]),
        (FILTER, r#"+ limits.deactivate = "10""#, &[r#"config.toml:15: jobs.artists.limits.deactivate: "10" is neither a count, which is written without quotes, nor a percentage such as "10%""#]),
        (FILTER, r#"+ users.deactivate = "10%""#, &["config.toml:15: jobs.artists.users.deactivate: true or false is expected, not text; a limit goes in [jobs.artists.limits]: deactivate"]),
        (FILTER, "+ users.deactivate = 10", &["config.toml:15: jobs.artists.users.deactivate: true or false is expected, not a whole number; a limit goes in [jobs.artists.limits]: deactivate"]),
        (BIND_DN, r#"+ start_tls = "yes""#, &["config.toml:10: directories.studio.start_tls: true or false is expected, not text"]),
        (BIND_DN, r#"+ sasl = "extrenal""#, &[r#"config.toml:10: directories.studio.sasl: "extrenal" is not one of "external", "gssapi"; did you mean "external"?"#]),
        (BIND_DN, "+ principal = \"sync@STUDIO.TEST\"", &["config.toml:10: directories.studio.principal: is for sasl = \"gssapi\"; set that, or remove it"]),
        (BIND_DN, "+ sasl = 1", &["config.toml:10: directories.studio.sasl: the name of a SASL mechanism in quotes is expected, not a whole number"]),
        (FILTER, r#"+ scope = "sub""#, &[r#"config.toml:15: jobs.artists.scope: "sub" is not one of "subtree", "one""#]),
        (FILTER, r#"+ scope = "subtre""#, &[r#"config.toml:15: jobs.artists.scope: "subtre" is not one of "subtree", "one"; did you mean "subtree"?"#]),
        (FILTER, "+ limits.deactivate = 1.5", &[r#"config.toml:15: jobs.artists.limits.deactivate: a count such as 25, or a percentage in quotes such as "10%", is expected"#]),
        (FILTER, "+ limits.deactivate = true", &[r#"config.toml:15: jobs.artists.limits.deactivate: a count such as 25, or a percentage in quotes such as "10%", is expected"#]),
        (EMAIL, "email = 7", &["config.toml:18: jobs.artists.attributes.email: the name of an LDAP attribute, a template, or a table is expected, not a whole number"]),
        (EMAIL, "email = { from = 7 }", &["config.toml:18: jobs.artists.attributes.email.from: text in quotes is expected, not a whole number"]),
        ("[ftrack]", "http = 7\n[ftrack]", &["config.toml:2: http: a table is expected, not a whole number"]),
        ("[ftrack]", "[[ftrack]]", &["config.toml:2: ftrack: a table is expected, not a list"]),
        (BASES, r#"search_bases = "ou=people,dc=studio,dc=test""#, &["config.toml:13: jobs.artists.search_bases: a list is expected, not text"]),
        ("[ftrack]", "reports = []\n[ftrack]", &["config.toml:2: reports: a table is expected, not a list"]),
        ("[ftrack]", "state_dir = 7\n[ftrack]", &["config.toml:2: state_dir: a path in quotes is expected, not a whole number"]),
    ]);
}

#[test]
#[rustfmt::skip] // one mistake a line
fn not_toml() {
    check(&[
        (PASSWORD, "bind_password = planted-password", &[r#"config.toml:10: not TOML: text goes in quotes: key = "text""#]),
        (FILTER, "filter = (objectClass=person)\nscope = subtree\nsource = studio", &[r#"config.toml:14: not TOML: text goes in quotes: key = "text""#, r#"config.toml:15: not TOML: text goes in quotes: key = "text""#, r#"config.toml:16: not TOML: text goes in quotes: key = "text""#]),
        (FILTER, "filter = (objectClass=person)", &[r#"config.toml:14: not TOML: text goes in quotes: key = "text""#]),
        (USERNAME, "username = {{ uid }}", &[r#"config.toml:17: not TOML: text goes in quotes: key = "text""#]),
        (BASES, "search_bases = [ou=people,dc=studio]", &[r#"config.toml:13: not TOML: text goes in quotes: key = "text""#]),
        (FILTER, "+ limits.deactivate = 10%", &[r#"config.toml:15: not TOML: text goes in quotes: key = "text""#]),
        (PASSWORD, r#"bind_password = "planted-password"#, &[r#"config.toml:10: not TOML: invalid basic string, expected `"`"#]),
        (PASSWORD, r#"+ bind_password = "planted-password""#, &[r#"config.toml:11: not TOML: "bind_password" is written twice in this table; remove one"#]),
        (BIND_DN, r#"bind_dn = "cn=sync\, planted,dc=studio""#, &[r#"config.toml:9: not TOML: in "…" a backslash is written twice, as \\; or put the text in single quotes '…'"#]),
        (BIND_DN, r#"bind_dn = "STUDIO\user""#, &[r#"config.toml:9: not TOML: in "…" a backslash is written twice, as \\; or put the text in single quotes '…'"#]),
    ]);
}

#[test]
#[rustfmt::skip] // one mistake a line
fn out_of_range() {
    check(&[
        (API_USER, "+ page_size = 0", &["config.toml:5: ftrack.page_size: 0 is out of range; it must be 1 to 10000"]),
        (API_USER, "+ page_size = 10001", &["config.toml:5: ftrack.page_size: 10001 is out of range; it must be 1 to 10000"]),
        (API_USER, "+ page_size = -1", &["config.toml:5: ftrack.page_size: -1 is out of range; it must be 1 to 10000"]),
        (API_USER, "+ connections = 65", &["config.toml:5: ftrack.connections: 65 is out of range; it must be 1 to 64"]),
        (API_USER, "+ batch_size = 0", &["config.toml:5: ftrack.batch_size: 0 is out of range; it must be 1 to 1000"]),
        (API_USER, "+ attempts = 0", &["config.toml:5: ftrack.attempts: 0 is out of range; it must be 1 to 20"]),
        (API_USER, r#"+ connect_timeout = "0s""#, &[r#"config.toml:5: ftrack.connect_timeout: "0s" is out of range; it must be 100ms to 1h"#]),
        (API_USER, r#"+ request_timeout = "2h""#, &[r#"config.toml:5: ftrack.request_timeout: "2h" is out of range; it must be 100ms to 1h"#]),
        (API_USER, r#"+ request_timeout = "90""#, &[r#"config.toml:5: ftrack.request_timeout: "90" is not a duration such as "90s", "15m" or "1h 30m""#]),
        (API_USER, r#"+ request_timeout = "soon""#, &[r#"config.toml:5: ftrack.request_timeout: "soon" is not a duration such as "90s", "15m" or "1h 30m""#]),
        (API_USER, "+ administrator_roles = []", &["config.toml:5: ftrack.administrator_roles: empty; without it the program cannot recognise administrators, whom it must not lock out"]),
        (API_USER, r#"+ default_roles = [""]"#, &["config.toml:5: ftrack.default_roles[0]: empty"]),
        (API_USER, r#"+ default_roles = ["User", "administrator"]"#, &["config.toml:5: ftrack.default_roles[1]: also in ftrack.administrator_roles, whose users are never adopted"]),
        (API_USER, r#"+ administrator_roles = [""]"#, &["config.toml:5: ftrack.administrator_roles[0]: empty"]),
        (BIND_DN, "+ page_size = 10001", &["config.toml:10: directories.studio.page_size: 10001 is out of range; it must be 1 to 10000"]),
        (BIND_DN, "+ pool_size = 0", &["config.toml:10: directories.studio.pool_size: 0 is out of range; it must be 1 to 64"]),
        (BIND_DN, r#"+ operation_timeout = "0s""#, &[r#"config.toml:10: directories.studio.operation_timeout: "0s" is out of range; it must be 100ms to 1h"#]),
        (BIND_DN, r#"+ connect_timeout = "-1s""#, &[r#"config.toml:10: directories.studio.connect_timeout: "-1s" is not a duration such as "90s", "15m" or "1h 30m""#]),
        (FILTER, r#"+ splay = "2d""#, &[r#"config.toml:15: jobs.artists.splay: "2d" is out of range; it must be 0s to 1d"#]),
        (FILTER, r#"+ time_limit = "0s""#, &[r#"config.toml:15: jobs.artists.time_limit: "0s" is out of range; it must be 1s to 7d"#]),
        (FILTER, r#"+ users.deactivate_after = "101y""#, &[r#"config.toml:15: jobs.artists.users.deactivate_after: "101y" is out of range; it must be 0s to 36525d"#]),
        (FILTER, "+ limits.deactivate = -1", &["config.toml:15: jobs.artists.limits.deactivate: -1 is out of range; it must be 0 to 100000000"]),
        (FILTER, r#"+ limits.deactivate = "101%""#, &[r#"config.toml:15: jobs.artists.limits.deactivate: "101%" is neither a count such as 25 nor a percentage from "0%" to "100%""#]),
        (FILTER, r#"+ limits.deactivate = "ten""#, &[r#"config.toml:15: jobs.artists.limits.deactivate: "ten" is neither a count such as 25 nor a percentage from "0%" to "100%""#]),
        (FILTER, "+ limits.min_entries = -1", &["config.toml:15: jobs.artists.limits.min_entries: -1 is out of range; it must be 0 to 100000000"]),
        (FILTER, r#"+ retry = { initial = "2h", max = "1h" }"#, &["config.toml:15: jobs.artists.retry.initial: longer than max"]),
        (FILTER, "+ retry.suspend_after = 0", &["config.toml:15: jobs.artists.retry.suspend_after: 0 is out of range; it must be 1 to 1000"]),
        ("[ftrack]", "[snapshots]\nkeep = 0\nkeep_for = \"1s\"\n[ftrack]", &["config.toml:3: snapshots.keep: 0 is out of range; it must be 1 to 1000000", r#"config.toml:4: snapshots.keep_for: "1s" is out of range; it must be 1h to 36525d"#]),
        ("[ftrack]", "[reports]\nkeep = 0\nkeep_for = \"1s\"\n[ftrack]", &["config.toml:3: reports.keep: 0 is out of range; it must be 1 to 1000000", r#"config.toml:4: reports.keep_for: "1s" is out of range; it must be 1h to 36525d"#]),
        ("[ftrack]", "[http]\nlisten = \"localhost\"\n[ftrack]", &[r#"config.toml:3: http.listen: "localhost" is not an IP address and a port such as "127.0.0.1:9464""#]),
        ("[ftrack]", "[http]\nlisten = \"127.0.0.1:1\"\nhosts = [\"https://sync.test\", \"sync.test\", \"Sync.test\", \"sync.test:80\"]\n[ftrack]", &[r#"config.toml:4: http.hosts[0]: "https://sync.test" is not a host's name in lower case, without scheme and port"#, r#"config.toml:4: http.hosts[2]: "Sync.test" is not a host's name in lower case, without scheme and port"#, r#"config.toml:4: http.hosts[3]: "sync.test:80" is not a host's name in lower case, without scheme and port"#]),
        ("[ftrack]", "[http]\nlisten = \"127.0.0.1:1\"\ntrusted_proxies = [\"10.0.0.0/8\", \"proxy\", \"::1\"]\n[ftrack]", &[r#"config.toml:4: http.trusted_proxies[1]: "proxy" is neither an address nor a network such as "10.1.0.0/16""#]),
        ("[ftrack]", "[http]\nlisten = \"127.0.0.1:1\"\ntokens = [{}]\n[ftrack]", &["config.toml:4: http.tokens[0].name: missing; who has the token, such as \"coordinator\"", "config.toml:4: http.tokens[0].token_file: missing; the file that contains the token; `openssl rand -hex 32` makes a good one", "config.toml:4: http.tokens[0].may: missing; what the token is for: [\"read\"], or [\"read\", \"act\"]"]),
        ("[ftrack]", "[http]\nlisten = \"127.0.0.1:1\"\ntokens = [{ name = \"Eva B\", token = \"planted\", may = [] }, { name = \"bo\", token = \"planted-and-long-enough\", may = [\"write\"] }, { name = \"bo\", token = \"planted-and-long-enough\", may = [\"act\"] }]\n[ftrack]", &[r#"config.toml:4: http.tokens[0].name: a name consists of lower-case letters, digits, "-", "_" and ".", starts with a letter or digit, and has at most 64 characters"#, "config.toml:4: http.tokens[0].token: a token of fewer than 16 characters could be guessed", r#"config.toml:4: http.tokens[0].may: empty: a token is for "read", or also for "act""#, r#"config.toml:4: http.tokens[1].may[0]: "write" is neither "read" nor "act""#, r#"config.toml:4: http.tokens[2].name: "bo" is the name of another token"#, r#"config.toml:4: http.tokens[2].token: the same token as that of "bo": with one for both, nobody could tell who did what"#]),
        ("[ftrack]", "[http]\nlisten = \"127.0.0.1:1\"\ntokens = [{ name = \"bo\", token_file = \"none\", may = [\"act\"], x = 1 }]\n[ftrack]", &["config.toml:4: http.tokens[0].x: unknown key; known keys are name, token, token_file, may"]),
        ("[ftrack]", "[http]\n[ftrack]", &[r#"config.toml:2: http.listen: missing; the address and port to listen on, such as "127.0.0.1:9464""#]),
        ("[ftrack]", "state_dir = \"\"\n[ftrack]", &["config.toml:2: state_dir: empty"]),
    ]);
}

#[test]
#[rustfmt::skip] // one mistake a line
fn ftrack() {
    check(&[
        (SERVER, "", &[r#"config.toml:2: ftrack.server: missing; the address of the ftrack server, such as "https://studio.ftrackapp.com", here or in the variable FTRACK_SERVER"#]),
        (API_USER, "", &["config.toml:2: ftrack.api_user: missing; the ftrack user as whom the API key acts, here or in the variable FTRACK_API_USER"]),
        (API_USER, r#"api_user = " ""#, &["config.toml:4: ftrack.api_user: empty"]),
        (API_KEY, "", &[r#"config.toml:2: ftrack.api_key: missing; set api_key_file = "file that contains the key" (a path, or the name of a systemd credential), or the variable FTRACK_API_KEY"#]),
        (API_KEY, r#"api_key = """#, &["config.toml:5: ftrack.api_key: empty"]),
        (API_KEY, r#"+ link_key = "planted-short""#, &["config.toml:6: ftrack.link_key: a key of fewer than 16 characters could be guessed"]),
        (API_KEY, "+ link_key = 1234567890123456", &["config.toml:6: ftrack.link_key: text in quotes is expected, not a whole number"]),
        (API_KEY, r#"+ api_key_file = "key""#, &["config.toml:5: ftrack.api_key: set twice, here and in api_key_file; remove one"]),
        (SERVER, r#"server = "http://studio.ftrackapp.com""#, &["config.toml:3: ftrack.server: the API key would go over the network in plain text; write https://"]),
        (SERVER, r#"server = "ftp://studio.test""#, &[r#"config.toml:3: ftrack.server: "ftp" is not a scheme that ftrack uses; write https://"#]),
        (SERVER, r#"server = "studio.test""#, &[r#"config.toml:3: ftrack.server: not a URL such as "https://studio.ftrackapp.com""#]),
        (SERVER, r#"server = "https:///""#, &[r#"config.toml:3: ftrack.server: not a URL such as "https://studio.ftrackapp.com""#]),
        (SERVER, r#"server = "https://user:planted@studio.test""#, &["config.toml:3: ftrack.server: a user or password must not be in the URL"]),
        (SERVER, r#"server = "https://studio.test/api""#, &[r#"config.toml:3: ftrack.server: more than a scheme, a host and a port; write it such as "https://studio.ftrackapp.com""#]),
        (SERVER, r#"server = "https://studio.test/?a=b""#, &[r#"config.toml:3: ftrack.server: more than a scheme, a host and a port; write it such as "https://studio.ftrackapp.com""#]),
        (API_USER, r#"+ ca_file = "nowhere.pem""#, &["config.toml:5: ftrack.ca_file: nowhere.pem cannot be read: No such file or directory (os error 2)"]),
        (API_USER, r#"+ ca_file = "ca.cer""#, &["config.toml:5: ftrack.ca_file: ca.cer is in DER form, and not PEM: `openssl x509 -inform der -in ca.cer -out ca.pem` converts it"]),
        (API_USER, r#"+ ca_file = "config.toml""#, &["config.toml:5: ftrack.ca_file: config.toml contains no PEM certificate"]),
    ]);
}

#[test]
#[rustfmt::skip] // one mistake a line
fn directories() {
    check(&[
        (URLS, "", &[r#"config.toml:7: directories.studio.urls: missing; the addresses of the directory's servers, such as ["ldaps://ldap.studio.test"]"#]),
        (URLS, "urls = []", &[r#"config.toml:8: directories.studio.urls: missing; the addresses of the directory's servers, such as ["ldaps://ldap.studio.test"]"#]),
        (URLS, r#"urls = ["ldaps://a.test", "https://b.test"]"#, &[r#"config.toml:8: directories.studio.urls[1]: "https" is not an LDAP scheme; write ldaps://, ldap:// or ldapi://"#]),
        (URLS, r#"urls = ["ldaps://a.test/dc=test??sub"]"#, &[r#"config.toml:8: directories.studio.urls[0]: more than a scheme, a host and a port; write it such as "ldaps://ldap.studio.test""#]),
        (URLS, r#"urls = ["ldaps://a.test/?x"]"#, &[r#"config.toml:8: directories.studio.urls[0]: more than a scheme, a host and a port; write it such as "ldaps://ldap.studio.test""#]),
        (URLS, r#"urls = ["ldap:a.test"]"#, &[r#"config.toml:8: directories.studio.urls[0]: a URL without a host; write it such as "ldaps://ldap.studio.test""#]),
        (URLS, r#"urls = ["ldaps://"]"#, &[r#"config.toml:8: directories.studio.urls[0]: a URL without a host; write it such as "ldaps://ldap.studio.test""#]),
        (URLS, r#"urls = ["ldaps://me:planted@a.test"]"#, &["config.toml:8: directories.studio.urls[0]: a user or password must not be in the URL"]),
        (URLS, r#"urls = ["a.test"]"#, &[r#"config.toml:8: directories.studio.urls[0]: not a URL such as "ldaps://ldap.studio.test""#]),
        (URLS, r#"urls = ["ldap://a.test", "b.test", "https://c.test", "ldaps://d.test/x"]"#, &["config.toml:8: directories.studio.urls[0]: the bind password would go over the network in plain text; use ldaps:// or start_tls = true, or accept it with allow_plaintext = true", r#"config.toml:8: directories.studio.urls[1]: not a URL such as "ldaps://ldap.studio.test""#, r#"config.toml:8: directories.studio.urls[2]: "https" is not an LDAP scheme; write ldaps://, ldap:// or ldapi://"#, r#"config.toml:8: directories.studio.urls[3]: more than a scheme, a host and a port; write it such as "ldaps://ldap.studio.test""#]),
        (BIND_DN, "+ start_tls = true", &["config.toml:8: directories.studio.urls[0]: ldaps:// is encrypted from the first byte; write ldap:// with start_tls = true, or remove start_tls"]),
        (URLS, r#"urls = ["ldap://a.test", "ldap://localhost", "ldap://127.0.0.2", "ldap://[::1]:3890"]"#, &["config.toml:8: directories.studio.urls[0]: the bind password would go over the network in plain text; use ldaps:// or start_tls = true, or accept it with allow_plaintext = true"]),
        (BIND_DN, "", &["config.toml:7: directories.studio.bind_dn: missing; a password without a bind DN; set bind_dn"]),
        (PASSWORD, "", &[r#"config.toml:9: directories.studio.bind_dn: has no password, which would be an anonymous bind; set bind_password_file = "file that contains the password""#]),
        (PASSWORD, r#"bind_password = """#, &["config.toml:10: directories.studio.bind_password: empty"]),
        (PASSWORD, r#"+ bind_password_file = "key""#, &["config.toml:10: directories.studio.bind_password: set twice, here and in bind_password_file; remove one"]),
        (BIND_DN, r#"bind_dn = """#, &["config.toml:9: directories.studio.bind_dn: empty"]),
        (BIND_DN, r#"+ sasl = "external""#, &[r#"config.toml:7: directories.studio.client_cert_file: missing; sasl = "external" binds with the client certificate"#, "config.toml:10: directories.studio.sasl: binds with the client certificate; remove bind_dn and the password"]),
        ("bind_dn = \"cn=sync,dc=studio,dc=test\"\nbind_password = \"planted-password\"", r#"sasl = "external""#, &[r#"config.toml:7: directories.studio.client_cert_file: missing; sasl = "external" binds with the client certificate"#]),
        (BIND_DN, r#"+ client_cert_file = "cert.pem""#, &["config.toml:7: directories.studio.client_key_file: missing; client_cert_file needs its key"]),
        (BIND_DN, r#"+ client_key_file = "key.pem""#, &["config.toml:7: directories.studio.client_cert_file: missing; client_key_file needs its certificate"]),
        (BIND_DN, "+ client_cert_file = \"key.pem\"\nclient_key_file = \"cert.pem\"", &["config.toml:10: directories.studio.client_cert_file: key.pem contains no PEM certificate", "config.toml:11: directories.studio.client_key_file: cert.pem contains no PEM private key (it must have no passphrase)"]),
        (BIND_DN, r#"+ id_attribute = "entry UUID""#, &[r#"config.toml:10: directories.studio.id_attribute: "entry UUID" is not the name of an LDAP attribute (RFC 4512)"#]),
        (BIND_DN, r#"+ ca_file = "broken.pem""#, &["config.toml:10: directories.studio.ca_file: broken.pem is not a PEM file of certificates: base64 decode error: InvalidCharacter(123)"]),
        ("urls = [\"ldaps://ldap.studio.test\"]\nbind_dn = \"cn=sync,dc=studio,dc=test\"\nbind_password = \"planted-password\"", "urls = [\"ldap://a.test\"]\nsasl = \"external\"\nclient_cert_file = \"cert.pem\"\nclient_key_file = \"key.pem\"", &["config.toml:9: directories.studio.sasl: a client certificate is only used with TLS; use ldaps:// or start_tls = true"]),
        ("urls = [\"ldaps://ldap.studio.test\"]\nbind_dn = \"cn=sync,dc=studio,dc=test\"\nbind_password = \"planted-password\"", "urls = [\"ldapi:///\"]\nsasl = \"external\"\nclient_cert_file = \"cert.pem\"\nca_file = \"cert.pem\"", &["config.toml:10: directories.studio.client_cert_file: is for TLS, and ldapi:// is a socket of this machine, without TLS; remove it", "config.toml:11: directories.studio.ca_file: is for TLS, and ldapi:// is a socket of this machine, without TLS; remove it"]),
        (URLS, "urls = [\"ldapi:///\"]\nstart_tls = true", &["config.toml:8: directories.studio.urls[0]: ldapi:// is a socket of this machine, without TLS; remove start_tls"]),
        (URLS, "urls = [\"ldapi:///\"]\nsasl = \"external\"", &["config.toml:9: directories.studio.sasl: binds as the user that the program runs as; remove bind_dn and the password"]),
        (URLS, r#"urls = ["ldapi:///run/slapd/ldapi", "ldapi://run", "ldapi://%2Frun:389"]"#, &[r#"config.toml:8: directories.studio.urls[0]: ldapi:// takes the path of the socket's file with %2F for each slash, such as "ldapi://%2Frun%2Fslapd%2Fldapi""#, r#"config.toml:8: directories.studio.urls[1]: the path of the socket's file must begin with a slash, such as "ldapi://%2Frun%2Fslapd%2Fldapi""#, r#"config.toml:8: directories.studio.urls[2]: a socket has no port; write its file, such as "ldapi://%2Frun%2Fslapd%2Fldapi""#]),
        (URLS, "+ srv = \"studio.test\"", &["config.toml:9: directories.studio.srv: set beside urls; remove one of them"]),
        (URLS, "+ srv_scheme = \"ldap\"", &["config.toml:9: directories.studio.srv_scheme: is for servers from DNS records; set srv, or remove it"]),
        (URLS, "srv = \"ldaps://studio.test\"", &[r#"config.toml:8: directories.studio.srv: "ldaps://studio.test" is not a domain such as "studio.test""#]),
        (URLS, "srv = \"studio.test\"\nstart_tls = true", &[r#"config.toml:9: directories.studio.start_tls: ldaps:// is encrypted from the first byte; set srv_scheme = "ldap", or remove start_tls"#]),
        (URLS, "srv = \"studio.test\"\nsrv_scheme = \"ldap\"", &[r#"config.toml:9: directories.studio.srv_scheme: the bind password would go over the network in plain text; use "ldaps" or start_tls = true, or accept it with allow_plaintext = true"#]),
        (URLS, "srv = \"studio.test\"\nsrv_scheme = \"ldpa\"", &[r#"config.toml:9: directories.studio.srv_scheme: "ldpa" is not one of "ldaps", "ldap"; did you mean "ldap"?"#]),
        ("[directories.studio]", "[directories.Studio]", &[r#"config.toml:7: directories.Studio: a name consists of lower-case letters, digits, "-", "_" and ".", starts with a letter or digit, and has at most 64 characters"#]),
        ("[directories.studio]\nurls = [\"ldaps://ldap.studio.test\"]\nbind_dn = \"cn=sync,dc=studio,dc=test\"\nbind_password = \"planted-password\"", "", &["config.toml: directories: missing; add a table such as [directories.studio]"]),
    ]);
}

#[test]
#[rustfmt::skip] // one mistake a line
fn jobs() {
    check(&[
        ("[jobs.artists", r#"[jobs."Artists 1""#, &[r#"config.toml:12: jobs."Artists 1": a name consists of lower-case letters, digits, "-", "_" and ".", starts with a letter or digit, and has at most 64 characters"#]),
        ("[jobs.artists", r#"[jobs.".artists""#, &[r#"config.toml:12: jobs.".artists": a name consists of lower-case letters, digits, "-", "_" and ".", starts with a letter or digit, and has at most 64 characters"#]),
        (FILTER, r#"+ directory = "studo""#, &[r#"config.toml:15: jobs.artists.directory: there is no directory "studo"; did you mean "studio"?"#]),
        (FILTER, r#"+ schedule = "* * * *""#, &[r#"config.toml:15: jobs.artists.schedule: "* * * *" is not a cron expression: it has 4 fields instead of five (minute, hour, day of the month, month, day of the week; with six, the first is the second)"#]),
        (FILTER, r#"+ schedule = "@noon""#, &[r#"config.toml:15: jobs.artists.schedule: "@noon" is not a cron expression: the nicknames are @hourly, @daily, @weekly, @monthly and @yearly"#]),
        (FILTER, r#"+ schedule = "0 3 * * MON-FRY""#, &[r#"config.toml:15: jobs.artists.schedule: "0 3 * * MON-FRY" is not a cron expression: "MON-FRY" is no day of the week (0 to 7 or SUN to SAT)"#]),
        (FILTER, r#"+ schedule = "0 0 30 2 *""#, &[r#"config.toml:15: jobs.artists.schedule: "0 0 30 2 *" never occurs"#]),
        (FILTER, r#"+ schedule = "61 * * * *""#, &[r#"config.toml:15: jobs.artists.schedule: "61 * * * *" is not a cron expression: "61" is no minute (0 to 59)"#]),
        (FILTER, r#"+ timezone = "Europe/Stokholm""#, &[r#"config.toml:15: jobs.artists.timezone: "Europe/Stokholm" is not an IANA time zone such as "Europe/Stockholm"; did you mean "Europe/Stockholm"?"#]),
        (FILTER, r#"+ timezone = "CEST""#, &[r#"config.toml:15: jobs.artists.timezone: "CEST" is not an IANA time zone such as "Europe/Stockholm"; did you mean "CET"?"#]),
        (BASES, "search_bases = []", &[r#"config.toml:13: jobs.artists.search_bases: missing; where the searches start, such as ["ou=people,dc=studio,dc=test"]"#]),
        (BASES, r#"search_bases = ["people", ""]"#, &[r#"config.toml:13: jobs.artists.search_bases[0]: "people" is not a DN (RFC 4514) such as "ou=people,dc=studio,dc=test""#, "config.toml:13: jobs.artists.search_bases[1]: empty"]),
        (FILTER, r#"filter = "(objectClass=inetOrgPerson""#, &[r#"config.toml:14: jobs.artists.filter: "(objectClass=inetOrgPerson" is not a filter (RFC 4515): the parenthesis at character 1 is not closed"#]),
        (FILTER, r#"filter = "objectClass=inetOrgPerson""#, &[r#"config.toml:14: jobs.artists.filter: "objectClass=inetOrgPerson" is not a filter (RFC 4515): it must be in parentheses, such as "(objectClass=inetOrgPerson)""#]),
        (FILTER, r#"filter = "(objectClass)""#, &[r#"config.toml:14: jobs.artists.filter: "(objectClass)" is not a filter (RFC 4515): at character 1, "(objectClass)" is no condition such as "(uid=*)"; parentheses, * and \ in a value are written \28, \29, \2a and \5c"#]),
        (FILTER, "filter = \"(&(uid=*)(&(mail)(cn=*)))\"", &[r#"config.toml:14: jobs.artists.filter: "(&(uid=*)(&(mail)(cn=*)))" is not a filter (RFC 4515): at character 12, "(mail)" is no condition such as "(uid=*)"; parentheses, * and \ in a value are written \28, \29, \2a and \5c"#]),
        (FILTER, "filter = \"(uid=*)(cn=*)\"", &[r#"config.toml:14: jobs.artists.filter: "(uid=*)(cn=*)" is not a filter (RFC 4515): its conditions are joined by & (all), | (any) or ! (not), as in "(&(objectClass=person)(!(uid=svc-*)))""#]),
        (FILTER, "filter = \"(uid=*))\"", &[r#"config.toml:14: jobs.artists.filter: "(uid=*))" is not a filter (RFC 4515): the closing parenthesis at character 8 has no opening one"#]),
        (FILTER, r#"filter = """#, &[r#"config.toml:14: jobs.artists.filter: "" is not a filter (RFC 4515): it must be in parentheses, such as "(objectClass=inetOrgPerson)""#]),
        (USERNAME, "", &[r#"config.toml:16: jobs.artists.attributes.username: missing; the login name, such as username = "uid""#]),
        (USERNAME, r#"usernmae = "uid""#, &[r#"config.toml:17: jobs.artists.attributes.usernmae: not an ftrack attribute; did you mean "username"?"#]),
        (USERNAME, r#"username = { from = "uid", required = false, when_absent = "clear" }"#, &["config.toml:17: jobs.artists.attributes.username.required: a user needs a username; remove it", "config.toml:17: jobs.artists.attributes.username.when_absent: a user needs a username; remove it"]),
        (USERNAME, r#"username = { from = "uid", write = "on_create" }"#, &["config.toml:17: jobs.artists.attributes.username.write: a login follows the directory, by which its person signs in; remove it"]),
        (EMAIL, r#"email = { from = "mail", write = "on_create", when_absent = "clear" }"#, &[r#"config.toml:18: jobs.artists.attributes.email.when_absent: with write = "on_create", nothing is cleared; remove one of the two"#]),
        (EMAIL, r#"email = { from = "mail", write = "once" }"#, &[r#"config.toml:18: jobs.artists.attributes.email.write: "once" is not one of "always", "on_create""#]),
        (EMAIL, r#"thumbnail = "{{ jpegPhoto }}""#, &[r#"config.toml:18: jobs.artists.attributes.thumbnail: a picture is no text; name the LDAP attribute that contains it, such as "jpegPhoto""#]),
        (EMAIL, r#"thumbnail = { from = "jpegPhoto", required = true, when_absent = "clear" }"#, &["config.toml:18: jobs.artists.attributes.thumbnail.required: nobody is left out for want of a picture; remove it", "config.toml:18: jobs.artists.attributes.thumbnail.when_absent: a picture that the directory does not show stays in ftrack; remove it"]),
        (EMAIL, r#"mail = "mail""#, &[r#"config.toml:18: jobs.artists.attributes.mail: not an ftrack attribute; did you mean "email"?"#]),
        (EMAIL, r#"emial = "mail""#, &[r#"config.toml:18: jobs.artists.attributes.emial: not an ftrack attribute; did you mean "email"?"#]),
        (EMAIL, r#""custom_attributes." = "x""#, &[r#"config.toml:18: jobs.artists.attributes."custom_attributes.": not an ftrack attribute; known attributes are username, email, first_name, last_name, full_name, thumbnail and "custom_attributes.KEY""#]),
        (EMAIL, "full_name = \"cn\"\nlast_name = \"sn\"", &["config.toml:19: jobs.artists.attributes.last_name: full_name sets it already; remove one of them"]),
        (EMAIL, r#"email = "e mail""#, &[r#"config.toml:18: jobs.artists.attributes.email: "e mail" is neither the name of an LDAP attribute (RFC 4512) nor a {{ template }}"#]),
        (EMAIL, r#"email = "{{ mail | trimm }}""#, &[r#"config.toml:18: jobs.artists.attributes.email: "{{ mail | trimm }}" fails for every entry: filter trimm is unknown; did you mean "trim"?"#]),
        (EMAIL, "email = \"{{ mail | trimm }}\"\ncolour = 1", &[r#"config.toml:18: jobs.artists.attributes.email: "{{ mail | trimm }}" fails for every entry: filter trimm is unknown; did you mean "trim"?"#, "config.toml:19: jobs.artists.attributes.colour: the name of an LDAP attribute, a template, or a table is expected, not a whole number"]),
        (EMAIL, r#"email = "{{ mail""#, &[r#"config.toml:18: jobs.artists.attributes.email: "{{ mail" is not a template: unexpected end of input, expected end of variable block"#]),
        (EMAIL, r#"email = "{{ mail | }}""#, &[r#"config.toml:18: jobs.artists.attributes.email: "{{ mail | }}" is not a template: unexpected end of variable block, expected identifier"#]),
        (EMAIL, "email = {}", &["config.toml:18: jobs.artists.attributes.email.from: missing; the name of an LDAP attribute, or a template"]),
        (EMAIL, "[jobs.artists.users]\nadopt = \"email\"", &[r#"config.toml:19: jobs.artists.users.adopt: "email" needs the attribute email in the job's attributes"#]),
        (FILTER, r#"+ users.protect = ["admin", "[a-"]"#, &[r#"config.toml:15: jobs.artists.users.protect[1]: "[a-" is not a pattern: unclosed character class; missing ']'"#]),
        (FILTER, r#"+ users.user_type = """#, &["config.toml:15: jobs.artists.users.user_type: empty"]),
        (FILTER, r#"+ limits.per = "0s""#, &[r#"config.toml:15: jobs.artists.limits.per: "0s" is out of range; it must be 1s to 365d"#]),
        (FILTER, r#"+ limits.unusable = "101%""#, &[r#"config.toml:15: jobs.artists.limits.unusable: "101%" is neither a count such as 25 nor a percentage from "0%" to "100%""#]),
        (FILTER, r#"+ source = """#, &["config.toml:15: jobs.artists.source: empty"]),
        (EMAIL, "+ [jobs.others]\nsource = \"artists\"\nsearch_bases = [\"dc=test\"]\nfilter = \"(a=b)\"\nattributes.username = \"uid\"", &[r#"config.toml:20: jobs.others.source: "artists" is already the source of the job "artists"; the two would deactivate each other's people"#]),
    ]);
}

#[cfg(not(feature = "gssapi"))]
#[test]
fn gssapi_needs_another_build() {
    check(&[(
        BIND_DN,
        r#"+ sasl = "gssapi""#,
        &[
            "config.toml:10: directories.studio.sasl: \"gssapi\" is not in this build of the program: \
             use the image whose name ends with -gssapi, or build it with `cargo build --features \
             gssapi`",
        ],
    )]);
}

#[cfg(feature = "gssapi")]
#[test]
fn gssapi_goes_with_no_password_and_to_a_host() {
    check(&[
        (
            BIND_DN,
            r#"+ sasl = "gssapi""#,
            &[
                "config.toml:10: directories.studio.sasl: binds with a Kerberos ticket; remove bind_dn \
                 and the password",
            ],
        ),
        (
            "urls = [\"ldaps://ldap.studio.test\"]\nbind_dn = \"cn=sync,dc=studio,dc=test\"\nbind_password = \
             \"planted-password\"",
            "urls = [\"ldapi:///\"]\nsasl = \"gssapi\"",
            &[
                "config.toml:9: directories.studio.sasl: a ticket is for a host, and ldapi:// is a socket \
                 of this machine; use \"external\"",
            ],
        ),
    ]);
}
