//! URLs with placeholders. What a value may contain depends on where it stands:
//! a connection's subdomain must not be able to turn
//! `https://${connectionConfig.subdomain}.example.com` into another host, since
//! client secrets and tokens are sent there.

use std::{fmt, str};

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::node::{self, Node};
use super::parse::Problem;
use super::{ParseError, Path, Scope, Text, Unresolved, deserialize_str, first_resolved};

/// Everything but RFC 3986's unreserved characters.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// A port and a path may follow a host that the value itself ends.
const HOST_END: &AsciiSet = &COMPONENT.remove(b':').remove(b'/');
/// A value that is the URL's whole beginning, scheme included. It has no query,
/// no fragment and no user name: more of the URL may follow it.
const BEGINNING: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'\\');

/// Where in a URL a placeholder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the very beginning: the value brings the scheme and the host.
    Beginning,
    /// In the host, with more of the host after it.
    Host,
    /// In the host, as its last part.
    HostEnd,
    /// In the path or the query.
    Component,
}

impl Place {
    fn encoding(self) -> &'static AsciiSet {
        match self {
            Self::Beginning => BEGINNING,
            Self::HostEnd => HOST_END,
            Self::Host | Self::Component => COMPONENT,
        }
    }
}

/// A URL with placeholders, parsed. Values are percent-encoded by their place.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlText {
    text: Text,
    /// For each alternative, the place of each of its nodes (of a literal: unused).
    places: Box<[Box<[Place]>]>,
}

/// Why a URL could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A placeholder has no value.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    /// The values do not make a URL; they are not quoted, since they may be secret.
    #[error("`{template}` does not make a valid http(s) URL with the values given: {reason}")]
    Invalid {
        /// The URL as the template spells it.
        template: String,
        /// What the URL parser said.
        reason: String,
    },
}

impl UrlText {
    /// Parses a URL with placeholders.
    ///
    /// # Errors
    /// Those of [`Text::parse`], and a placeholder inside the scheme.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        let text = Text::parse(source)?;
        let places = text
            .alternatives
            .iter()
            .map(|nodes| places(nodes))
            .collect::<Option<_>>();
        let places = places.ok_or(ParseError {
            position: 0,
            problem: Problem::InScheme,
        })?;
        Ok(Self { text, places })
    }

    /// The URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// What its placeholders name, in all its alternatives.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        self.text.paths()
    }

    /// The URL as text, its values encoded, not yet checked to be one. An empty
    /// value counts as not set.
    ///
    /// # Errors
    /// [`Unresolved`], as for [`Text::evaluate`].
    pub fn evaluate<S: Scope + ?Sized>(&self, scope: &S) -> Result<String, Unresolved> {
        let mut places = self.places.iter();
        first_resolved(&self.text.alternatives, |nodes, _| {
            let places = places.next().map_or(&[][..], |places| places);
            let mut out = String::with_capacity(self.as_str().len() + 32);
            for (node, place) in nodes.iter().zip(places) {
                append(node, *place, scope, &mut out)?;
            }
            Ok(out)
        })
    }

    /// The URL, which is http or https and has a host.
    ///
    /// # Errors
    /// [`UrlError`] without the values.
    pub fn to_url<S: Scope + ?Sized>(&self, scope: &S) -> Result<Url, UrlError> {
        let invalid = |reason: String| UrlError::Invalid {
            template: self.as_str().into(),
            reason,
        };
        let url = Url::parse(&self.evaluate(scope)?).map_err(|error| invalid(error.to_string()))?;
        match url.scheme() {
            "http" | "https" => Ok(url),
            _ => Err(invalid("the scheme is neither http nor https".to_owned())),
        }
    }
}

fn append<S: Scope + ?Sized>(
    node: &Node,
    place: Place,
    scope: &S,
    out: &mut String,
) -> Result<(), Unresolved> {
    if let Node::Literal(literal) = node {
        out.push_str(literal);
        return Ok(());
    }
    let value = node::value(node, scope, false)?;
    let value = match place {
        Place::Beginning => value.trim().trim_end_matches('/'),
        _ => value.trim(),
    };
    out.extend(utf8_percent_encode(value, place.encoding()));
    Ok(())
}

/// The place of each node, or nothing if one stands inside the scheme.
fn places(nodes: &[Node]) -> Option<Box<[Place]>> {
    let mut before = Before::Nothing;
    let mut places = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        if let Node::Literal(literal) = node {
            before = before.after(literal);
            places.push(Place::Component);
            continue;
        }
        let host_ends = match nodes.get(index + 1) {
            None => true,
            Some(Node::Literal(next)) => next.starts_with(['/', '?', '#']),
            Some(_) => false,
        };
        places.push(match before {
            Before::Nothing => Place::Beginning,
            Before::Scheme => return None,
            Before::Host if host_ends => Place::HostEnd,
            Before::Host => Place::Host,
            Before::Path => Place::Component,
        });
        if before == Before::Nothing {
            before = Before::Host;
        }
    }
    Some(places.into_boxed_slice())
}

/// What of the URL stands before the current node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Scheme,
    Host,
    Path,
}

impl Before {
    fn after(self, literal: &str) -> Self {
        let host = match self {
            Self::Path => return Self::Path,
            Self::Host => literal,
            Self::Nothing | Self::Scheme => match literal.split_once("://") {
                Some((_, host)) => host,
                None => return Self::Scheme,
            },
        };
        if host.contains(['/', '?', '#']) {
            Self::Path
        } else {
            Self::Host
        }
    }
}

impl str::FromStr for UrlText {
    type Err = ParseError;

    fn from_str(source: &str) -> Result<Self, ParseError> {
        Self::parse(source)
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlText({:?})", self.as_str())
    }
}

impl Serialize for UrlText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for UrlText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer)
    }
}
