//! Checking a server step by step, as `check` does: each planted fault is reported separately.

use ftrack_ldap_sync::{
    config::Scope,
    directory::{
        DirectoryPool,
        probe::{Observation, Probe, Probed, ProbedSearch},
    },
};

use crate::{
    directory::people,
    slapd::{Over, PEOPLE, Setup, Slapd},
};

async fn probed(slapd: &Slapd, bases: &[&str], filter: &str) -> Vec<(Probed, String)> {
    let pool = DirectoryPool::new("studio", &slapd.directory(Over::Tls)).unwrap();
    let bases: Vec<String> = bases.iter().map(|base| (*base).into()).collect();
    let attributes = ["UID", "mail;lang-sv", "givenNam"].map(String::from);
    let wanted = ProbedSearch {
        bases: &bases,
        scope: Scope::Subtree,
        filter: &filter.parse().unwrap(),
        attributes: &attributes,
        directory_id: None,
    };
    let mut probe = Probe::new(&pool.servers()[0].connector);
    let transport = probe.reach().await.expect("a connection");
    probe.enter(transport, &[wanted]).await;
    let steps = probe
        .server
        .into_iter()
        .chain(probe.searches.into_iter().flatten());
    let told = |found| match found {
        Observation::Well(_) => "well".into(),
        Observation::Doubtful { seen, way_out } => format!("{seen}; {way_out}"),
        Observation::Failed(error) => format!("failed: {error}"),
    };
    steps
        .map(|step| (step.looked_at, told(step.found)))
        .collect()
}

#[tokio::test]
async fn a_server_is_looked_at_step_by_step() {
    let slapd = Setup::new(people(3)).start();
    let steps = probed(
        &slapd,
        &[PEOPLE, "ou=gone,dc=studio,dc=test"],
        "(uid=person*)",
    )
    .await;
    let trouble: Vec<&(Probed, String)> =
        steps.iter().filter(|(_, found)| found != "well").collect();
    let [
        (Probed::Base(gone), failed),
        (Probed::Attribute(unknown), meant),
    ] = trouble.as_slice()
    else {
        panic!("{steps:?}")
    };
    assert!(
        gone.starts_with("ou=gone") && failed.contains("check the search base"),
        "{failed}"
    );
    assert!(
        unknown == "givenNam" && meant.contains("did you mean givenname?"),
        "{meant}"
    );
    assert!(
        steps
            .iter()
            .any(|(looked_at, _)| *looked_at == Probed::People(PEOPLE.into()))
    );
    let nobody = probed(&slapd, &[PEOPLE], "(uid=nobody)").await;
    assert!(
        nobody
            .iter()
            .any(|(looked_at, found)| matches!(looked_at, Probed::People(_))
                && found.contains("matches nobody"))
    );
}
