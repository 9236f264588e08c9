//! The catalogue: built in, and from a folder.

mod facts;

use std::fs;
use std::path::Path;

use linkspan_providers::{AuthMode, Catalogue, CatalogueError, Config, Paginate};
use serde_json::{Map, json};

const VALID: &str = "display_name: Acme CRM\ncategories: [crm]\nauth_mode: NONE\n";

fn slugs(catalogue: &Catalogue, words: &str) -> Vec<String> {
    catalogue
        .search(words)
        .map(|template| template.slug.clone())
        .collect()
}

#[test]
fn every_built_in_template_is_valid_and_is_a_file_of_the_folder() {
    let builtin = Catalogue::builtin().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let from_dir = Catalogue::from_dir(&folder).unwrap();
    let all = |catalogue: &Catalogue| -> Vec<_> { catalogue.iter().cloned().collect() };
    assert_eq!(all(&builtin), all(&from_dir));
    assert!(builtin.get("demo").is_some());
}

#[test]
fn the_demo_provider_has_a_default_address_that_an_integration_overrides() {
    let catalogue = Catalogue::builtin().unwrap();
    let demo = catalogue.get("demo").unwrap();
    assert_eq!(demo.auth_mode, AuthMode::OAuth2);
    assert!(!demo.disable_pkce);
    let paginate = demo.proxy.as_ref().unwrap().paginate.as_ref().unwrap();
    assert!(
        matches!(paginate, Paginate::Link { link_rel_in_response_header: Some(rel), .. } if rel == "next")
    );

    let url = demo.token_url.as_ref().unwrap().oauth2();
    let nothing = Map::new();
    let config = Config {
        template: demo,
        connection: &nothing,
        integration: &nothing,
    };
    assert_eq!(
        url.to_url(&config).unwrap().as_str(),
        "http://127.0.0.1:3005/oauth/token"
    );
    let own = json!({ "baseUrl": "http://127.0.0.1:49152/" });
    let config = Config {
        integration: own.as_object().unwrap(),
        ..config
    };
    assert_eq!(
        url.to_url(&config).unwrap().as_str(),
        "http://127.0.0.1:49152/oauth/token"
    );
}

#[test]
fn search_looks_at_slug_name_and_category() {
    let catalogue = Catalogue::builtin().unwrap();
    assert_eq!(slugs(&catalogue, "(bearer auth)"), ["private-api-bearer"]);
    let productive = slugs(&catalogue, "PRODUCTIVITY");
    for slug in ["google", "notion", "slack"] {
        assert!(productive.contains(&slug.to_owned()), "{productive:?}");
    }
    assert!(!productive.contains(&"stripe-api-key".to_owned()));
    assert_eq!(slugs(&catalogue, "private-api-be"), ["private-api-bearer"]);
    assert_eq!(slugs(&catalogue, "no such provider"), [""; 0]);
    assert_eq!(slugs(&catalogue, " ").len(), catalogue.iter().count());
}

#[test]
fn a_folder_is_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, yaml: &str| fs::write(folder.path().join(name), yaml).unwrap();
    write("acme-crm.yaml", VALID);
    let catalogue = Catalogue::from_dir(folder.path()).unwrap();
    assert_eq!(slugs(&catalogue, ""), ["acme-crm"]);

    write("bad.yaml", &VALID.replace("NONE", "NOPE"));
    let error = Catalogue::from_dir(folder.path()).unwrap_err().to_string();
    assert!(
        error.starts_with("provider `bad`, line 3, column 12: auth_mode: unknown variant"),
        "{error}"
    );

    let pattern = "credentials:\n  a: { type: string, title: A, pattern: '(' }\n";
    write("bad.yaml", &format!("{VALID}{pattern}"));
    let error = Catalogue::from_dir(folder.path()).unwrap_err().to_string();
    assert!(
        error.starts_with("provider `bad`: credentials.a.pattern: "),
        "{error}"
    );

    write("bad.yaml", VALID);
    write("Upper_Case.yaml", VALID);
    let error = Catalogue::from_dir(folder.path()).unwrap_err();
    assert!(matches!(error, CatalogueError::Template(_)), "{error}");

    fs::remove_file(folder.path().join("Upper_Case.yaml")).unwrap();
    write("notes.txt", "x");
    let error = Catalogue::from_dir(folder.path()).unwrap_err();
    assert!(matches!(error, CatalogueError::FileName(_)), "{error}");
    assert!(matches!(
        Catalogue::from_dir(&folder.path().join("none")),
        Err(CatalogueError::Io { .. })
    ));
}

#[test]
fn an_alias_is_laid_over_its_parent_one_level_deep() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, yaml: &str| fs::write(folder.path().join(name), yaml).unwrap();
    let proxy =
        "proxy:\n  base_url: https://a.com\n  headers: { accept: a/a }\nscope_separator: ','\n";
    write("z-base.yaml", &format!("{VALID}{proxy}"));
    write("middle.yaml", "alias: z-base\ndisplay_name: Middle\n");
    write(
        "a-leaf.yaml",
        "alias: middle\nproxy: { base_url: https://leaf.com }\n",
    );
    let catalogue = Catalogue::from_dir(folder.path()).unwrap();
    let leaf = serde_json::to_value(&**catalogue.get("a-leaf").unwrap()).unwrap();
    let expected = json!({
        "name": "a-leaf", "alias": "middle", "display_name": "Middle", "categories": ["crm"],
        "auth_mode": "NONE", "scope_separator": ",", "proxy": { "base_url": "https://leaf.com" },
    });
    assert_eq!(leaf, expected);

    // A folder may build on the templates that are there already, and replace them.
    let mut builtin = Catalogue::builtin().unwrap();
    write("own.yaml", "alias: demo\ndisplay_name: Own\n");
    write("demo.yaml", "alias: demo\ndisplay_name: Replaced\n");
    builtin.add_dir(folder.path()).unwrap();
    let own = builtin.get("own").unwrap();
    assert_eq!(
        (own.display_name.as_str(), own.auth_mode),
        ("Own", AuthMode::OAuth2)
    );
    assert_eq!(builtin.get("demo").unwrap().display_name, "Replaced");

    for (name, yaml, expected) in [
        (
            "none.yaml",
            "alias: nobody\n",
            "provider `none`: alias: there is no provider `nobody` to build on",
        ),
        (
            "z-base.yaml",
            "alias: a-leaf\n",
            "alias: there is no provider",
        ),
    ] {
        write(name, yaml);
        let before = builtin.iter().count();
        let error = builtin.add_dir(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(builtin.iter().count(), before);
        fs::remove_file(folder.path().join(name)).unwrap();
    }
}
