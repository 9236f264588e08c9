//! What an API key may do. The names are the contract's (CONTRACT, appendix A).

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($variant:ident = $name:literal;)*) => {
        /// One permission of an API key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Scope {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $variant,)*
        }

        impl Scope {
            /// Every scope there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether it reaches beyond the key's own environment.
            #[must_use]
            pub fn is_over_account(self) -> bool {
                self.as_str().starts_with("account:")
            }

            /// The scope of this name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

scopes! {
    IntegrationsList = "environment:integrations:list";
    IntegrationsListCredentials = "environment:integrations:list_credentials";
    IntegrationsRead = "environment:integrations:read";
    IntegrationsReadCredentials = "environment:integrations:read_credentials";
    IntegrationsCreate = "environment:integrations:create";
    IntegrationsUpdate = "environment:integrations:update";
    IntegrationsDelete = "environment:integrations:delete";
    ConnectionsList = "environment:connections:list";
    ConnectionsListCredentials = "environment:connections:list_credentials";
    ConnectionsRead = "environment:connections:read";
    ConnectionsReadCredentials = "environment:connections:read_credentials";
    ConnectionsCreate = "environment:connections:create";
    ConnectionsUpdate = "environment:connections:update";
    ConnectionsDelete = "environment:connections:delete";
    ConnectSessionsWrite = "environment:connect_sessions:write";
    Proxy = "environment:proxy";
    VariablesRead = "environment:variables:read";
    WebhookSigningKeyRotate = "environment:webhook_signing_key:rotate";
    AccountEnvironmentsCreate = "account:environments:create";
    AccountEnvironmentsDelete = "account:environments:delete";
    AccountApiKeysCreate = "account:environments:api_keys:create";
    AccountApiKeysDelete = "account:environments:api_keys:delete";
    LogsRead = "environment:logs:read";
    // Routes that these open come later; keys made today have them already.
    Deploy = "environment:deploy";
    RecordsRead = "environment:records:read";
    RecordsWrite = "environment:records:write";
    SyncsRead = "environment:syncs:read";
    SyncsUpdate = "environment:syncs:update";
    SyncsExecute = "environment:syncs:execute";
    SyncVariantsCreate = "environment:syncs:variant:create";
    SyncVariantsDelete = "environment:syncs:variant:delete";
    FunctionsList = "environment:functions:list";
    FunctionsRead = "environment:functions:read";
    FunctionsDelete = "environment:functions:delete";
    FunctionsCompile = "environment:functions:compile";
    FunctionsDryrun = "environment:functions:dryrun";
    FunctionsInvoke = "environment:functions:invocations";
    IntegrationsListFunctions = "environment:integrations:list_functions";
    ActionsExecute = "environment:actions:execute";
    Mcp = "environment:mcp";
}

/// A set of scopes. Unknown names in storage grant nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u64);

impl Scopes {
    /// Everything that a key can do, in its environment and over its account:
    /// what the first keys of an installation get.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// Everything that a key can do in its environment, and nothing over its
    /// account.
    #[must_use]
    pub fn environment() -> Self {
        let scopes = Scope::ALL.iter().copied();
        scopes.filter(|scope| !scope.is_over_account()).collect()
    }

    /// Whether all of these scopes are granted by `other` too.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// These scopes and those of `other`.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set grants a scope.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u64) != 0
    }

    /// The names of the scopes, in the table's order.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        Scope::ALL
            .iter()
            .filter(|&&scope| self.contains(scope))
            .map(|scope| scope.as_str())
            .collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(
            scopes
                .into_iter()
                .fold(0, |set, scope| set | 1 << scope as u64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_grants_what_it_was_made_of_and_nothing_else() {
        for &granted in Scope::ALL {
            let set: Scopes = [granted].into_iter().collect();
            for &asked in Scope::ALL {
                assert_eq!(set.contains(asked), asked == granted);
            }
            assert_eq!(Scope::parse(granted.as_str()), Some(granted));
        }
        assert_eq!(Scope::parse("environment:everything"), None);
        assert!(!Scopes::environment().contains(Scope::AccountEnvironmentsDelete));
        assert!(Scopes::environment().contains(Scope::Proxy));
        assert!(Scopes::environment().is_subset(Scopes::all()));
        assert!(!Scopes::all().is_subset(Scopes::environment()));
        assert!(Scope::ALL.len() <= 64, "the set is one u64");
    }
}
