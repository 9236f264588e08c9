//! A set of templates by slug: those that are compiled in, and those of a
//! directory over them.

mod layer;
mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use serde_yaml::Mapping;

pub use source::Source;

use crate::Template;
#[cfg(feature = "catalogue")]
use crate::TemplateError;
use crate::builtin::{self, Builtin};
use crate::check::{Finding, Findings};

/// Templates by slug. Cheap to clone: what is built in is there once.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    builtin: bool,
    own: BTreeMap<String, Own>,
}

/// A template that is not built in, or replaces one that is.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) template: Arc<Template>,
    /// As [`Builtin::json`].
    pub(crate) json: Arc<str>,
    words: Arc<str>,
}

/// A template as [`Catalogue::search`] finds it, without reading it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its slug.
    pub slug: &'a str,
    /// Its keys as they are in its file, an alias' over its parent's, and its slug
    /// as `name`: a JSON object.
    pub json: &'a str,
    words: &'a str,
}

impl Catalogue {
    /// The templates compiled into the program. Takes no time: each is read when
    /// it is first asked for.
    ///
    /// # Errors
    /// None today; a test holds that every template can be read.
    #[cfg(feature = "catalogue")]
    pub fn builtin() -> Result<Self, TemplateError> {
        Ok(Self {
            builtin: true,
            own: BTreeMap::new(),
        })
    }

    /// The templates of a folder, as [`Catalogue::add_dir`] reads them.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn from_dir(folder: &Path, quirks: &[&str]) -> Result<Self, Findings> {
        let mut catalogue = Self::default();
        catalogue.add_dir(folder, quirks)?;
        Ok(catalogue)
    }

    /// Adds the templates of a folder, every file of which is `<slug>.yaml`; they
    /// replace those of the same slug, and may be aliases of what is here. Names
    /// that begin with a dot are passed over: editors and mounted volumes keep
    /// their own things there. `quirks` are the names that a template may say.
    ///
    /// Returns what is odd and no mistake.
    ///
    /// # Errors
    /// All mistakes of all files; nothing is added then.
    pub fn add_dir(&mut self, folder: &Path, quirks: &[&str]) -> Result<Vec<Finding>, Findings> {
        let (sources, mut findings) = Source::read_dir(folder);
        let (with, found) = self.with(sources, &Self::default(), quirks);
        findings.extend(found);
        if findings.iter().any(Finding::is_error) {
            return Err(Findings(findings));
        }
        *self = with;
        Ok(findings)
    }

    /// These templates, and those of `sources` over them. Of a source with a
    /// mistake its slug's template in `before` is taken, if there is one; it is
    /// what the same folder gave when it was read before.
    #[must_use]
    pub fn with(
        &self,
        sources: Vec<Source>,
        before: &Self,
        quirks: &[&str],
    ) -> (Self, Vec<Finding>) {
        layer::lay(self, sources, before, quirks)
    }

    /// What a check finds in the templates that are compiled in. Their lines are
    /// not known: those are of the files that the program was built of.
    #[must_use]
    pub fn check_builtin(quirks: &[&str]) -> Vec<Finding> {
        layer::check_builtin(quirks)
    }

    /// The template of a slug.
    #[must_use]
    pub fn get(&self, slug: &str) -> Option<&Arc<Template>> {
        match self.own.get(slug) {
            Some(own) => Some(&own.template),
            None => self.find_builtin(slug)?.template(),
        }
    }

    /// The template of a slug as it is shown, without reading it.
    #[must_use]
    pub fn entry(&self, slug: &str) -> Option<Entry<'_>> {
        match self.own.get_key_value(slug) {
            Some((slug, own)) => Some(own.entry(slug)),
            None => self.find_builtin(slug).map(Builtin::entry),
        }
    }

    /// All templates, by slug. Reads every one.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Template>> {
        self.entries().filter_map(|entry| self.get(entry.slug))
    }

    /// All templates as they are shown, by slug.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let builtin: &[Builtin] = if self.builtin { builtin::all() } else { &[] };
        let own = self.own.iter().map(|(slug, own)| own.entry(slug));
        let by_slug: BTreeMap<&str, Entry<'_>> = builtin
            .iter()
            .map(Builtin::entry)
            .chain(own)
            .map(|entry| (entry.slug, entry))
            .collect();
        by_slug.into_values()
    }

    /// Templates whose slug, display name or a category contains `words`,
    /// ignoring case, by slug. All for an empty text.
    pub fn search(&self, words: &str) -> impl Iterator<Item = Entry<'_>> {
        let words = words.trim().to_lowercase();
        self.entries()
            .filter(move |entry| entry.words.lines().any(|line| line.contains(&words)))
    }

    /// A template as YAML: all its keys or, unless `is_resolved`, those that an
    /// alias has beside its parent's.
    #[must_use]
    pub fn yaml(&self, slug: &str, is_resolved: bool) -> Option<String> {
        // A YAML map keeps its order.
        let read = |slug: &str| serde_json::from_str(self.entry(slug)?.json).ok();
        let mut keys: Mapping = read(slug)?;
        let parent = keys.get("alias").and_then(serde_yaml::Value::as_str);
        let parent = parent.filter(|parent| !is_resolved && *parent != slug);
        if let Some(parent) = parent.and_then(read) {
            keys.retain(|key, value| parent.get(key) != Some(value));
        }
        keys.shift_remove("name");
        serde_yaml::to_string(&keys).ok()
    }

    /// The template's keys as they are in its file.
    fn keys(&self, slug: &str) -> Option<Map<String, Value>> {
        let mut keys: Map<String, Value> = serde_json::from_str(self.entry(slug)?.json).ok()?;
        keys.remove("name");
        Some(keys)
    }

    fn find_builtin(&self, slug: &str) -> Option<&'static Builtin> {
        builtin::find(slug).filter(|_| self.builtin)
    }
}

impl Own {
    fn new(template: Arc<Template>, json: Arc<str>) -> Self {
        let lines = [&template.slug, &template.display_name];
        let lines: Vec<&str> = lines
            .into_iter()
            .chain(&template.categories)
            .map(String::as_str)
            .collect();
        let words = lines.join("\n").to_lowercase().into();
        Self {
            template,
            json,
            words,
        }
    }

    fn entry<'a>(&'a self, slug: &'a str) -> Entry<'a> {
        Entry {
            slug,
            json: &self.json,
            words: &self.words,
        }
    }
}

impl Builtin {
    fn entry(&self) -> Entry<'_> {
        Entry {
            slug: self.slug,
            json: self.json,
            words: self.words,
        }
    }
}

impl FromIterator<Template> for Catalogue {
    fn from_iter<I: IntoIterator<Item = Template>>(templates: I) -> Self {
        let by_slug = |template: Template| {
            let json = serde_json::to_string(&template).unwrap_or_default();
            let own = Own::new(Arc::new(template), json.into());
            (own.template.slug.clone(), own)
        };
        Self {
            builtin: false,
            own: templates.into_iter().map(by_slug).collect(),
        }
    }
}
