//! A disk that is full in the midst of a batch: a real one where this process may
//! mount a small one, and the largest file that the system lets Postgres write.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use linkspan_localdb::Account;
use linkspan_records::{Action, Error, Outcome, Writer};
use linkspan_testkit::OwnPostgres;
use tempfile::TempDir;

use crate::world::{World, raw};

/// Records of 2 MB that do not compress, and two small ones.
fn batch(number: u64) -> Vec<String> {
    let large = |n: u64| {
        let seed = (number * 10 + n).wrapping_mul(0x2545_f491_4f6c_dd1d);
        let mixed = |n: u64| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letter = |n| char::from(b'!' + (mixed(mixed(n) >> 7) >> 40) as u8 % 90);
        let letters: String = (0..2_000_000_u64).map(letter).collect();
        let letters = letters.replace(['"', '\\'], "~");
        format!("{{\"id\":\"{number}-{n}\",\"x\":\"{letters}\"}}")
    };
    let mut records = vec![format!("{{\"id\":\"small-{number}\"}}")];
    records.extend((0..2).map(large));
    // It is there already, and comes last.
    records.push(format!("{{\"id\":\"shared\",\"batch\":{number}}}"));
    records
}

async fn save(world: &World, number: u64) -> Result<Outcome, Error> {
    let records = batch(number).iter().map(|text| raw(text)).collect();
    let writer = Writer::default();
    world.store.batch_save(&world.name, records, writer).await
}

/// Saves until there is no room, which `reason` says; then `make_room`, and the
/// same batch again.
async fn runs_full(world: &World, reason: &str, make_room: impl FnOnce()) {
    world.save(&[r#"{"id":"shared"}"#]).await;
    let mut number = 0;
    let error = loop {
        number += 1;
        assert!(number < 20, "there is room without end");
        match save(world, number).await {
            Ok(outcome) => assert_eq!((outcome.added.len(), outcome.updated.len()), (3, 1)),
            Err(error) => break error,
        }
    };
    assert!(number > 1, "not even one fits: {error}");
    let told = error.to_string();
    assert!(told.contains(reason), "{told}");
    assert!(!told.contains("records.records"), "no statement: {told}");
    let before = i64::try_from(number - 1).unwrap();
    assert_eq!(world.counts().await, (3 * before + 1, 0));
    let ids: Vec<_> = world.all().await.iter().filter_map(|r| r.id()).collect();
    let half = ids.iter().filter(|id| id.ends_with(&format!("-{number}")));
    assert_eq!(half.count(), 0, "{ids:?}");
    let last = world.all().await.pop().unwrap();
    let shared = format!("{{\"id\":\"shared\",\"batch\":{}}}", number - 1);
    assert_eq!((last.text, last.last_action), (shared, Action::Updated));
    // It is no accident of the first time, and what is there can be read and deleted.
    assert!(save(world, number).await.is_err());
    make_room();
    let outcome = save(world, number).await.unwrap();
    assert_eq!((outcome.added.len(), outcome.updated.len()), (3, 1));
    assert_eq!(world.counts().await, (3 * (before + 1) + 1, 0));
    let texts = world.texts().await;
    for text in batch(number) {
        assert!(texts.contains(&text));
    }
}

/// A file system of its own, which goes with this value.
struct Disk {
    _folder: TempDir,
    path: PathBuf,
}

impl Disk {
    /// None when this process may not mount one.
    fn of_megabytes(size: u32) -> Option<Self> {
        let account = Account::to_drop_to().ok()??;
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("disk");
        fs::create_dir(&path).unwrap();
        let Account { uid, gid } = account;
        let options = format!("size={size}m,mode=0700,uid={uid},gid={gid}");
        mount(&options, &path).then_some(Self {
            _folder: folder,
            path,
        })
    }

    fn grow(&self, size: u32) {
        assert!(mount(&format!("remount,size={size}m"), &self.path));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn mount(options: &str, path: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(path);
    mount.output().is_ok_and(|done| done.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_for_which_the_disk_has_no_room_changes_nothing() {
    let Some(disk) = Disk::of_megabytes(12) else {
        println!("no disk can be mounted here; the next test has a limit instead");
        return;
    };
    let own = OwnPostgres::new();
    let world = World::at(own.url()).await;
    let place = disk.path.display();
    world
        .run_sql(&format!("CREATE TABLESPACE small LOCATION '{place}'"))
        .await;
    world
        .run_sql("ALTER TABLE records.records SET TABLESPACE small")
        .await;
    let told = "No space left on device: make room on the database's disk";
    runs_full(&world, told, || disk.grow(100)).await;
    drop(world);
    drop(own);
}

/// The server's processes may write no file larger than this many bytes. Told as
/// the server's user: root itself may lack the right in a container.
fn limit(own: &OwnPostgres, size: &str) {
    let children = format!("/proc/{0}/task/{0}/children", own.pid());
    let children = fs::read_to_string(children).unwrap();
    let children = children.split_whitespace().map(str::to_owned);
    for id in children.chain([own.pid().to_string()]) {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &id, &format!("--fsize={size}:")]);
        if let Some(account) = Account::to_drop_to().unwrap() {
            account.run(&mut prlimit);
        }
        let done = prlimit.output().unwrap();
        // Others than the first may have ended meanwhile.
        let is_told = done.status.success() || id != own.pid().to_string();
        assert!(is_told, "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_system_does_not_let_postgres_store_changes_nothing() {
    let own = OwnPostgres::new();
    let world = World::at(own.url()).await;
    // The files of Postgres' log have 16 MiB, and are not what is to fail.
    limit(&own, "17825792");
    runs_full(&world, "File too large", || limit(&own, "unlimited")).await;
    drop(world);
}
