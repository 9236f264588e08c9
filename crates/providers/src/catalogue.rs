//! A set of templates by slug.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use crate::{Template, TemplateError};

/// Templates by slug, read once and shared.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(BTreeMap<String, Arc<Template>>);

/// A catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A folder or file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file is not named `<slug>.yaml`.
    #[error("{}: a template's file name is its slug and `.yaml`", .0.display())]
    FileName(PathBuf),
    /// A template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

#[cfg(feature = "catalogue")]
static BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

impl Catalogue {
    /// The templates compiled into the program.
    ///
    /// # Errors
    /// [`TemplateError`]; a test holds that there is none.
    #[cfg(feature = "catalogue")]
    pub fn builtin() -> Result<Self, TemplateError> {
        let mut catalogue = Self::default();
        catalogue.add(BUILTIN)?;
        Ok(catalogue)
    }

    /// The templates of a folder, every file of which is `<slug>.yaml`.
    ///
    /// # Errors
    /// As for [`Catalogue::add_dir`].
    pub fn from_dir(folder: &Path) -> Result<Self, CatalogueError> {
        let mut catalogue = Self::default();
        catalogue.add_dir(folder)?;
        Ok(catalogue)
    }

    /// Adds the templates of a folder, every file of which is `<slug>.yaml`; they
    /// replace those of the same slug, and may be aliases of what is here. Their
    /// patterns are compiled too, so that all mistakes show at once.
    ///
    /// # Errors
    /// The first [`CatalogueError`], in the order of file names; nothing is
    /// added then.
    pub fn add_dir(&mut self, folder: &Path) -> Result<(), CatalogueError> {
        let sources = read_dir(folder)?;
        let borrowed: Vec<_> = sources
            .iter()
            .map(|(slug, yaml)| (slug.as_str(), yaml.as_str()))
            .collect();
        let mut with = self.clone();
        with.add(&borrowed)?;
        for (slug, _) in &borrowed {
            if let Some(template) = with.get(slug) {
                template.check_patterns()?;
            }
        }
        *self = with;
        Ok(())
    }

    /// Adds templates, aliases after what they are aliases of.
    fn add(&mut self, sources: &[(&str, &str)]) -> Result<(), TemplateError> {
        let mut waiting = Vec::new();
        for &(slug, yaml) in sources {
            match Template::parent(slug, yaml)? {
                Some(parent) => waiting.push((slug, yaml, parent)),
                None => self.insert(Template::parse(slug, yaml)?),
            }
        }
        while !waiting.is_empty() {
            let slugs: BTreeSet<&str> = waiting.iter().map(|(slug, ..)| *slug).collect();
            let mut still = Vec::new();
            for (slug, yaml, parent) in std::mem::take(&mut waiting) {
                // An alias of its own slug builds on the one that it replaces.
                let is_ready = parent == slug || !slugs.contains(parent.as_str());
                match self.0.get(&parent).filter(|_| is_ready) {
                    Some(template) => self.insert(Template::parse_alias(slug, yaml, template)?),
                    None => still.push((slug, yaml, parent)),
                }
            }
            if let (Some((slug, _, parent)), true) = (still.first(), still.len() == slugs.len()) {
                return Err(TemplateError {
                    provider: (*slug).to_owned(),
                    position: None,
                    message: format!("alias: there is no provider `{parent}` to build on"),
                });
            }
            waiting = still;
        }
        Ok(())
    }

    fn insert(&mut self, template: Template) {
        self.0.insert(template.slug.clone(), Arc::new(template));
    }

    /// Adds the templates of `other`; they replace those of the same slug.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The template of a slug.
    #[must_use]
    pub fn get(&self, slug: &str) -> Option<&Arc<Template>> {
        self.0.get(slug)
    }

    /// All templates, by slug.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Template>> {
        self.0.values()
    }

    /// Templates whose slug, display name or a category contains `words`,
    /// ignoring case, by slug. All for an empty text.
    pub fn search(&self, words: &str) -> impl Iterator<Item = &Arc<Template>> {
        let words = words.trim().to_lowercase();
        self.iter().filter(move |template| {
            let contains = |text: &String| text.to_lowercase().contains(&words);
            contains(&template.slug)
                || contains(&template.display_name)
                || template.categories.iter().any(contains)
        })
    }
}

impl FromIterator<Template> for Catalogue {
    fn from_iter<I: IntoIterator<Item = Template>>(templates: I) -> Self {
        let by_slug = |template: Template| (template.slug.clone(), Arc::new(template));
        Self(templates.into_iter().map(by_slug).collect())
    }
}

fn read_dir(folder: &Path) -> Result<Vec<(String, String)>, CatalogueError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |cause| CatalogueError::Io { path, cause }
    };
    let entries = fs::read_dir(folder).map_err(io(folder))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(io(folder))?;
    paths.sort();
    let read = |path: PathBuf| {
        let slug = slug_of(&path).ok_or_else(|| CatalogueError::FileName(path.clone()))?;
        let yaml = fs::read_to_string(&path).map_err(io(&path))?;
        Ok((slug.to_owned(), yaml))
    };
    paths.into_iter().map(read).collect()
}

fn slug_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(".yaml")
}
