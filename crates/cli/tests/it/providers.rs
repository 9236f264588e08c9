//! `linkspan providers`, and templates of a directory that change under a running
//! server.

use std::fs;
use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::installation::{Api, Installation, Server, root_key};
use crate::program::linkspan;

type Keys = Map<String, Value>;

/// Keys that nothing ever read; templates do not have them.
const DEAD: [&str; 4] = [
    "auth",
    "connection_configuration",
    "decode_url",
    "refresh_token_response_metadata",
];

/// What templates have beside the facts, of themselves and of their fields.
const OURS: [&str; 3] = ["docs", "known_fault", "quirk"];
const OURS_OF_FIELDS: [&str; 2] = ["description", "secret"];

fn facts() -> Vec<Keys> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/facts/providers.jsonl");
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// An alias' facts over its parent's, one level deep.
fn resolve(facts: &[Keys], own: &Keys) -> Keys {
    let parent = own.get("alias").map(|parent| {
        let found = facts.iter().find(|keys| keys.get("name") == Some(parent));
        resolve(facts, found.unwrap())
    });
    let mut keys = parent.unwrap_or_default();
    keys.extend(own.clone());
    keys.retain(|key, _| !DEAD.contains(&key.as_str()));
    keys
}

fn without_ours(mut keys: Keys) -> Keys {
    keys.retain(|key, _| !OURS.contains(&key.as_str()));
    for group in [
        "credentials",
        "assertion_option",
        "connection_config",
        "integration_config",
    ] {
        let fields = keys.get_mut(group).and_then(Value::as_object_mut);
        for field in fields.into_iter().flat_map(Map::values_mut) {
            let field = field.as_object_mut().unwrap();
            field.retain(|key, _| !OURS_OF_FIELDS.contains(&key.as_str()));
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resolved_templates_are_the_facts() {
    let shown = linkspan(&["providers", "show", "--all", "--resolved", "--json"]);
    let printed = shown.run().await.printed();
    let facts = facts();
    let mut count = 0;
    for line in printed.lines() {
        let ours: Keys = serde_json::from_str(line).unwrap();
        if ours["name"] == "demo" {
            continue;
        }
        let fact = facts
            .iter()
            .find(|keys| keys["name"] == ours["name"])
            .unwrap();
        let fact = without_ours(resolve(&facts, fact));
        assert_eq!(without_ours(ours), fact);
        count += 1;
    }
    assert_eq!(count, 981);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_listed_and_shown() {
    let table = linkspan(&["providers", "list"]).run().await.printed();
    assert_eq!(table.lines().count(), 982);
    let github = table
        .lines()
        .find(|line| line.starts_with("github "))
        .unwrap();
    for part in [
        "OAUTH2",
        "GitHub (User OAuth)",
        "dev-tools, support, ticketing",
    ] {
        assert!(github.contains(part), "{github}");
    }
    let found = linkspan(&["providers", "list", "bearer auth", "--json"]);
    let found: Value = serde_json::from_str(&found.run().await.printed()).unwrap();
    assert_eq!(found["name"], "private-api-bearer");
    assert_eq!(found["auth_mode"], "API_KEY");

    let own = linkspan(&["providers", "show", "confluence"])
        .run()
        .await
        .printed();
    assert!(own.starts_with("display_name: Confluence\n"), "{own}");
    assert!(
        own.contains("alias: jira\n") && !own.contains("token_url"),
        "{own}"
    );
    let show = ["providers", "show", "confluence", "jira", "--resolved"];
    let both = linkspan(&show).run().await.printed();
    assert!(
        both.starts_with("# confluence\n") && both.contains("\n---\n# jira\n"),
        "{both}"
    );
    assert_eq!(both.matches("token_url: ").count(), 2, "{both}");
    let error = linkspan(&["providers", "show", "nobody"])
        .run()
        .await
        .refused();
    assert!(error.contains("there is no provider 'nobody'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_checked() {
    let built_in = linkspan(&["providers", "check"]).run().await.printed();
    assert!(
        built_in.lines().all(|line| line.contains(": warning: ")),
        "{built_in}"
    );

    let folder = tempfile::tempdir().unwrap();
    write(&folder, "acme", "NONE", "Acme");
    write(
        &folder,
        "child",
        "NONE",
        "x\nalias: acme\nproxy: { base_url: https://a }\ntokn_url: x",
    );
    let path = |slug: &str| {
        folder
            .path()
            .join(format!("{slug}.yaml"))
            .display()
            .to_string()
    };
    let good = linkspan(&["providers", "check", &path("acme")]);
    assert_eq!(good.run().await.printed(), "");
    for arguments in [
        vec![path("child"), path("acme")],
        vec![folder.path().display().to_string()],
    ] {
        let mut all = vec!["providers", "check"];
        all.extend(arguments.iter().map(String::as_str));
        let ended = linkspan(&all).run().await;
        let expected = format!(
            "{}:6:1: error: tokn_url: unknown key; did you mean `token_url`?\n",
            path("child")
        );
        assert_eq!(ended.stdout, expected);
        assert_eq!(
            ended.refused(),
            "error: one mistake in provider templates\n"
        );
    }
    // Those of the directory that a server would use, and what a server says.
    let dir = folder.path().to_str().unwrap();
    for command in ["check", "list"] {
        let ended = linkspan(&["providers", command])
            .set("LINKSPAN_PROVIDERS_DIR", dir)
            .run()
            .await;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(
            said.contains("child.yaml:6:1: error: tokn_url: unknown key"),
            "{said}"
        );
        ended.refused();
    }
    fs::remove_file(path("child")).unwrap();
    let listed = linkspan(&["providers", "list"]).set("LINKSPAN_PROVIDERS_DIR", dir);
    assert_eq!(listed.run().await.printed().lines().count(), 983);
}

fn write(folder: &TempDir, slug: &str, mode: &str, name: &str) {
    write_in(folder.path(), slug, mode, name);
}

fn write_in(folder: &Path, slug: &str, mode: &str, name: &str) {
    let yaml = format!("categories: [other]\nauth_mode: {mode}\ndisplay_name: {name}\n");
    fs::write(folder.join(format!("{slug}.yaml")), yaml).unwrap();
}

/// Waits until a provider is shown by this name; nothing, if there is none.
async fn is_named(api: &Api, key: &str, slug: &str, expected: Option<&str>) {
    let wait = async {
        loop {
            let (status, shown) = api.get(key, &format!("/providers/{slug}")).await;
            let name = shown["data"]["display_name"].as_str();
            if name == expected && (status == 200) == expected.is_some() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    assert!(waited.is_ok(), "{slug} is never {expected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_changes_is_read_again() {
    let root = root_key("main");
    let (installation, [dev, _]) = Installation::new(&root).await;
    let folder = tempfile::tempdir().unwrap();
    // As a mounted ConfigMap is: links to files behind a link that is swapped.
    let version = |name: &str, display_name: &str| {
        let version = folder.path().join(name);
        fs::create_dir(&version).unwrap();
        write_in(&version, "mapped", "NONE", display_name);
        let next = folder.path().join("..next");
        std::os::unix::fs::symlink(name, &next).unwrap();
        fs::rename(&next, folder.path().join("..data")).unwrap();
    };
    version("..one", "First");
    std::os::unix::fs::symlink("..data/mapped.yaml", folder.path().join("mapped.yaml")).unwrap();
    write(&folder, "github", "NONE", "Ours");

    let server = installation.server(&root);
    let server = server.set("LINKSPAN_PROVIDERS_DIR", folder.path().to_str().unwrap());
    let mut server = Server::started(server).await;
    let api = server.api.clone();
    is_named(&api, &dev, "github", Some("Ours")).await;
    is_named(&api, &dev, "mapped", Some("First")).await;
    let new = json!({ "unique_key": "added", "provider": "added" });
    let (status, _) = api
        .call(&dev, Method::POST, "/integrations", &[], new.clone())
        .await;
    assert_eq!(status, 400, "there is no such provider yet");

    version("..two", "Second");
    write(&folder, "added", "NONE", "Added");
    is_named(&api, &dev, "mapped", Some("Second")).await;
    is_named(&api, &dev, "added", Some("Added")).await;
    let (status, made) = api
        .call(&dev, Method::POST, "/integrations", &[], new)
        .await;
    assert_eq!(status, 200, "{made}");

    // A mistake is reported with its place, and what was there stays.
    write(&folder, "github", "NOPE", "Broken");
    write(&folder, "added", "NONE", "Better");
    let line = server.running.says("a provider template is wrong").await;
    let said: Value = serde_json::from_str(&line).unwrap();
    let said = &said["fields"];
    assert!(
        said["file"].as_str().unwrap().ends_with("github.yaml"),
        "{said}"
    );
    assert_eq!(
        (&said["line"], &said["key"]),
        (&json!(2), &json!("auth_mode"))
    );
    is_named(&api, &dev, "added", Some("Better")).await;
    is_named(&api, &dev, "github", Some("Ours")).await;

    // What is taken away is what is built in, or nothing.
    fs::remove_file(folder.path().join("github.yaml")).unwrap();
    fs::remove_file(folder.path().join("added.yaml")).unwrap();
    is_named(&api, &dev, "github", Some("GitHub (User OAuth)")).await;
    is_named(&api, &dev, "added", None).await;
    let (status, _) = api.get(&dev, "/integrations/added").await;
    assert_eq!(status, 200, "its integration is still there");

    // A directory that is gone takes nothing with it.
    fs::remove_dir_all(folder.path()).unwrap();
    server
        .running
        .says("provider templates cannot be read")
        .await;
    is_named(&api, &dev, "mapped", Some("Second")).await;
    server.stop().await;
}
