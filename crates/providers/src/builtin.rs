//! The templates that are compiled into the program. Each is read when it is
//! first asked for: a server uses a few of a thousand, and reading all of them
//! would take longer than everything else that it does at its start.

use std::sync::{Arc, OnceLock};

use crate::{Template, TemplateError};

// `BUILTIN`, in the order of their slugs.
include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// A template as the build leaves it.
pub(crate) struct Builtin {
    pub(crate) slug: &'static str,
    /// What a search looks at, a line each, in lower case.
    pub(crate) words: &'static str,
    /// Its keys and its `name`, which comes first.
    pub(crate) json: &'static str,
    template: OnceLock<Option<Arc<Template>>>,
}

impl Builtin {
    #[cfg_attr(
        not(feature = "catalogue"),
        expect(dead_code, reason = "the build makes none without the feature")
    )]
    const fn new(slug: &'static str, words: &'static str, json: &'static str) -> Self {
        Self {
            slug,
            words,
            json,
            template: OnceLock::new(),
        }
    }

    /// The template, which a test holds can be read.
    pub(crate) fn template(&self) -> Option<&Arc<Template>> {
        let template = self.template.get_or_init(|| self.read().ok().map(Arc::new));
        template.as_ref()
    }

    pub(crate) fn read(&self) -> Result<Template, TemplateError> {
        Template::from_json(self.slug, self.json)
    }
}

/// All of them, in the order of their slugs.
pub(crate) fn all() -> &'static [Builtin] {
    &BUILTIN
}

/// The one of this slug.
pub(crate) fn find(slug: &str) -> Option<&'static Builtin> {
    let at = BUILTIN.binary_search_by(|builtin| builtin.slug.cmp(slug));
    BUILTIN.get(at.ok()?)
}
