//! Where a call goes.

use std::borrow::Cow;

use linkspan_providers::Template;
use url::Url;

use super::Prepare;
use crate::scope::{RequestScope, unless_unset};
use crate::{Error, modes};

pub(super) fn url(call: &Prepare<'_>, scope: &RequestScope<'_>) -> Result<Url, Error> {
    let base = base(call, scope)?;
    let text = join(base.trim_end_matches('/'), call.path_and_query);
    let mut url = Url::parse(&text).map_err(|error| blame(call, scope, error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Path(
            "the scheme is neither http nor https".to_owned(),
        ));
    }
    // A fragment is never sent, but would end up in logs.
    url.set_fragment(None);
    add_query(call.config.template, scope, &mut url)?;
    Ok(url)
}

/// Says whether it is the base URL or the path that makes no URL.
fn blame(call: &Prepare<'_>, scope: &RequestScope<'_>, reason: String) -> Error {
    let proxy = call.config.template.proxy.as_ref();
    match proxy
        .filter(|_| call.base_url_override.is_none())
        .map(|proxy| proxy.base_url.to_url(scope))
    {
        Some(Err(error)) => error.into(),
        _ => Error::Path(reason),
    }
}

fn base<'a>(call: &'a Prepare<'_>, scope: &RequestScope<'_>) -> Result<Cow<'a, str>, Error> {
    if let Some(own) = call.base_url_override {
        return Ok(Cow::Borrowed(own.as_str()));
    }
    if let Some(own) = modes::base_url(call.config) {
        return Ok(own);
    }
    let template = call.config.template;
    let proxy = template.proxy.as_ref().ok_or_else(|| Error::Template {
        provider: template.slug.clone(),
        key: "proxy.base_url",
    })?;
    Ok(Cow::Owned(proxy.base_url.evaluate(scope)?))
}

/// `base` and `path` with one slash between them, so that no path can change
/// the host. A path that repeats the base (callers pass on the links of
/// answers) loses it.
fn join(base: &str, path: &str) -> String {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let rest = match rest.strip_prefix(base) {
        Some(after) if after.is_empty() || after.starts_with(['/', '?', '#']) => {
            after.strip_prefix('/').unwrap_or(after)
        }
        _ => rest,
    };
    let slash = if rest.is_empty() || rest.starts_with(['?', '#']) {
        ""
    } else {
        "/"
    };
    [base, slash, rest].concat()
}

/// The template's parameters that have values; the caller's own win.
fn add_query(template: &Template, scope: &RequestScope<'_>, url: &mut Url) -> Result<(), Error> {
    let Some(proxy) = template
        .proxy
        .as_ref()
        .filter(|proxy| !proxy.query.is_empty())
    else {
        return Ok(());
    };
    for (name, text) in &proxy.query {
        let is_given = url.query_pairs().any(|(given, _)| given == name.as_str());
        if let (false, Some(value)) = (is_given, unless_unset(template, text.evaluate(scope))?) {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn joins_with_one_slash_and_removes_a_repeated_base() {
        let base = "https://api.x.com/v1";
        for (path, expected) in [
            ("", "https://api.x.com/v1"),
            ("/", "https://api.x.com/v1"),
            ("/items", "https://api.x.com/v1/items"),
            ("items?a=1", "https://api.x.com/v1/items?a=1"),
            ("?a=1", "https://api.x.com/v1?a=1"),
            ("/?a=1", "https://api.x.com/v1?a=1"),
            (
                "/https://api.x.com/v1/items?a=1",
                "https://api.x.com/v1/items?a=1",
            ),
            ("https://api.x.com/v1?a=1", "https://api.x.com/v1?a=1"),
            (
                "https://api.x.com/v10/items",
                "https://api.x.com/v1/https://api.x.com/v10/items",
            ),
            (
                "/https://evil.com/x",
                "https://api.x.com/v1/https://evil.com/x",
            ),
        ] {
            assert_eq!(join(base, path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_changes_the_host(path in "(/|\\\\|@|:|\\?|#|\\.\\.|https://|evil\\.com|\\PC){0,12}") {
            let base = "https://api.x.com:8443";
            if let Ok(url) = Url::parse(&join(base, &path)) {
                prop_assert_eq!(url.host_str(), Some("api.x.com"));
                prop_assert_eq!(url.port(), Some(8443));
                prop_assert_eq!(url.username(), "");
            }
        }
    }
}
