use linkspan_localdb::{DATABASE, Error, LocalPostgres, Options, Source};

use crate::{Home, connect, eventually, number, our_user, user_of};

#[tokio::test]
async fn a_restart_keeps_data_and_password() {
    let home = Home::open();
    let server = home.start();
    let client = connect(&server.url(DATABASE)).await;
    client
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (41)")
        .await
        .unwrap();
    let encoding: String = client
        .query_one("SHOW server_encoding", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(encoding, "UTF8");
    let password = server.url("").split('@').next().unwrap().to_owned();
    server.stop().unwrap();

    let server = home.start();
    assert!(server.url("").starts_with(&password));
    assert_eq!(
        number(&server.url(DATABASE), "SELECT n FROM kept").await,
        41
    );
}

#[tokio::test]
async fn only_the_password_opens_it() {
    let home = Home::open();
    let server = home.start();
    let wrong = format!(
        "postgres://postgres:wrong@127.0.0.1:{}/postgres",
        server.port()
    );
    let refused = tokio_postgres::connect(&wrong, tokio_postgres::NoTls)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code().unwrap().code(), "28P01");
    assert!(!format!("{server:?}").contains(server.url("").get(20..40).unwrap()));
}

#[tokio::test]
async fn dropping_the_handle_stops_the_server() {
    let home = Home::open();
    let server = home.start();
    let url = server.url("postgres");
    // Sessions do not hold a shutdown up.
    let client = connect(&url).await;
    drop(server);
    eventually("the session ends", || client.is_closed()).await;
    assert!(
        tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_second_start_of_the_same_directory_is_refused() {
    let home = Home::open();
    let server = home.start();
    let second = LocalPostgres::start(&home.options(), &|_| {});
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    assert!(server.is_running());
}

#[tokio::test]
async fn a_wanted_port_is_taken_or_refused() {
    let home = Home::open();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = Options {
        port: Some(port),
        ..home.options()
    };
    let error = LocalPostgres::start(&options, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("could not bind"), "{error}");
    drop(taken);
    let server = LocalPostgres::start(&options, &|_| {}).unwrap();
    assert_eq!(server.port(), port);
}

#[tokio::test]
async fn root_runs_it_as_somebody_else() {
    for home in [Home::open(), Home::private()] {
        let server = home.start();
        let us = our_user(&home.data_dir());
        let them = user_of(server.pid());
        assert_eq!(us == 0, us != them, "we are {us}, the server is {them}");
        assert_eq!(number(&server.url("postgres"), "SELECT 1").await, 1);
    }
}

#[test]
fn without_fetching_a_missing_postgres_is_an_error_or_a_find() {
    let home = Home::open();
    let options = Options {
        source: Source::System,
        ..home.options()
    };
    match linkspan_localdb::find_or_fetch(&options, &|_| {}) {
        Ok(found) => assert!(found.major >= 14 && found.bin_dir.join("initdb").is_file()),
        Err(error) => assert!(matches!(error, Error::NotFound { .. }), "{error}"),
    }
}

#[test]
fn data_of_another_version_is_refused_with_both_versions() {
    let home = Home::open();
    home.start().stop().unwrap();
    std::fs::write(home.data_dir().join("server/data/PG_VERSION"), "9\n").unwrap();
    let options = Options {
        source: Source::Npm,
        ..Options::new(home.data_dir())
    };
    let error = LocalPostgres::start(&options, &|_| {}).unwrap_err();
    assert!(
        matches!(error, Error::OtherVersion { data: 9, .. }),
        "{error}"
    );
    // Test data is not worth keeping.
    home.start().stop().unwrap();
}
