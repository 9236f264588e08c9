//! `/providers`: the catalogue.

use http::Method;
use linkspan_api::integrations::Data;
use serde::Deserialize;

use crate::Object;
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// Calls on the catalogue of providers.
#[derive(Debug, Clone)]
pub struct Providers {
    client: Client,
}

/// An API that accounts can be connected to, and how it authenticates.
#[derive(Debug, Clone, Deserialize)]
pub struct Provider {
    /// Its slug, by which integrations name it.
    pub name: String,
    /// What people see.
    pub display_name: String,
    /// How it authenticates, such as `OAUTH2` or `API_KEY`.
    pub auth_mode: String,
    /// What it is for, such as `crm`.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Address of its documentation.
    pub docs: Option<String>,
    /// Address of its logo.
    pub logo_url: String,
    /// Everything else that its template says.
    #[serde(flatten)]
    pub template: Object,
}

impl Providers {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The providers of the catalogue.
    pub fn list(&self) -> ListProviders {
        ListProviders {
            client: self.client.clone(),
            search: None,
        }
    }

    /// One provider by its slug.
    ///
    /// # Errors
    /// `unknown_provider_template` when there is none; see [`Error`].
    pub async fn get(&self, provider: &str) -> Result<Provider, Error> {
        let call = Call::new(&self.client, Method::GET, &["providers", provider]);
        Ok(call.send::<Data<_>>().await?.data)
    }
}

/// [`Providers::list`].
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `send`"]
pub struct ListProviders {
    client: Client,
    search: Option<String>,
}

impl ListProviders {
    /// Only those whose name contains this.
    pub fn search(self, text: impl Into<String>) -> Self {
        Self {
            search: Some(text.into()),
            ..self
        }
    }

    /// Asks for the list.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(self) -> Result<Vec<Provider>, Error> {
        let search = self.search.map(|text| ("search", text));
        let call = Call::new(&self.client, Method::GET, &["providers"]).query(search);
        Ok(call.send::<Data<_>>().await?.data)
    }
}
