//! Writers that are killed at every named point of a batch, a reader that follows
//! eight of them, and a database that is restarted at every such point.
//!
//! A writer that is to be killed is this very test binary, run again with what it
//! is to do in its environment.
#![expect(
    clippy::disallowed_methods,
    reason = "a process that is to be killed is told what to do by its environment"
)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use linkspan_records::{Cursor, Query, Store, StreamName, Writer};
use linkspan_shared::breakpoint;
use linkspan_shared::db::{Database, Settings};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::vault::{Keyring, Vault};
use linkspan_testkit::OwnPostgres;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::world::{World, raw};

const PATIENCE: Duration = Duration::from_secs(120);

/// Where the child is to die, or to be stopped if it has a mark to leave, and how
/// often it passes there before.
struct Death {
    point: String,
    left: AtomicU32,
    mark: Option<PathBuf>,
}

static DEATH: OnceLock<Death> = OnceLock::new();
/// The batch that the child saves.
static BATCH: AtomicU32 = AtomicU32::new(0);

fn reached(point: &'static str) {
    let Some(death) = DEATH.get() else {
        return;
    };
    if death.point != point || death.left.fetch_sub(1, Ordering::SeqCst) != 0 {
        return;
    }
    if let Some(mark) = &death.mark {
        fs::write(mark, format!("{}\n", BATCH.load(Ordering::SeqCst))).unwrap();
        // A signal to stop could reach another thread first, and this one go on.
        while !go_on(mark).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        return;
    }
    let _ = kill_process(getpid(), Signal::KILL);
    std::thread::sleep(PATIENCE);
}

/// What lets a child go on that has left its mark.
fn go_on(mark: &Path) -> PathBuf {
    mark.with_extension("go")
}

/// What a child does: `writer/batches/point/passes`.
fn child(world: &World, job: &str) -> Child {
    command(world, job).spawn().unwrap()
}

