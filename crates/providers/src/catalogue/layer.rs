//! Templates laid over a catalogue, and aliases over their parents.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use serde_yaml::Mapping;

use super::{Catalogue, Own, Source};
use crate::check::{self, Finding, Subject};
use crate::{Template, builtin, check_slug};

type Keys = Map<String, Value>;

/// See [`Catalogue::with`].
pub(super) fn lay(
    base: &Catalogue,
    sources: Vec<Source>,
    before: &Catalogue,
    quirks: &[&str],
) -> (Catalogue, Vec<Finding>) {
    let mut layer = Layer {
        base,
        before,
        quirks,
        files: BTreeMap::new(),
        done: BTreeMap::new(),
        findings: Vec::new(),
    };
    for source in sources {
        layer.read(source);
    }
    let slugs: Vec<String> = layer.files.keys().cloned().collect();
    for slug in &slugs {
        layer.resolve(slug, &mut Vec::new());
    }
    let mut with = base.clone();
    for (slug, own) in layer.done {
        match own.or_else(|| before.own.get(&slug).cloned()) {
            Some(own) => with.own.insert(slug, own),
            None => None,
        };
    }
    (with, layer.findings)
}

/// See [`Catalogue::check_builtin`].
pub(super) fn check_builtin(quirks: &[&str]) -> Vec<Finding> {
    let catalogue = Catalogue {
        builtin: true,
        own: BTreeMap::new(),
    };
    let mut findings = Vec::new();
    for builtin in builtin::all() {
        let keys = catalogue.keys(builtin.slug).unwrap_or_default();
        let parent = keys.get("alias").and_then(Value::as_str);
        let parent_keys = parent.and_then(|parent| catalogue.keys(parent));
        // What an alias has of its own is what differs from its parent.
        let mut own = keys.clone();
        own.retain(|key, value| parent_keys.as_ref().and_then(|keys| keys.get(key)) != Some(value));
        let path = format!("{}.yaml (built in)", builtin.slug);
        let subject = Subject {
            slug: builtin.slug,
            path: Path::new(&path),
            own: &own,
            parent: parent_keys.as_ref(),
            keys: &keys,
            places: None,
            quirks,
        };
        check::template(&subject, &mut findings);
    }
    findings
}

struct Layer<'a> {
    base: &'a Catalogue,
    before: &'a Catalogue,
    quirks: &'a [&'a str],
    files: BTreeMap<String, File>,
    /// What became of each file; nothing, if it has a mistake.
    done: BTreeMap<String, Option<Own>>,
    findings: Vec<Finding>,
}

/// A file that is YAML.
struct File {
    source: Source,
    document: check::Document,
}

