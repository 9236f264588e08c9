//! An integration's own credentials with its provider, as requests set them and
//! as they are shown.

use linkspan_api::integrations::{
    App, AppWithClient, GivenClient, GivenCredentials, GivenPublicClient, IntegrationCredentials,
    Plugin,
};
use linkspan_auth::AppKey;
use linkspan_providers::Template;
use secrecy::{ExposeSecret, SecretString};

use super::{Integration, Secrets, check};
use crate::Error;

/// Where an integration keeps its own credentials.
pub(super) struct Own<'a> {
    pub(super) client_id: &'a mut Option<String>,
    pub(super) scopes: &'a mut Option<String>,
    pub(super) secrets: &'a mut Secrets,
}

impl Own<'_> {
    /// Puts the given credentials in place of those there are. Scopes and the
    /// secret of webhooks stay where a request does not name them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for those of another mode than the template's, and for
    /// the first value that cannot be right.
    pub(super) fn set(self, given: GivenCredentials, template: &Template) -> Result<(), Error> {
        check::kind(template, given.kind())?;
        match given {
            GivenCredentials::OAuth1(client)
            | GivenCredentials::OAuth2(client)
            | GivenCredentials::Tba(client) => self.client(client),
            GivenCredentials::McpOAuth2(client) => self.public_client(client),
            GivenCredentials::App(app) => self.app(app),
            GivenCredentials::Custom(both) => self.both(both),
            GivenCredentials::InstallPlugin(plugin) => self.plugin(plugin),
        }
    }

    fn client(self, given: GivenClient) -> Result<(), Error> {
        check::client_id(&given.client_id)?;
        check::secret(&given.client_secret, "client_secret")?;
        check::webhook_secret(given.webhook_secret.iter().flatten().next())?;
        check::scopes(given.scopes.iter().flatten().next())?;
        *self.client_id = Some(given.client_id);
        self.secrets.client_secret = Some(given.client_secret.into());
        if let Some(scopes) = given.scopes {
            *self.scopes = scopes;
        }
        if let Some(secret) = given.webhook_secret {
            self.secrets.webhook_secret = secret.map(SecretString::from);
        }
        Ok(())
    }

    fn public_client(self, given: GivenPublicClient) -> Result<(), Error> {
        check::client_id(&given.client_id)?;
        if let Some(secret) = &given.client_secret {
            check::secret(secret, "client_secret")?;
        }
        check::scopes(given.scopes.iter().flatten().next())?;
        *self.client_id = Some(given.client_id);
        self.secrets.client_secret = given.client_secret.map(SecretString::from);
        if let Some(scopes) = given.scopes {
            *self.scopes = scopes;
        }
        Ok(())
    }

    fn app(self, given: App) -> Result<(), Error> {
        check::app_id(&given.app_id)?;
        check::link(&given.app_link)?;
        check::private_key(&given.private_key)?;
        self.secrets.app = Some(AppKey {
            app_id: given.app_id,
            app_link: given.app_link,
            private_key: given.private_key.into(),
        });
        Ok(())
    }

    fn both(self, given: AppWithClient) -> Result<(), Error> {
        check::client_id(&given.client_id)?;
        check::secret(&given.client_secret, "client_secret")?;
        let Self {
            client_id,
            scopes,
            secrets,
        } = self;
        let app = App {
            app_id: given.app_id,
            app_link: given.app_link,
            private_key: given.private_key,
        };
        let own = Own {
            client_id: &mut *client_id,
            scopes,
            secrets: &mut *secrets,
        };
        own.app(app)?;
        *client_id = Some(given.client_id);
        secrets.client_secret = Some(given.client_secret.into());
        Ok(())
    }

    fn plugin(self, given: Plugin) -> Result<(), Error> {
        check::link(&given.app_link)?;
        check::plugin_user(given.username.as_deref(), given.password.as_deref())?;
        self.secrets.plugin = Some(linkspan_auth::Plugin {
            app_link: given.app_link,
            username: given.username.map(SecretString::from),
            password: given.password.map(SecretString::from),
        });
        Ok(())
    }
}

/// An integration's own credentials in the API's form, secrets included; nothing
/// where it has none.
#[must_use]
pub fn credentials(
    integration: &Integration,
    template: &Template,
) -> Option<IntegrationCredentials> {
    let Secrets {
        client_secret,
        webhook_secret,
        app,
        plugin,
        ..
    } = &integration.secrets;
    let client_id = integration.client_id.clone();
    if client_id.is_none() && app.is_none() && plugin.is_none() {
        return None;
    }
    let plugins = plugin.as_ref();
    Some(IntegrationCredentials {
        kind: linkspan_auth::own_kind(template.auth_mode)
            .unwrap_or(template.auth_mode)
            .as_str()
            .to_owned(),
        scopes: client_id.is_some().then(|| integration.scopes.clone()),
        client_id,
        client_secret: exposed(client_secret.as_ref()),
        webhook_secret: exposed(webhook_secret.as_ref()),
        app_id: app.as_ref().map(|app| app.app_id.clone()),
        app_link: app
            .as_ref()
            .map(|app| app.app_link.clone())
            .or_else(|| plugins.map(|plugin| plugin.app_link.clone())),
        private_key: exposed(app.as_ref().map(|app| &app.private_key)),
        username: exposed(plugins.and_then(|plugin| plugin.username.as_ref())),
        password: exposed(plugins.and_then(|plugin| plugin.password.as_ref())),
    })
}

fn exposed(secret: Option<&SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}
