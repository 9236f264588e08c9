//! Sentry names what it gives for a code in its own way
//! (<https://docs.sentry.io/organization/integrations/integration-platform/public-integration/>).

use serde_json::{Map, Value};

use super::Quirk;

pub(super) const QUIRK: Quirk = Quirk {
    name: "sentry",
    authorize_params: &[],
    authorize: |_| {},
    answer,
    tokens: |_| {},
    secret_config: &[],
    beside: None,
    installations: None,
};

/// What OAuth calls them (RFC 6749 section 5.1).
const NAMES: [(&str, &str); 3] = [
    ("token", "access_token"),
    ("refreshToken", "refresh_token"),
    ("expiresAt", "expires_at"),
];

fn answer(root: &mut Map<String, Value>) {
    for (theirs, ours) in NAMES {
        if let Some(value) = root.remove(theirs) {
            root.insert(ours.to_owned(), value);
        }
    }
}
