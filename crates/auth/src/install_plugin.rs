//! INSTALL_PLUGIN: a plugin that people install at the provider. Calls carry the
//! developer's own keys; the connection knows which account they are about.

use linkspan_providers::Config;
use url::Url;

use crate::basic::Basic;
use crate::redirect::{Begun, Callback, Kept, Request};
use crate::{Client, Credentials, Error, Finished, Plugin};

/// What the provider hands back to us as it was.
const STATE: &str = "payload";

/// The plugin's page, from which the person installs it.
///
/// # Errors
/// [`Error::NoClient`] without a plugin, or one without keys: the person should
/// not install what cannot be used. [`Error::Unusable`] for a page that is no
/// address.
pub(crate) fn begin(client: Option<&Client>, request: &Request<'_>) -> Result<Begun, Error> {
    let plugin = own(client)?;
    keys(plugin)?;
    let mut url = Url::parse(&plugin.app_link)
        .map_err(|_| Error::Unusable("the plugin's page is not an address".to_owned()))?;
    url.query_pairs_mut().append_pair(STATE, request.state);
    Ok(Begun {
        authorize_url: url,
        kept: Kept::default(),
    })
}

/// The developer's keys, once the browser says of which account.
///
/// # Errors
/// [`Error::NoCode`] when it does not, and [`Error::NoClient`] without keys.
pub(crate) fn finish(
    client: Option<&Client>,
    config: &Config<'_>,
    callback: &Callback<'_>,
) -> Result<Finished, Error> {
    let credentials = keys(own(client)?)?;
    let names = &config.template.redirect_uri_metadata;
    match names.iter().all(|name| callback.get(name).is_some()) {
        true => Ok(credentials.into()),
        false => Err(Error::NoCode(callback.refusal())),
    }
}

fn own(client: Option<&Client>) -> Result<&Plugin, Error> {
    let plugin = client.and_then(|client| client.plugin.as_ref());
    plugin.ok_or(Error::NoClient)
}

fn keys(plugin: &Plugin) -> Result<Credentials, Error> {
    let Plugin {
        username: Some(username),
        password: Some(password),
        ..
    } = plugin
    else {
        return Err(Error::NoClient);
    };
    Ok(Credentials::Basic(Basic {
        username: username.clone(),
        password: password.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use linkspan_providers::{Catalogue, Template};
    use serde_json::Map;

    use super::*;
    use crate::redirect::Identity;

    fn template() -> Template {
        Template::clone(
            Catalogue::builtin()
                .unwrap()
                .get("crisp-plugin-install")
                .unwrap(),
        )
    }

    fn client(username: Option<&str>) -> Client {
        Client {
            plugin: Some(Plugin {
                app_link: "https://app.example/install/7?lang=en".to_owned(),
                username: username.map(Into::into),
                password: username.map(|_| "planted".into()),
            }),
            ..Client::default()
        }
    }

    fn request<'a>(params: &'a BTreeMap<String, String>) -> Request<'a> {
        Request {
            redirect_uri: "https://us.example/oauth/callback",
            state: "st/1",
            authorization_params: params,
            identity: Identity::default(),
        }
    }

    #[test]
    fn the_page_is_opened_with_the_state() {
        let none = BTreeMap::new();
        let begun = begin(Some(&client(Some("id"))), &request(&none)).unwrap();
        assert_eq!(
            begun.authorize_url.as_str(),
            "https://app.example/install/7?lang=en&payload=st%2F1"
        );
        for client in [None, Some(&client(None)), Some(&Client::default())] {
            let refused = begin(client, &request(&none)).unwrap_err();
            assert_eq!(refused, Error::NoClient);
        }
    }

    #[test]
    fn the_account_must_be_named() {
        let template = template();
        let config = Config {
            template: &template,
            connection: &Map::new(),
            integration: &Map::new(),
        };
        let finish = |query: &[(&str, &str)]| {
            let query = query.iter();
            let query = query.map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            let callback = Callback {
                query: &query.collect(),
                redirect_uri: "https://us.example/oauth/callback",
                kept: &Kept::default(),
            };
            super::finish(Some(&client(Some("id"))), &config, &callback)
        };
        let finished = finish(&[("website_id", "w-1")]).unwrap();
        assert!(matches!(finished.credentials, Credentials::Basic(_)));
        assert!(!format!("{finished:?}").contains("planted"));
        for query in [&[][..], &[("website_id", "")], &[("error", "cancelled")]] {
            let refused = finish(query).unwrap_err();
            assert!(matches!(refused, Error::NoCode(_)), "{refused}");
        }
    }
}
