//! Who would be skipped is named, or counted.

use crate::studio::{Studio, dn};

const ALL: [&str; 8] = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];

#[test]
fn nobody_is_merely_one_of_others() {
    let mut studio = Studio::of(&ALL);
    studio.attributes = "username = \"uid\", email = { from = \"mail\", required = true }".into();
    studio.job = "limits = { unusable = \"100%\" }".into();
    let mut named = Vec::new();
    for lacking in 1..=5 {
        let tree = studio.tree();
        tree.replace(&dn(ALL[lacking - 1]), "mail", &[]).unwrap();
        let said = studio.run(&["check"]).stdout;
        let line = said
            .lines()
            .find(|line| line.contains("cannot be mapped, and would be skipped"))
            .unwrap_or_else(|| panic!("{said}"));
        assert!(
            line.contains(&format!("{lacking} of the entries")),
            "{line}"
        );
        let is_told = line.contains(", and 2 more, whom `plan --all` names;");
        assert_eq!(is_told, lacking == 5, "{line}");
        named.push(line.matches("it has no mail").count());
    }
    assert_eq!(named, [1, 2, 3, 4, 3]);
}
