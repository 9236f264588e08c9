//! Work that takes the processor's time, on threads that may be kept busy.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::task::spawn_blocking;

use crate::Error;

/// Items for which another thread pays: at a few microseconds each it works for
/// longer than it takes to begin.
const WORTH_A_THREAD: usize = 128;

/// Does `work` to all items, in as many threads as there are processors when
/// there are enough of them; the results are in the items' order.
pub(crate) async fn in_parallel<T, R, F>(mut items: Vec<T>, work: F) -> Result<Vec<R>, Error>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(Vec<T>) -> Result<Vec<R>, Error> + Clone + Send + 'static,
{
    let most = available_parallelism().map_or(1, NonZero::get);
    let threads = items.len().div_ceil(WORTH_A_THREAD).clamp(1, most);
    let each = items.len().div_ceil(threads).max(1);
    let mut tasks = Vec::with_capacity(threads);
    while items.len() > each {
        let rest = items.split_off(each);
        let part = std::mem::replace(&mut items, rest);
        let work = work.clone();
        tasks.push(spawn_blocking(move || work(part)));
    }
    tasks.push(spawn_blocking(move || work(items)));
    let mut results = Vec::new();
    for task in tasks {
        // It fails when the work panicked or the runtime is going.
        results.extend(task.await.map_err(|_| Error::CutOff)??);
    }
    Ok(results)
}
