//! What single providers do that no key of a template describes. A quirk is a
//! file and its line in [`ALL`]; a template names it with the key `quirk`.

mod github;
mod sentry;
mod slack;

use linkspan_providers::Template;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::Error;
use crate::oauth2::Tokens;

pub use github::installation_page;

/// One provider's ways.
pub(crate) struct Quirk {
    /// The name in templates.
    name: &'static str,
    /// Parameters of the authorize URL that a caller may set for this provider
    /// only.
    pub(crate) authorize_params: &'static [&'static str],
    /// The last word on the parameters of the authorize URL.
    pub(crate) authorize: fn(&mut Vec<(String, String)>),
    /// Gives a token answer's values the names that they should have.
    pub(crate) answer: fn(&mut Map<String, Value>),
    /// The last word on tokens, of which `raw` is the whole answer.
    pub(crate) tokens: fn(&mut Tokens),
    /// Names in a connection's configuration whose values open something by
    /// themselves, though no field of the template is there to say so.
    pub(crate) secret_config: &'static [&'static str],
    /// Tokens beside the connection's own, which expire by themselves.
    pub(crate) beside: Option<Beside>,
    /// Where the provider lists the installations of an app that a person may use.
    pub(crate) installations: Option<Installations>,
}

/// A list of the API, in pages by `per_page` and `page`.
pub(crate) struct Installations {
    /// Under the API's address.
    pub(crate) path: &'static str,
    /// The key of the answer that has them.
    pub(crate) items: &'static str,
    /// The key of each that has its id.
    pub(crate) id: &'static str,
}

/// A second pair of tokens, kept in `raw` beside the connection's own.
pub(crate) struct Beside {
    /// Its refresh token, where there is one that is not the connection's own.
    pub(crate) refresh_token: fn(&Tokens) -> Option<SecretString>,
    /// Puts it into the connection's new tokens: what its own refresh brought,
    /// or else the earlier pair of the tokens that were spent.
    pub(crate) keep: fn(fresh: &mut Tokens, spent: &Tokens, refreshed: Option<&Tokens>),
}

/// Every quirk there is.
const ALL: &[Quirk] = &[github::QUIRK, sentry::QUIRK, slack::QUIRK];

/// Parameters that mean something to a provider with a quirk, and are not sent
/// to others.
pub(crate) fn reserved_params() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .flat_map(|quirk| quirk.authorize_params.iter().copied())
}

/// The names that a template may say.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|quirk| quirk.name).collect()
}

/// The quirk that the template names, if it names one.
///
/// # Errors
/// [`Error::Unsupported`] for a name that is not in the list.
pub(crate) fn of(template: &Template) -> Result<Option<&'static Quirk>, Error> {
    let Some(name) = &template.quirk else {
        return Ok(None);
    };
    match ALL.iter().find(|quirk| quirk.name == name) {
        Some(quirk) => Ok(Some(quirk)),
        None => Err(Error::Unsupported {
            provider: template.slug.clone(),
            feature: "a quirk that this version does not have",
        }),
    }
}

/// Names in a connection's configuration that are secret by the template's quirk,
/// beside the fields that the template itself marks.
#[must_use]
pub fn secret_config(template: &Template) -> &'static [&'static str] {
    match of(template) {
        Ok(Some(quirk)) => quirk.secret_config,
        Ok(None) | Err(_) => &[],
    }
}

/// Whether a template's quirk is one that this version has.
///
/// # Errors
/// [`Error::Unsupported`] if it is not.
pub fn check(template: &Template) -> Result<(), Error> {
    of(template).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use linkspan_providers::Catalogue;

    use super::*;

    #[test]
    fn built_in_templates_and_the_list_name_the_same_quirks() {
        let catalogue = Catalogue::builtin().unwrap();
        let mut named = BTreeSet::new();
        for template in catalogue.iter() {
            check(template).unwrap();
            named.extend(template.quirk.as_deref());
        }
        let listed: BTreeSet<_> = ALL.iter().map(|quirk| quirk.name).collect();
        assert_eq!(named, listed);
        assert_eq!(listed.len(), ALL.len(), "a name is listed twice");
        let yaml = "display_name: T\ncategories: [other]\nauth_mode: NONE\nquirk: unheard-of\n";
        let template = Template::parse("t", yaml).unwrap();
        assert!(matches!(check(&template), Err(Error::Unsupported { .. })));
    }
}
