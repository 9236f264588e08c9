//! GitHub sends a person to the callback also after an installation that was
//! begun on its own pages. No flow of ours waits for that one.
//!
//! It also lets the browser name any installation of an app, and lists those that
//! the person who signed in may use
//! (<https://docs.github.com/en/rest/apps/installations>).

use std::collections::BTreeMap;

use super::{Installations, Quirk};

pub(super) const QUIRK: Quirk = Quirk {
    name: "github",
    authorize_params: &[],
    authorize: |_| {},
    answer: |_| {},
    tokens: |_| {},
    secret_config: &[],
    beside: None,
    installations: Some(Installations {
        path: "/user/installations",
        items: "installations",
        id: "id",
    }),
};

/// Where the person came from, when the browser does not say.
const HOME: &str = "https://github.com";

/// Where to send a browser that comes to the callback without a state, after an
/// installation on the provider's own pages (CONTRACT 2.3). `None` if the
/// parameters do not tell of one.
#[must_use]
pub fn installation_page(callback: &BTreeMap<String, String>) -> Option<&'static str> {
    let is_given = |name: &str| callback.get(name).is_some_and(|value| !value.is_empty());
    (is_given("installation_id") && is_given("setup_action")).then_some(HOME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_known_by_both_parameters() {
        let callback = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            installation_page(
                &pairs
                    .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            )
        };
        let (id, action) = (("installation_id", "7"), ("setup_action", "install"));
        assert_eq!(callback(&[id, action]), Some(HOME));
        assert_eq!(callback(&[id]), None);
        assert_eq!(callback(&[action]), None);
        assert_eq!(callback(&[("installation_id", ""), action]), None);
    }
}
