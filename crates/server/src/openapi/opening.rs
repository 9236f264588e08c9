//! What opens a route, read off its handler's arguments.

use actix_web::{HttpRequest, web};
use utoipa::openapi::security::SecurityRequirement;

use crate::error::Failure;
use crate::extract::{Body, Browser, Caller, CallerOrSession, Permission, Session};

const API_KEY: &str = "api_key";
const CONNECT_SESSION: &str = "connect_session";

/// The tokens that the `Authorization` header may carry.
pub(super) const SCHEMES: &[(&str, &str)] = &[
    (
        API_KEY,
        "An environment's API key. An operation lists the scopes of which the key must have one.",
    ),
    (
        CONNECT_SESSION,
        "The token of a connect session, for the end user's browser.",
    ),
];

/// Arguments of a handler, of which the first says who may call it.
pub(crate) trait Opening {
    /// The ways in, any of which will do; `None` for a route open to anybody,
    /// or to what its query carries.
    fn security() -> Option<Vec<SecurityRequirement>>;

    /// Whether anybody may call it.
    fn is_open() -> bool {
        Self::security().is_none()
    }
}

impl<P: Permission> Opening for Caller<P> {
    fn security() -> Option<Vec<SecurityRequirement>> {
        if P::ANY_OF.len() == linkspan_api::Scope::ALL.len() {
            return Some(vec![SecurityRequirement::new(API_KEY, [""; 0])]);
        }
        let requirement =
            |scope: &linkspan_api::Scope| SecurityRequirement::new(API_KEY, [scope.as_str()]);
        Some(P::ANY_OF.iter().map(requirement).collect())
    }
}

impl Opening for Session {
    fn security() -> Option<Vec<SecurityRequirement>> {
        Some(vec![SecurityRequirement::new(CONNECT_SESSION, [""; 0])])
    }
}

impl<P: Permission> Opening for CallerOrSession<P> {
    fn security() -> Option<Vec<SecurityRequirement>> {
        let mut ways = Caller::<P>::security()?;
        ways.extend(Session::security()?);
        Some(ways)
    }
}

/// A browser's token is in the query, which OpenAPI calls a parameter.
impl Opening for Browser {
    fn security() -> Option<Vec<SecurityRequirement>> {
        None
    }

    fn is_open() -> bool {
        false
    }
}

impl<T: Opening> Opening for Result<T, Failure> {
    fn security() -> Option<Vec<SecurityRequirement>> {
        T::security()
    }

    fn is_open() -> bool {
        T::is_open()
    }
}

macro_rules! open {
    ($($argument:ty),*) => {$(
        impl Opening for $argument {
            fn security() -> Option<Vec<SecurityRequirement>> {
                None
            }
        }
    )*};
}
open!((), HttpRequest, Body, web::Payload);

impl<T> Opening for web::Data<T> {
    fn security() -> Option<Vec<SecurityRequirement>> {
        None
    }
}

macro_rules! tuples {
    ($(($($rest:ident)*))*) => {$(
        impl<First: Opening, $($rest),*> Opening for (First, $($rest,)*) {
            fn security() -> Option<Vec<SecurityRequirement>> {
                First::security()
            }

            fn is_open() -> bool {
                First::is_open()
            }
        }
    )*};
}
tuples! { () (B) (B C) (B C D) (B C D E) (B C D E F) }
