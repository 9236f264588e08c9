use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use linkspan_localdb::{DATABASE, LocalPostgres, Options};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Home, connect, eventually, number};

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_killed_postmaster_recovers() {
    let home = Home::open();
    let server = LocalPostgres::start(&Options::new(home.data_dir()), &|_| {}).unwrap();
    let client = connect(&server.url(DATABASE)).await;
    client
        .batch_execute("CREATE TABLE kept AS SELECT 7 AS n")
        .await
        .unwrap();
    kill(server.pid());
    eventually("the postmaster is gone", || !server.is_running()).await;
    server.stop().unwrap();

    let server = LocalPostgres::start(&Options::new(home.data_dir()), &|_| {}).unwrap();
    assert_eq!(number(&server.url(DATABASE), "SELECT n FROM kept").await, 7);
}

#[tokio::test]
async fn the_server_of_a_killed_run_is_replaced() {
    let home = Home::open();
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "recovery::a_run_that_gets_killed",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = run.stdin.take().unwrap();
    writeln!(orders, "{}", home.data_dir().display()).unwrap();
    let said = BufReader::new(run.stdout.take().unwrap());
    let url = said
        .lines()
        .map(Result::unwrap)
        .find(|line| line.starts_with("postgres://"))
        .unwrap();
    let client = connect(&url).await;
    client
        .batch_execute("CREATE TABLE kept AS SELECT 8 AS n")
        .await
        .unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(
        number(&url, "SELECT n FROM kept").await,
        8,
        "the server outlives its run"
    );

    let server = home.start();
    eventually("the old server's session ends", || client.is_closed()).await;
    assert_eq!(number(&server.url(DATABASE), "SELECT n FROM kept").await, 8);
}

/// The other process of the test above, told the directory on stdin.
#[test]
#[ignore = "started by the_server_of_a_killed_run_is_replaced"]
fn a_run_that_gets_killed() {
    let mut lines = std::io::stdin().lines();
    let Some(Ok(data_dir)) = lines.next() else {
        return;
    };
    let server = LocalPostgres::start(&Options::new(data_dir), &|_| {}).unwrap();
    println!("\n{}", server.url(DATABASE));
    lines.next();
}

#[tokio::test]
async fn an_interrupted_initialisation_starts_over() {
    let home = Home::open();
    home.start().stop().unwrap();
    let server = home.data_dir().join("server");
    std::fs::rename(server.join("data"), server.join("data.new")).unwrap();
    std::fs::remove_file(server.join("data.new/PG_VERSION")).unwrap();
    assert_eq!(number(&home.start().url(DATABASE), "SELECT 1").await, 1);
}

#[tokio::test]
async fn a_lost_password_is_replaced() {
    let home = Home::open();
    home.start().stop().unwrap();
    std::fs::remove_file(home.data_dir().join("password")).unwrap();
    assert_eq!(number(&home.start().url(DATABASE), "SELECT 1").await, 1);
}
