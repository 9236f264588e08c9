//! Calls of a product's backend, by API key.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use linkspan_api::{ErrorCode, Scope, Scopes};
use linkspan_shared::connect_sessions;
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::tenancy::environments::Environment;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::browser::Session;
use crate::app::State;
use crate::error::Failure;

/// What a route asks of an API key: one of these scopes.
pub(crate) trait Permission: 'static {
    const ANY_OF: &'static [Scope];
}

/// The permissions that routes name.
pub(crate) mod permission {
    use super::{Permission, Scope};

    macro_rules! permissions {
        ($($name:ident = $($scope:ident)|+;)*) => {
            $(
                pub(crate) struct $name;
                impl Permission for $name {
                    const ANY_OF: &'static [Scope] = &[$(Scope::$scope),+];
                }
            )*
        };
    }

    permissions! {
        ListIntegrations = IntegrationsList | IntegrationsListCredentials;
        ReadIntegration = IntegrationsRead | IntegrationsReadCredentials;
        CreateIntegration = IntegrationsCreate;
        UpdateIntegration = IntegrationsUpdate;
        DeleteIntegration = IntegrationsDelete;
        ListConnections = ConnectionsList | ConnectionsListCredentials;
        ReadConnection = ConnectionsRead | ConnectionsReadCredentials;
        CreateConnection = ConnectionsCreate;
        UpdateConnection = ConnectionsUpdate;
        DeleteConnection = ConnectionsDelete;
        WriteConnectSessions = ConnectSessionsWrite;
        CallProxy = Proxy;
        ReadVariables = VariablesRead;
        RotateSigningKey = WebhookSigningKeyRotate;
        CreateEnvironment = AccountEnvironmentsCreate;
        DeleteEnvironment = AccountEnvironmentsDelete;
        CreateApiKey = AccountApiKeysCreate;
        DeleteApiKey = AccountApiKeysDelete;
        ReadLogs = LogsRead;
        ReadRecords = RecordsRead;
        WriteRecords = RecordsWrite;
        ReadSyncs = SyncsRead;
        UpdateSyncs = SyncsUpdate;
        ExecuteSyncs = SyncsExecute;
        CreateSyncVariant = SyncVariantsCreate;
        DeleteSyncVariant = SyncVariantsDelete;
    }

    /// Any valid key: the provider catalogue is the same for everybody.
    pub(crate) struct AnyKey;
    impl Permission for AnyKey {
        const ANY_OF: &'static [Scope] = Scope::ALL;
    }
}

/// A caller whose key has permission `P`.
pub(crate) struct Caller<P> {
    pub(crate) environment: Environment,
    pub(crate) scopes: Scopes,
    permission: PhantomData<P>,
}

impl<P> Caller<P> {
    pub(crate) fn environment_id(&self) -> EnvironmentId {
        self.environment.id
    }

    /// Asks for one more scope, which only some forms of a call need.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Failure> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(lacks(&[scope]))
    }
}

fn lacks(any_of: &[Scope]) -> Failure {
    let required: Vec<_> = any_of.iter().map(|scope| scope.as_str()).collect();
    let message = format!("Insufficient scope. Required: {}", required.join(" or "));
    Failure::new(ErrorCode::Forbidden, message)
}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

impl<P: Permission> FromRequest for Caller<P> {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let bearer = bearer(request);
        let state = state(request);
        let request = request.clone();
        Box::pin(async move {
            let state = state?;
            authorise(&state, &bearer?, &request).await
        })
    }
}

async fn authorise<P: Permission>(
    state: &State,
    bearer: &SecretString,
    request: &HttpRequest,
) -> Result<Caller<P>, Failure> {
    if Uuid::try_parse(bearer.expose_secret()).is_err() {
        return Err(Failure::of(ErrorCode::InvalidSecretKeyFormat));
    }
    let Some(caller) = state.core.authenticate(bearer).await? else {
        // Guesses count for whoever makes them.
        state.rate.count_address(request)?;
        return Err(Failure::of(ErrorCode::UnknownAccount));
    };
    state.rate.count(request, caller.environment.id)?;
    if !P::ANY_OF.iter().any(|&scope| caller.scopes.contains(scope)) {
        return Err(lacks(P::ANY_OF));
    }
    Ok(Caller {
        environment: caller.environment,
        scopes: caller.scopes,
        permission: PhantomData,
    })
}

/// The token of the Authorization header.
pub(super) fn bearer(request: &HttpRequest) -> Result<SecretString, Failure> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .ok_or_else(|| Failure::of(ErrorCode::MissingAuthHeader))?;
    header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
        .map(|(_, token)| token.trim().into())
        .ok_or_else(|| Failure::of(ErrorCode::MalformedAuthHeader))
}

pub(super) fn state(request: &HttpRequest) -> Result<web::Data<State>, Failure> {
    request
        .app_data::<web::Data<State>>()
        .cloned()
        .ok_or_else(|| Failure::of(ErrorCode::GenericErrorSupport))
}

/// A backend with permission `P`, or a browser with a connect session.
pub(crate) enum CallerOrSession<P> {
    Caller(Caller<P>),
    Session(Box<Session>),
}

impl<P> CallerOrSession<P> {
    pub(crate) fn environment_id(&self) -> EnvironmentId {
        match self {
            Self::Caller(caller) => caller.environment_id(),
            Self::Session(session) => session.0.environment_id,
        }
    }

    /// Whether the integration may be shown.
    pub(crate) fn may_see(&self, unique_key: &str) -> bool {
        match self {
            Self::Caller(_) => true,
            Self::Session(session) => session.0.allow(unique_key).is_ok(),
        }
    }
}

impl<P: Permission> FromRequest for CallerOrSession<P> {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_session = bearer(request).is_ok_and(|token| {
            token
                .expose_secret()
                .starts_with(connect_sessions::TOKEN_PREFIX)
        });
        if is_session {
            let session = Session::from_request(request, payload);
            Box::pin(async move { Ok(Self::Session(Box::new(session.await?))) })
        } else {
            let caller = Caller::from_request(request, payload);
            Box::pin(async move { Ok(Self::Caller(caller.await?)) })
        }
    }
}
