//! Checking a server step by step, as `check` does: each planted fault is reported separately.

use ftrack_ldap_sync::{
    config::Scope,
    directory::{
        DirectoryPool, NameFault, ReadRequest,
        probe::{Observation, Probe, Probed},
    },
};

use crate::{
    directory::{people, searched},
    slapd::{Over, PEOPLE, Setup, Slapd},
};

async fn probed(
    slapd: &Slapd,
    bases: &[&str],
    filter: &str,
) -> (Vec<(Probed, String)>, Vec<NameFault>) {
    let pool = DirectoryPool::new("studio", &slapd.directory(Over::Tls)).unwrap();
    let request = ReadRequest {
        bases: bases.iter().map(|base| (*base).into()).collect(),
        scope: Scope::Subtree,
        people: searched(filter, &["UID", "mail;lang-sv", "givenNam"]),
        groups: None,
        id_attribute: None,
        deadline: tokio::time::Instant::now() + std::time::Duration::from_secs(60),
    };
    let servers = pool.servers();
    let mut probe = Probe::new(&pool, &servers[0].connector);
    let transport = probe.reach().await.expect("a connection");
    let mut entered = probe.enter(transport).await.expect("a session");
    let mut steps = std::mem::take(&mut probe.server);
    let people = entered
        .search(&request, &[], |_, _| (), &mut steps)
        .await
        .unwrap();
    let names = people.map(|people| people.names).unwrap_or_default();
    let steps = steps.into_iter();
    let told = |found| match found {
        Observation::Well(_) => "well".into(),
        Observation::Doubtful { seen, way_out } => format!("{seen}; {way_out}"),
        Observation::Failed(error) => format!("failed: {error}"),
    };
    let steps = steps.map(|step| (step.looked_at, told(step.found)));
    (steps.collect(), names)
}

#[tokio::test]
async fn a_server_is_looked_at_step_by_step() {
    let slapd = Setup::new(people(3)).start();
    let bases = [PEOPLE, "ou=gone,dc=studio,dc=test"];
    let (steps, _) = probed(&slapd, &bases, "(uid=person*)").await;
    let trouble: Vec<&(Probed, String)> =
        steps.iter().filter(|(_, found)| found != "well").collect();
    let [(Probed::Base(gone), failed)] = trouble.as_slice() else {
        panic!("{steps:?}")
    };
    assert!(
        gone.starts_with("ou=gone") && failed.contains("check the search base"),
        "{failed}"
    );
    let (steps, names) = probed(&slapd, &[PEOPLE], "(uid=person*)").await;
    assert!(steps.contains(&(Probed::People(PEOPLE.into()), "well".into())));
    let unknown = NameFault::NotInSchema {
        name: "givenNam".into(),
        near: Some("givenName".into()),
    };
    assert_eq!(names, [unknown]);
    let (nobody, _) = probed(&slapd, &[PEOPLE], "(uid=nobody)").await;
    assert!(
        nobody
            .iter()
            .any(|(looked_at, found)| matches!(looked_at, Probed::People(_))
                && found.contains("matches nobody"))
    );
}
