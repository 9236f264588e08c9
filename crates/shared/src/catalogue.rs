//! The provider templates: those that are built in, and those of a directory,
//! which may change while the server runs.
//!
//! The directory is looked at once a second, rather than watched by the system's
//! notifications: those do not come for directories that a container gets from a
//! network, from another kind of host or through an overlay, and for a mounted
//! `ConfigMap` they tell of a symbolic link beside the files, not of the files.
//! A look costs one `stat` for each file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use linkspan_auth::quirks;
use linkspan_providers::{Catalogue, Finding, Findings, Source, Template, TemplateError};

use crate::Core;
use crate::connections::seal;

/// How often the directory is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The provider templates in use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Templates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    builtin: Catalogue,
    dir: Option<PathBuf>,
    current: RwLock<Arc<Catalogue>>,
    /// The directory as it was read last.
    read: Mutex<Look>,
}

/// What a look at the directory sees: each file's name, and what changes with its
/// content. Of a symbolic link that is what it leads to.
type Look = Result<Vec<(PathBuf, Option<[i128; 5]>)>, String>;

/// Why there are no templates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A built-in one is wrong.
    #[error(transparent)]
    Builtin(#[from] TemplateError),
    /// One of the directory is wrong.
    #[error("provider templates (providers.dir, LINKSPAN_PROVIDERS_DIR) have mistakes:\n{0}")]
    Directory(Findings),
}

impl Templates {
    /// The built-in templates, and those of a directory over them. Nothing less
    /// will do at the start: without a template that replaces a built-in one,
    /// connections would go where the built-in one says.
    ///
    /// # Errors
    /// Every mistake in the directory.
    pub fn read(dir: Option<&Path>) -> Result<Self, Error> {
        let builtin = Catalogue::builtin()?;
        let mut current = builtin.clone();
        let mut read = Ok(Vec::new());
        if let Some(dir) = dir {
            read = look(dir);
            let added = current.add_dir(dir, &quirks::names());
            for finding in added.map_err(Error::Directory)? {
                log(&finding);
            }
        }
        Ok(Self(Arc::new(Inner {
            builtin,
            dir: dir.map(Path::to_owned),
            current: RwLock::new(Arc::new(current)),
            read: Mutex::new(read),
        })))
    }

    /// Those of this moment.
    #[must_use]
    pub fn current(&self) -> Arc<Catalogue> {
        let current = self.0.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// The template of a slug.
    #[must_use]
    pub fn get(&self, slug: &str) -> Option<Arc<Template>> {
        self.current().get(slug).cloned()
    }

    /// Looks at the directory again, and reads it if it has changed since it was
    /// read and is as it was at the look before: what is being written is not
    /// read. Blocks. Returns what this look saw, and whether the templates are
    /// others now.
    fn look_again(&self, before: Option<Look>) -> (Option<Look>, bool) {
        let Some(dir) = &self.0.dir else {
            return (None, false);
        };
        let seen = look(dir);
        let mut read = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        if seen == *read || before.as_ref() != Some(&seen) {
            return (Some(seen), false);
        }
        read.clone_from(&seen);
        if let Err(cause) = &seen {
            let dir = dir.display();
            tracing::error!(%dir, cause, "provider templates cannot be read: the last ones stay");
            return (Some(seen), false);
        }
        self.replace(dir);
        (Some(seen), true)
    }

    fn replace(&self, dir: &Path) {
        let (sources, unnamed) = Source::read_dir(dir);
        let files = sources.len();
        let (with, findings) = self
            .0
            .builtin
            .with(sources, &self.current(), &quirks::names());
        for finding in unnamed.iter().chain(&findings) {
            log(finding);
        }
        let mut current = self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(with);
        tracing::info!(dir = %dir.display(), files, "provider templates have changed");
    }
}

/// What a check finds in the built-in templates and in those of a directory.
///
/// # Errors
/// As [`Catalogue::builtin`].
pub fn check(dir: Option<&Path>) -> Result<Vec<Finding>, TemplateError> {
    let mut findings = Catalogue::check_builtin(&quirks::names());
    if let Some(dir) = dir {
        findings.extend(over(&Catalogue::builtin()?, dir).1);
    }
    Ok(findings)
}

/// What a check finds in files, which may be aliases of each other, of a
/// directory's and of built-in templates.
///
/// # Errors
/// As [`Catalogue::builtin`].
pub fn check_files(dir: Option<&Path>, files: &[PathBuf]) -> Result<Vec<Finding>, TemplateError> {
    let mut base = Catalogue::builtin()?;
    if let Some(dir) = dir {
        base = over(&base, dir).0;
    }
    let (mut sources, mut findings) = (Vec::new(), Vec::new());
    for file in files {
        match Source::read(file) {
            Ok(source) => sources.push(source),
            Err(finding) => findings.push(finding),
        }
    }
    let (_, found) = base.with(sources, &Catalogue::default(), &quirks::names());
    findings.extend(found);
    Ok(findings)
}

/// A directory's templates over others, as far as they are right.
fn over(base: &Catalogue, dir: &Path) -> (Catalogue, Vec<Finding>) {
    let (sources, mut findings) = Source::read_dir(dir);
    let (with, found) = base.with(sources, &Catalogue::default(), &quirks::names());
    findings.extend(found);
    (with, findings)
}

/// Reads the directory again whenever it changes, until cancelled.
pub async fn watch(core: Core) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut before, mut is_unsealed) = (None, false);
    while core.catalogue.0.dir.is_some() {
        every.tick().await;
        let templates = core.catalogue.clone();
        let look = move || templates.look_again(before);
        let has_changed;
        (before, has_changed) = match tokio::task::spawn_blocking(look).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::error!(%error, "provider templates could not be looked at");
                (None, false)
            }
        };
        if has_changed {
            core.forget_live();
        }
        if has_changed || is_unsealed {
            // A field may have become secret.
            is_unsealed = !seal::all(&core).await;
        }
    }
}

fn look(dir: &Path) -> Look {
    let paths = Source::paths(dir).map_err(|cause| cause.to_string())?;
    let stamp = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        let seconds =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Some([
            file.dev().into(),
            file.ino().into(),
            file.size().into(),
            seconds(file.mtime(), file.mtime_nsec()),
            seconds(file.ctime(), file.ctime_nsec()),
        ])
    };
    let stamped = paths.into_iter().map(|path| (stamp(&path), path));
    Ok(stamped.map(|(stamp, path)| (path, stamp)).collect())
}

fn log(finding: &Finding) {
    let (line, column) = finding.position.unzip();
    let (file, key, message) = (finding.path.display(), &finding.key, &finding.message);
    if finding.is_error() {
        tracing::error!(%file, line, column, key, message, "a provider template is wrong: the last good one stays");
    } else {
        tracing::warn!(%file, line, column, key, message, "a provider template is odd");
    }
}
