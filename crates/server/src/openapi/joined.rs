//! Forms that name their kind. A form that takes no fields but its own, joined by
//! `allOf` to an object with the field `type`, fits nothing: each of the two
//! refuses what the other one asks for. So both are made one object.

use std::collections::BTreeMap;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Components, Object, Schema};

const PREFIX: &str = "#/components/schemas/";

/// Joins them in all alternatives of all schemas.
pub(super) fn join(components: &mut Components) {
    let closed: BTreeMap<_, _> = components
        .schemas
        .iter()
        .filter_map(|(name, schema)| Some((name.clone(), closed(schema)?.clone())))
        .collect();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::OneOf(alternatives)) = schema else {
            continue;
        };
        for item in &mut alternatives.items {
            if let Some(object) = joined(item, &closed) {
                *item = RefOr::T(object.into());
            }
        }
    }
}

/// An object that takes no fields but its own.
fn closed(schema: &RefOr<Schema>) -> Option<&Object> {
    let RefOr::T(Schema::Object(object)) = schema else {
        return None;
    };
    match object.additional_properties.as_deref() {
        Some(AdditionalProperties::FreeForm(false)) => Some(object),
        _ => None,
    }
}

fn joined(item: &RefOr<Schema>, closed: &BTreeMap<String, Object>) -> Option<Object> {
    let RefOr::T(Schema::AllOf(parts)) = item else {
        return None;
    };
    let [RefOr::Ref(form), RefOr::T(Schema::Object(tag))] = parts.items.as_slice() else {
        return None;
    };
    let mut object = closed.get(form.ref_location.strip_prefix(PREFIX)?)?.clone();
    object.properties.extend(tag.properties.clone());
    object.required.extend(tag.required.clone());
    object.description.clone_from(&parts.description);
    Some(object)
}