impl Layer<'_> {
    fn read(&mut self, source: Source) {
        if let Err(invalid) = check_slug(&source.slug) {
            self.findings
                .push(Finding::of_file(&source.path, invalid.to_string()));
            return;
        }
        let read = match &source.text {
            Ok(text) => check::read(&source.path, text),
            Err(cause) => Err(Finding::of_file(&source.path, cause)),
        };
        match read {
            Ok((document, findings)) => {
                self.findings.extend(findings);
                let slug = source.slug.clone();
                self.files.insert(slug, File { source, document });
            }
            Err(finding) => {
                self.findings.push(finding);
                self.done.insert(source.slug, None);
            }
        }
    }

    /// Reads the template of a file, after its parent. `trail` has the aliases
    /// that led here.
    fn resolve(&mut self, slug: &str, trail: &mut Vec<String>) {
        if self.done.contains_key(slug) {
            return;
        }
        let Some(file) = self.files.get(slug) else {
            return;
        };
        let alias = file.document.keys.get("alias").and_then(Value::as_str);
        let alias = alias.map(str::to_owned);
        let parent = alias.map(|parent| self.parent(slug, &parent, trail));
        let own = match parent {
            Some(Ok(json)) => self.check(slug, Some(&json)),
            Some(Err(message)) => {
                if let Some(file) = self.files.get(slug) {
                    let at = file.document.places.value("alias");
                    let finding = Finding::error(&file.source.path, at, "alias", message);
                    self.findings.push(finding);
                }
                None
            }
            None => self.check(slug, None),
        };
        self.done.insert(slug.to_owned(), own);
    }

    /// What an alias is laid over, as it is shown.
    fn parent(
        &mut self,
        slug: &str,
        parent: &str,
        trail: &mut Vec<String>,
    ) -> Result<Arc<str>, String> {
        // An alias of its own slug builds on the one that it replaces.
        if parent == slug || !self.is_file(parent) {
            let missing = || format!("there is no provider `{parent}` to build on");
            let entry = self.base.entry(parent).ok_or_else(missing)?;
            return Ok(entry.json.into());
        }
        if let Some(start) = trail.iter().position(|passed| passed == parent) {
            let round: Vec<&str> = trail.iter().skip(start).map(String::as_str).collect();
            let round = round.join(" → ");
            return Err(format!("goes round: {round} → {slug} → {parent}"));
        }
        trail.push(slug.to_owned());
        self.resolve(parent, trail);
        trail.pop();
        let read = self.done.get(parent).and_then(Option::as_ref);
        let own = read.or_else(|| self.before.own.get(parent));
        let broken = || format!("`{parent}` has mistakes of its own");
        Ok(Arc::clone(&own.ok_or_else(broken)?.json))
    }

    fn is_file(&self, slug: &str) -> bool {
        self.files.contains_key(slug) || self.done.contains_key(slug)
    }

    fn check(&mut self, slug: &str, parent_json: Option<&str>) -> Option<Own> {
        let file = self.files.get(slug)?;
        let own = &file.document.keys;
        let parent: Option<Keys> = parent_json.and_then(read_keys);
        let parent = parent.as_ref();
        let keys = over(parent, own);
        let subject = Subject {
            slug,
            path: &file.source.path,
            own,
            parent,
            keys: &keys,
            places: Some(&file.document.places),
            quirks: self.quirks,
        };
        let count = self.findings.len();
        let template = check::template(&subject, &mut self.findings);
        let is_wrong = self.findings.iter().skip(count).any(Finding::is_error);
        template.filter(|_| !is_wrong && !file.document.is_wrong)?;
        // Anew, from what has the file's order.
        let ordered = &file.document.ordered;
        let read = shown(slug, parent_json, ordered)
            .and_then(|json| Some((Template::from_json(slug, &json).ok()?, json)));
        if read.is_none() {
            // Whatever it is, a template must not be gone without a word.
            let message = "cannot be kept as JSON, as templates are: write it in plainer YAML";
            let finding = Finding::of_file(&file.source.path, message);
            self.findings.push(finding);
        }
        let (template, json) = read?;
        Some(Own::new(Arc::new(template), json.into()))
    }
}

/// An alias' keys over its parent's, one level deep (CONTRACT section 4). What is
/// wrong with the parent its child may have mended.
fn over(parent: Option<&Keys>, own: &Keys) -> Keys {
    let mut keys = parent.cloned().unwrap_or_default();
    keys.remove("known_fault");
    keys.extend(own.clone());
    keys
}

/// A template as it is shown: its slug as `name`, then its keys, an alias' over its
/// parent's, in their order.
fn shown(slug: &str, parent_json: Option<&str>, own: &Mapping) -> Option<String> {
    let mut keys = Mapping::new();
    keys.insert("name".into(), slug.into());
    if let Some(json) = parent_json {
        keys.extend(serde_json::from_str::<Mapping>(json).ok()?);
        keys.insert("name".into(), slug.into());
        keys.shift_remove("known_fault");
    }
    keys.extend(own.clone());
    serde_json::to_string(&keys).ok()
}

fn read_keys(json: &str) -> Option<Keys> {
    let mut keys: Keys = serde_json::from_str(json).ok()?;
    keys.remove("name");
    Some(keys)
}
