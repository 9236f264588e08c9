//! The catalogue: built in, and from a folder.

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

    let url = demo.token_url.as_ref().unwrap();
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
    assert_eq!(slugs(&catalogue, "bearer auth"), ["private-api-bearer"]);
    assert_eq!(slugs(&catalogue, "DEV-TOOLS"), ["demo"]);
    assert_eq!(slugs(&catalogue, "private-api-b"), ["private-api-bearer"]);
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
