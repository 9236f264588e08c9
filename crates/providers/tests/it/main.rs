//! The catalogue: built in, and from a folder.

mod check;
mod facts;
mod fuzz;
mod placeholders;
mod schema;

use std::fs;
use std::path::Path;

use linkspan_providers::{AuthMode, Catalogue, Config, Finding, Paginate, Source};
use serde_json::{Map, Value, json};

const VALID: &str = "display_name: Acme CRM\ncategories: [crm]\nauth_mode: NONE\n";

/// Those that built-in templates name; `auth` holds that it has each.
#[expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should fail there"
)]
fn quirks() -> Vec<&'static str> {
    let builtin = Catalogue::builtin().unwrap();
    let named = builtin.iter().filter_map(|template| template.quirk.clone());
    named.map(|name| &*name.leak()).collect()
}

fn slugs(catalogue: &Catalogue, words: &str) -> Vec<String> {
    catalogue
        .search(words)
        .map(|entry| entry.slug.to_owned())
        .collect()
}

#[test]
fn every_built_in_template_is_valid_and_is_a_file_of_the_folder() {
    let builtin = Catalogue::builtin().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let from_dir = Catalogue::from_dir(&folder, &quirks()).unwrap();
    for template in builtin.iter() {
        assert_eq!(Some(template), from_dir.get(&template.slug));
    }
    assert_eq!(builtin.iter().count(), from_dir.iter().count());
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
fn a_template_is_shown_as_its_file_says() {
    let builtin = Catalogue::builtin().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let from_dir = Catalogue::from_dir(&folder, &quirks()).unwrap();
    for entry in builtin.entries() {
        let shown: Value = serde_json::from_str(entry.json).unwrap();
        let own: Value = serde_json::from_str(from_dir.entry(entry.slug).unwrap().json).unwrap();
        assert_eq!(shown, own);
        let (shown, own) = (entry.json, from_dir.entry(entry.slug).unwrap().json);
        assert_eq!(shown, own, "in the same order, which XML bodies need");
        let first = format!("{{\"name\":\"{}\",", entry.slug);
        assert!(entry.json.starts_with(&first), "{}", entry.json);
    }
}

#[test]
fn what_is_wrong_in_a_folder_is_all_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, yaml: &str| fs::write(folder.path().join(name), yaml).unwrap();
    write("acme-crm.yaml", VALID);
    // As editors and mounted volumes leave them.
    write(".acme-crm.yaml.swp", "x");
    fs::create_dir(folder.path().join("..data")).unwrap();
    let catalogue = Catalogue::from_dir(folder.path(), &[]).unwrap();
    assert_eq!(slugs(&catalogue, ""), ["acme-crm"]);

    write("bad.yaml", &VALID.replace("NONE", "NOPE"));
    write("worse.yaml", "a: [\n");
    write("Upper_Case.yaml", VALID);
    write("notes.txt", "x");
    fs::create_dir(folder.path().join("folder.yaml")).unwrap();
    write("large.yaml", &format!("# {}\n{VALID}", "x".repeat(300_000)));
    let findings = Catalogue::from_dir(folder.path(), &[]).unwrap_err().0;
    let mut said: Vec<String> = findings.iter().map(Finding::to_string).collect();
    said.sort();
    let file = |name: &str| folder.path().join(name).display().to_string();
    for (said, (file, expected)) in said.iter().zip([
        (
            file("Upper_Case.yaml"),
            ": error: `Upper_Case` is not a provider slug",
        ),
        (
            file("bad.yaml"),
            ":3:12: error: auth_mode: unknown value `NOPE`",
        ),
        (
            file("folder.yaml"),
            ": error: cannot be read: Is a directory",
        ),
        (
            file("large.yaml"),
            ": error: cannot be read: it has more than 256 KiB",
        ),
        (
            file("notes.txt"),
            ": error: a template's file is named by its slug",
        ),
        (file("worse.yaml"), ":2:1: error: "),
    ]) {
        assert!(said.starts_with(&format!("{file}{expected}")), "{said}");
    }
    assert_eq!(said.len(), 6, "{said:#?}");
    let missing = Catalogue::from_dir(&folder.path().join("none"), &[]).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
}

#[test]
fn a_broken_file_leaves_what_was_there_before() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, yaml: &str| fs::write(folder.path().join(name), yaml).unwrap();
    let builtin = Catalogue::builtin().unwrap();
    let read = |before: &Catalogue| {
        let (sources, findings) = Source::read_dir(folder.path());
        assert!(findings.is_empty());
        builtin.with(sources, before, &[])
    };
    let name = |catalogue: &Catalogue, slug: &str| {
        catalogue
            .get(slug)
            .map(|template| template.display_name.clone())
    };
    write("github.yaml", "alias: github\ndisplay_name: Ours\n");
    write("child.yaml", "alias: github\n");
    let (first, findings) = read(&Catalogue::default());
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(name(&first, "child").as_deref(), Some("Ours"));

    // The child of a broken file goes on with its parent as it was.
    write("github.yaml", "alias: nobody\ndisplay_name: Broken\n");
    write("child.yaml", "alias: github\ncategories: [other]\n");
    write("new.yaml", "alias: 7\n");
    let (second, findings) = read(&first);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert_eq!(name(&second, "github").as_deref(), Some("Ours"));
    assert_eq!(second.get("child").unwrap().categories, ["other"]);
    assert_eq!(name(&second, "child").as_deref(), Some("Ours"));
    assert_eq!(name(&second, "new"), None);

    // What is taken out is what is built in again.
    for file in ["github.yaml", "child.yaml", "new.yaml"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    let (third, findings) = read(&second);
    assert!(findings.is_empty());
    assert_eq!(
        name(&third, "github").as_deref(),
        Some("GitHub (User OAuth)")
    );
    assert_eq!(name(&third, "child"), None);
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
    let catalogue = Catalogue::from_dir(folder.path(), &[]).unwrap();
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
    builtin.add_dir(folder.path(), &[]).unwrap();
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
            "none.yaml:1:8: error: alias: there is no provider `nobody` to build on",
        ),
        (
            "z-base.yaml",
            "alias: a-leaf\n",
            "error: alias: goes round: a-leaf → middle → z-base → a-leaf",
        ),
    ] {
        write(name, yaml);
        let before = builtin.iter().count();
        let error = builtin.add_dir(folder.path(), &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(builtin.iter().count(), before);
        fs::remove_file(folder.path().join(name)).unwrap();
    }
}