fn command(world: &World, job: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "killed::the_child",
            "--ignored",
            "--test-threads=1",
        ])
        .env("CHILD_JOB", job)
        .env("CHILD_DATABASE", world.url())
        .env("CHILD_KEY", world.key())
        .env("CHILD_ENVIRONMENT", world.name.environment.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The records of a writer's batch: some are everybody's, some its own.
fn records(writer: u32, batch: u32) -> Vec<String> {
    (0..10)
        .map(|n| match n % 2 {
            0 => format!("{{\"id\":\"shared-{n}\",\"w\":{writer},\"b\":{batch}}}"),
            _ => format!("{{\"id\":\"{writer}-{batch}-{n}\",\"w\":{writer}}}"),
        })
        .collect()
}

async fn save(store: &Store, name: &StreamName, writer: u32, batch: u32) {
    let records = records(writer, batch)
        .iter()
        .map(|text| raw(text))
        .collect();
    let saved = store.batch_save(name, records, Writer::default()).await;
    saved.unwrap();
}

/// Not a test: what a killed process runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the others as another process"]
async fn the_child() {
    let Ok(job) = env::var("CHILD_JOB") else {
        return;
    };
    let parts: Vec<&str> = job.split('/').collect();
    let [writer, batches, point, passes] = parts[..] else {
        panic!("{job}");
    };
    let settings = Settings {
        url: env::var("CHILD_DATABASE").unwrap().into(),
        max_connections: 4,
        timeout: Duration::from_secs(30),
    };
    let db = Database::new(&settings).unwrap();
    let keyring = Keyring::parse(&[env::var("CHILD_KEY").unwrap()]).unwrap();
    let store = Store::new(db.clone(), Vault::new(db, keyring));
    let environment = env::var("CHILD_ENVIRONMENT").unwrap().parse().unwrap();
    let name = StreamName::base(EnvironmentId(environment), 7, "Contact");
    let mark: Option<PathBuf> = env::var("CHILD_MARK").ok().map(PathBuf::from);
    let death = Death {
        point: point.to_owned(),
        left: AtomicU32::new(passes.parse().unwrap()),
        mark: mark.clone(),
    };
    assert!(DEATH.set(death).is_ok());
    breakpoint::install(reached);
    let writer = writer.parse().unwrap();
    for batch in 0..batches.parse().unwrap() {
        let Some(mark) = &mark else {
            save(&store, &name, writer, batch).await;
            continue;
        };
        BATCH.store(batch, Ordering::SeqCst);
        let was_stopped = mark.exists();
        let told = persist(&store, &name, writer, batch).await;
        if mark.exists() {
            let mut file = fs::OpenOptions::new().append(true).open(mark).unwrap();
            file.write_all(told.as_bytes()).unwrap();
        }
        if was_stopped {
            break;
        }
    }
}

/// Saves until it is saved; what it was told when it was not.
async fn persist(store: &Store, name: &StreamName, writer: u32, batch: u32) -> String {
    let mut told = String::new();
    loop {
        let records = records(writer, batch)
            .iter()
            .map(|text| raw(text))
            .collect();
        match store.batch_save(name, records, Writer::default()).await {
            Ok(_) => return told,
            Err(error) => told.push_str(&format!("{batch}: {error}\n")),
        }
    }
}

/// What the store has, by id.
async fn content(world: &World) -> BTreeMap<String, (Cursor, String)> {
    let all = world.all().await;
    all.into_iter()
        .map(|record| (record.id().unwrap(), (record.cursor, record.text)))
        .collect()
}

/// A batch is there wholly or not at all.
fn assert_whole(content: &BTreeMap<String, (Cursor, String)>, writer: u32, batch: u32) -> bool {
    let own = |n| content.contains_key(&format!("{writer}-{batch}-{n}"));
    let there: Vec<bool> = [1, 3, 5, 7, 9].map(own).into();
    assert!(
        there.iter().all(|is| *is == there[0]),
        "{writer} {batch}: {there:?}"
    );
    there[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_point_leaves_all_of_a_batch_or_nothing() {
    for (point, is_stored) in [("records.compared", false), ("records.committed", true)] {
        let world = World::new().await;
        save(&world.store, &world.name, 0, 0).await;
        let status = child(&world, &format!("1/3/{point}/1"))
            .wait()
            .await
            .unwrap();
        assert!(!status.success(), "it died at {point}");
        let content = content(&world).await;
        assert!(assert_whole(&content, 1, 0));
        assert_eq!(assert_whole(&content, 1, 1), is_stored, "{point}");
        assert!(!assert_whole(&content, 1, 2));
        world.counts().await;
        // Whoever does it again ends with the same, and writes only what is left.
        for batch in 0..3 {
            save(&world.store, &world.name, 1, batch).await;
        }
        world.counts().await;
        assert!(assert_whole(&self::content(&world).await, 1, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_while_it_holds_a_stream_lets_go_of_it() {
    for (point, is_stored) in [("records.locked", false), ("records.written", false)] {
        let world = World::new().await;
        save(&world.store, &world.name, 0, 0).await;
        // It comes to these points only when another writer is faster.
        let mut dying = child(&world, &format!("1/1000000/{point}/0"));
        let death = dying.wait();
        let mut batch = 0;
        let writing = async {
            loop {
                batch += 1;
                save(&world.store, &world.name, 0, batch).await;
            }
        };
        let died = async {
            tokio::select! {
                status = death => status.unwrap(),
                () = writing => unreachable!("it goes on for ever"),
            }
        };
        let status = tokio::time::timeout(PATIENCE, died).await.expect(point);
        assert!(!status.success() && !is_stored);
        save(&world.store, &world.name, 2, 0).await;
        let content = content(&world).await;
        assert!(assert_whole(&content, 2, 0));
        for batch in 0..1_000 {
            assert_whole(&content, 1, batch);
        }
        world.counts().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_follows_eight_writers_some_of_them_killed_misses_nothing() {
    const BATCHES: u32 = 40;
    let world = World::new().await;
    save(&world.store, &world.name, 99, 0).await;
    let points = ["compared", "committed", "locked", "written"];
    let mut children: Vec<Child> = (0..8_u32)
        .map(|writer| {
            // Every other one dies somewhere on its way.
            let point = match writer % 2 {
                0 => points[(writer / 2) as usize],
                _ => "nowhere",
            };
            child(
                &world,
                &format!("{writer}/{BATCHES}/records.{point}/{}", writer * 3 % 7 + 1),
            )
        })
        .collect();
    let reader = async {
        let mut seen = BTreeMap::new();
        let mut query = Query {
            limit: 7,
            ..Query::default()
        };
        let mut is_over = false;
        loop {
            let page = world.store.list(&world.name, &query).await.unwrap();
            if page.records.is_empty() {
                if is_over {
                    return seen;
                }
                is_over = children
                    .iter_mut()
                    .all(|child| child.try_wait().unwrap().is_some());
            }
            for record in page.records {
                assert!(record.cursor > query.after, "never backwards");
                query.after = record.cursor;
                seen.insert(record.id().unwrap(), (record.cursor, record.text));
            }
        }
    };
    let seen = tokio::time::timeout(PATIENCE, reader)
        .await
        .expect("they end");
    let content = content(&world).await;
    assert_eq!(seen, content);
    for writer in [1, 3, 5, 7] {
        for batch in 0..BATCHES {
            assert!(assert_whole(&content, writer, batch));
        }
    }
    let places: std::collections::BTreeSet<_> = content.values().map(|(at, _)| *at).collect();
    assert_eq!(places.len(), content.len(), "each has a place of its own");
    world.counts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_goes_on_when_postgres_has_ended_its_connections() {
    let world = World::new().await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let admin = world.admin().await;
    let mut stored = 0;
    for batch in 0..30 {
        let cut = admin.batch_execute(kill);
        let texts = records(1, batch);
        let records = texts.iter().map(|text| raw(text)).collect();
        let (cut, saved) = tokio::join!(
            cut,
            world
                .store
                .batch_save(&world.name, records, Writer::default())
        );
        cut.unwrap();
        if saved.is_ok() {
            stored += 1;
        } else {
            // Whether it is stored nobody told; doing it again settles it.
            while world
                .store
                .batch_save(
                    &world.name,
                    texts.iter().map(|text| raw(text)).collect(),
                    Writer::default(),
                )
                .await
                .is_err()
            {}
        }
    }
    // Connections that were ended while nobody used them show it at their next use.
    let query = Query {
        limit: 1,
        ..Query::default()
    };
    while world.store.list(&world.name, &query).await.is_err()
        || world.store.counts(&world.name).await.is_err()
    {}
    let content = content(&world).await;
    for batch in 0..30 {
        assert!(assert_whole(&content, 1, batch));
    }
    let last: Value = serde_json::from_str(&content["shared-0"].1).unwrap();
    assert_eq!(last["b"], 29);
    println!("{stored} of 30 were not even disturbed");
    world.counts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_in_the_midst_of_a_batch_has_all_of_it_or_nothing() {
    let mut own = OwnPostgres::new();
    let world = World::at(own.url()).await;
    save(&world.store, &world.name, 0, 0).await;
    let points = ["compared", "committed", "locked", "written"];
    for (writer, point) in (1..).zip(points) {
        let mark = own.path().join(point);
        let job = format!("{writer}/1000000/records.{point}/1");
        let mut stopped = command(&world, &job);
        let mut stopped = stopped.env("CHILD_MARK", &mark).spawn().unwrap();
        // It comes to some points only when another writer is faster.
        let racing = async {
            for batch in 0.. {
                save(&world.store, &world.name, 100 + writer, batch).await;
            }
        };
        let there = async {
            while !fs::read_to_string(&mark).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            there = tokio::time::timeout(PATIENCE, there) => there.expect(point),
            () = racing => unreachable!("it goes on for ever"),
        }
        own.restart();
        let query = Query {
            limit: 1,
            ..Query::default()
        };
        // Connections of before show at their next use that they are gone.
        while world.store.list(&world.name, &query).await.is_err()
            || world.store.counts(&world.name).await.is_err()
        {}
        let noted = fs::read_to_string(&mark).unwrap();
        let batch: u32 = noted.trim().parse().unwrap();
        let is_there = assert_whole(&content(&world).await, writer, batch);
        assert_eq!(is_there, point == "committed", "{point}");
        world.counts().await;
        fs::write(go_on(&mark), "").unwrap();
        let ended = tokio::time::timeout(PATIENCE, stopped.wait()).await;
        assert!(ended.expect(point).unwrap().success(), "{point}");
        let noted = fs::read_to_string(&mark).unwrap();
        let told = noted
            .lines()
            .find(|line| line.starts_with(&format!("{batch}: ")));
        assert_eq!(told.is_some(), point != "committed", "{point}: {noted}");
        let content = content(&world).await;
        for batch in 0..=batch + 1 {
            assert!(assert_whole(&content, writer, batch), "{point} {batch}");
        }
        assert!(!assert_whole(&content, writer, batch + 2));
        world.counts().await;
    }
    drop(world);
}
