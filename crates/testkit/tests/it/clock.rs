//! A process whose clock is ten minutes off: the database's clock decides. The
//! linker that Rust needs makes a library that shifts the clock of a process.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use linkspan_jobs::schedules;
use linkspan_testkit::WorkerProcess;
use linkspan_testkit::workload::{Link, Work};

use crate::world::{World, job};

async fn shifted(world: &World, name: &str, seconds: i64) -> WorkerProcess {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clock.c");
    let library = world.breakpoint(&format!("{name}.so"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", &format!("-DOFFSET=({seconds})"), "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(built.unwrap().success());
    let mut program = world.program.clone();
    let library = library.to_str().unwrap().to_owned();
    program.variables.push(("LD_PRELOAD".to_owned(), library));
    let started = WorkerProcess::start(&program, &world.breakpoint(name)).await;
    let process = started.unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_secs()).unwrap();
    let off = i64::try_from(process.clock).unwrap() - now;
    assert!((off - seconds).abs() < 60, "its clock is {off} s off");
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ten_minutes_off_changes_nothing() {
    let world = World::new().await;
    let late = Duration::from_secs(300);
    let work = Work { takes: 1, fails: 2 };
    let mut conn = world.conn().await;
    schedules::create(&mut conn, "due", "every hour", &job(&work))
        .await
        .unwrap();
    schedules::create(&mut conn, "later", "every hour", &job(&work))
        .await
        .unwrap();
    world
        .run(
            "UPDATE jobs.schedules SET next_at = now() + CASE key \
                WHEN 'due' THEN interval '0' ELSE interval '5 minutes' END",
        )
        .await;
    // One of them runs when everything has been done by the three.
    let held = world.start_armed("right", "job.claimed", "stop").await;
    world
        .add(&[
            job(&work),
            job(&work).start_within(late),
            job(&Link { left: 4 }),
            job(&work).delay(late),
        ])
        .await;
    let early = shifted(&world, "early", -600).await;
    let ahead = shifted(&world, "ahead", 600).await;
    world
        .until(8, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    held.signal(rustix::process::Signal::CONT).unwrap();
    assert_eq!(world.count("jobs.finished").await, 8);
    let waits = "jobs.jobs WHERE state = 'delayed' AND attempt = 0 \
        AND run_at BETWEEN now() + interval '3 minutes' AND now() + interval '5 minutes'";
    assert_eq!(world.count(waits).await, 1);
    let next = "jobs.schedules WHERE next_at > now() AND next_at <= now() + interval '1 hour'";
    assert_eq!(world.count(next).await, 2);
    let written = "jobs.finished WHERE abs(extract(epoch FROM finished_at - now())) < 120 \
        AND abs(extract(epoch FROM started_at - now())) < 120";
    assert_eq!(world.count(written).await, 8);
    // Leases end when the database says so, and none of the three is lost.
    for worker in [early, ahead, held] {
        let lease = format!(
            "jobs.workers WHERE id = '{}' AND expires_at BETWEEN now() AND now() + interval '1 s'",
            worker.id
        );
        world.until(1, &lease).await;
        worker.stop().await.unwrap();
    }
    world.is_sound().await;
}
