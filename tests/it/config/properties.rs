//! Properties of every configuration, whatever its content.

use proptest::{collection::vec, prelude::*};

use super::{Folder, GOOD};

proptest! {
    #[test]
    fn no_text_makes_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let folder = Folder::new("");
        folder.file("config.toml", &bytes);
        prop_assert!(folder.load(&[]).is_err());
    }

    #[test]
    fn no_value_makes_it_panic(
        line in 0_usize..20,
        value in prop_oneof![
            "\\PC{0,20}".prop_map(|text| format!("{text:?}")),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:e}")),
            Just("[]".to_owned()), Just("{}".to_owned()), Just("[[[]]]".to_owned()), Just("{ a = { b = 1 } }".to_owned()), Just("true".to_owned()), "\\PC{0,20}",
        ],
        name in "(FTRACK|JOBS|DIRECTORIES|HTTP)(__(ARTISTS|STUDIO|[A-Z_.]{0,6})){0,3}",
    ) {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        if let Some(line) = lines.get_mut(line) && let Some((key, _)) = line.split_once(" = ") {
            *line = format!("{key} = {value}");
        }
        let folder = Folder::new(&lines.join("\n"));
        let variable = format!("FTRACK_LDAP_SYNC_{name}");
        for variables in [vec![], vec![(variable.as_str(), value.as_str())]] {
            if let Err(found) = folder.load(&variables) {
                prop_assert!(!found.is_empty() && !found.contains("planted"), "{found}");
            }
        }
    }

    #[test]
    fn a_good_secret_is_taken_as_it_is(password in "[ -~]{1,40}") {
        prop_assume!(!password.trim().is_empty());
        let folder = Folder::new(GOOD);
        folder.file("key", format!("{password}\n"));
        let variables = [("FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__BIND_PASSWORD", password.as_str()), ("FTRACK_LDAP_SYNC_FTRACK__API_KEY_FILE", "key")];
        let config = folder.load(&variables).unwrap();
        prop_assert_eq!(config.directories["studio"].bind_password.as_ref().unwrap().loaded().expose(), &password);
        prop_assert_eq!(config.ftrack.api_key.loaded().expose(), &password);
    }
}
