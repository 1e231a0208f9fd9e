//! A run with nothing to do makes no write calls.

use ftrack_ldap_sync::{
    config::Secret,
    demo::{cast, ftrack::Rules},
};

use crate::studio::{Studio, dn};

/// A studio of so many people whose ftrack is empty, read in pages of so many rows.
fn studio(people: usize, page_size: usize) -> Studio {
    let cast = cast::people(people, 7, cast::Oddities::None);
    let tree = cast::tree(&cast, &Secret::new(crate::studio::PASSWORD.into())).unwrap();
    let mut studio = Studio::over(tree, Rules::default());
    studio.ftrack_settings = format!("page_size = {page_size}\nconnections = 4");
    studio.sync();
    studio
}

/// The read calls of a sync that finds nothing to do among so many people, in pages of so many
/// rows.
fn read_calls(people: usize, page_size: usize) -> u64 {
    let studio = studio(people, page_size);
    studio.sync_changes_nothing().ftrack.read_calls
}

#[test]
fn nothing_to_do_makes_no_write_call_and_no_more_reads_than_pages() {
    let few = read_calls(10, 500);
    assert_eq!(read_calls(100, 500), few);
    let many = read_calls(1000, 500);
    // Two lists are as long as the studio: users and links.
    assert!(
        many <= few + 2 * 3,
        "{many} read calls for 1,000 users, {few} for 10"
    );
}

#[test]
fn a_run_asks_for_as_many_pages_as_the_run_before_it_needed() {
    let studio = studio(42, 10);
    // The import had seen an empty ftrack, so that this one has to find out where the lists end.
    let searching = studio.sync_changes_nothing().ftrack.read_calls;
    let knowing = studio.sync_changes_nothing().ftrack.read_calls;
    assert!(knowing < searching, "{knowing}, {searching}");
}

#[test]
fn the_users_of_a_batch_are_read_beside_those_of_the_batch_before() {
    let uids = ["a", "b", "c", "d", "e", "f"];
    let mut studio = Studio::of(&uids);
    studio.ftrack_settings = "batch_size = 2".into();
    // Each batch, and the links of two batches together.
    assert_eq!(studio.sync().ftrack.write_calls, 3 + 2);
    let nothing = studio.sync_changes_nothing().ftrack;
    for uid in uids {
        studio.tree().replace(&dn(uid), "sn", &["New"]).unwrap();
    }
    let report = studio.sync();
    assert_eq!(report.counts.updated, 6, "{report:#?}");
    // Of users and links each: once before the first batch, and once after each of the three.
    let reads = report.ftrack.read_calls - nothing.read_calls;
    assert_eq!(reads, 2 * (1 + 3), "{report:#?}");
    assert_eq!(report.ftrack.write_calls, 3, "{report:#?}");
}
