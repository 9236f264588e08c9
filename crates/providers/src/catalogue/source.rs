//! Templates' files.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::check::Finding;

/// The largest file that is read, in bytes: the largest built-in one has 4 KiB.
const MAX_SIZE: u64 = 256 * 1024;

/// The text of a template's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name without `.yaml`.
    pub slug: String,
    /// The file, as findings name it.
    pub path: PathBuf,
    /// What is in it, or why that cannot be read.
    pub text: Result<String, String>,
}

impl Source {
    /// Reads one file.
    ///
    /// # Errors
    /// A finding: it is not named `<slug>.yaml`.
    pub fn read(path: &Path) -> Result<Self, Finding> {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(slug) = name.and_then(|name| name.strip_suffix(".yaml")) else {
            let message = "a template's file is named by its slug and `.yaml`";
            return Err(Finding::of_file(path, message));
        };
        Ok(Self {
            slug: slug.to_owned(),
            path: path.to_owned(),
            text: read_text(path).map_err(|cause| format!("cannot be read: {cause}")),
        })
    }

    /// Reads every file of a folder but those whose names begin with a dot.
    #[must_use]
    pub fn read_dir(folder: &Path) -> (Vec<Self>, Vec<Finding>) {
        let (mut sources, mut findings) = (Vec::new(), Vec::new());
        match Self::paths(folder) {
            Ok(paths) => {
                for path in paths {
                    match Self::read(&path) {
                        Ok(source) => sources.push(source),
                        Err(finding) => findings.push(finding),
                    }
                }
            }
            Err(cause) => {
                findings.push(Finding::of_file(folder, format!("cannot be read: {cause}")));
            }
        }
        (sources, findings)
    }

    /// The files of a folder but those whose names begin with a dot, by name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn paths(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let mut file = fs::File::open(path)?.take(MAX_SIZE + 1);
    file.read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other("it has more than 256 KiB"));
    }
    Ok(text)
}
