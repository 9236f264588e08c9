//! Telling a field that is null from one that is absent.

use serde::{Deserialize, Deserializer};

/// For `Option<Option<T>>` with `#[serde(default)]`: absent is `None`, null is
/// `Some(None)`.
pub(crate) fn given<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::connections::UpdateConnection;

    #[test]
    fn null_is_told_from_absent() {
        let read = |text| serde_json::from_str::<UpdateConnection>(text).unwrap();
        assert!(read("{}").end_user.is_none());
        assert!(
            read(r#"{"end_user":null}"#)
                .end_user
                .is_some_and(|user| user.is_none())
        );
        let user = read(r#"{"end_user":{"id":"a"}}"#).end_user.flatten();
        assert_eq!(user.unwrap().id, "a");
    }
}
