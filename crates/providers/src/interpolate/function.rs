//! The functions of a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::node::Node;

/// The functions that a text may call. [`Function::Base64`] is computed here;
/// the others take cryptography, which a [`Scope`](super::Scope) may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `base64(text)`: standard alphabet, padded (RFC 4648 section 4).
    Base64,
    /// `sha256Hex(text)`, lower case.
    Sha256Hex,
    /// `sha256Base64(text)`.
    Sha256Base64,
    /// `hmacSha1Hex(message, key)`, lower case.
    HmacSha1Hex,
    /// `awsSigV4(access key, secret key, region, service[, host])`: the value
    /// of the `Authorization` header of AWS' Signature Version 4.
    AwsSigV4,
    /// `fingerprint(pem)`: `SHA256:` and the hash of the key's public half.
    Fingerprint,
    /// `ed25519Sign(message, pem)`, in base64.
    Ed25519Sign,
}

const TABLE: &[(&str, Function)] = &[
    ("base64", Function::Base64),
    ("sha256Hex", Function::Sha256Hex),
    ("sha256Base64", Function::Sha256Base64),
    ("hmacSha1Hex", Function::HmacSha1Hex),
    ("awsSigV4", Function::AwsSigV4),
    ("fingerprint", Function::Fingerprint),
    ("ed25519Sign", Function::Ed25519Sign),
];

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        let row = TABLE.iter().find(|(known, _)| *known == name)?;
        Some(row.1)
    }

    /// The name as a text spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let row = TABLE.iter().find(|(_, function)| *function == self);
        row.map_or("", |(name, _)| name)
    }

    /// The value, for what needs no cryptography.
    pub(super) fn apply(self, arguments: &[String]) -> Option<String> {
        match (self, arguments) {
            (Self::Base64, [text]) => Some(STANDARD.encode(text)),
            _ => None,
        }
    }

    /// Splits what stands between the parentheses into arguments, or nothing if
    /// there are too few or too many. Only commas of the template's own count,
    /// never those of a value.
    pub(super) fn arguments(self, nodes: Vec<Node>) -> Option<Box<[Box<[Node]>]>> {
        let arguments = match self {
            Self::Base64 | Self::Sha256Hex | Self::Sha256Base64 | Self::Fingerprint => vec![nodes],
            // The message may have commas, the key has none.
            Self::HmacSha1Hex | Self::Ed25519Sign => split_last(nodes)?,
            Self::AwsSigV4 => split_all(nodes),
        };
        let is_count_right = match self {
            Self::AwsSigV4 => matches!(arguments.len(), 4 | 5),
            _ => true,
        };
        let boxed = arguments.into_iter().map(Vec::into_boxed_slice);
        is_count_right.then(|| boxed.collect())
    }
}

fn split_last(mut nodes: Vec<Node>) -> Option<Vec<Vec<Node>>> {
    let comma = |node: &Node| matches!(node, Node::Literal(text) if text.contains(','));
    let at = nodes.iter().rposition(comma)?;
    let mut key = nodes.split_off(at);
    let Node::Literal(text) = key.remove(0) else {
        return None;
    };
    let (before, after) = text.rsplit_once(',')?;
    push_literal(&mut nodes, before.trim_end());
    let after = after.trim_start();
    if !after.is_empty() {
        key.insert(0, Node::Literal(after.into()));
    }
    Some(vec![nodes, key])
}

fn split_all(nodes: Vec<Node>) -> Vec<Vec<Node>> {
    let mut arguments = vec![Vec::new()];
    for node in nodes {
        let Node::Literal(text) = node else {
            if let Some(last) = arguments.last_mut() {
                last.push(node);
            }
            continue;
        };
        for (index, part) in text.split(',').enumerate() {
            if index > 0 {
                arguments.push(Vec::new());
            }
            if let Some(last) = arguments.last_mut() {
                push_literal(last, part.trim());
            }
        }
    }
    arguments
}

fn push_literal(nodes: &mut Vec<Node>, text: &str) {
    if !text.is_empty() {
        nodes.push(Node::Literal(text.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_one_name() {
        for (name, function) in TABLE {
            assert_eq!(Function::named(name), Some(*function));
            assert_eq!(function.as_str(), *name);
        }
        assert_eq!(Function::named("md5"), None);
    }
}
