//! Reading OpenAPI documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// An OpenAPI document.
pub(super) struct Document(pub(super) Value);

/// What a schema says of an object: its properties, and which must be there.
/// Of alternatives it has all properties, and what all of them require.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) properties: BTreeMap<String, Value>,
    pub(super) required: BTreeSet<String>,
    /// Whether it may have properties that are not named.
    pub(super) is_open: bool,
}

impl Document {
    /// The document of this server.
    pub(super) fn ours() -> Self {
        let text = linkspan_server::openapi::document().to_json().unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    /// The public document of the API that we are compatible with.
    pub(super) fn public() -> Self {
        let text = include_str!("../../../../simulator/facts/public-api.openapi.json");
        let mut document = serde_json::from_str(text).unwrap();
        open(&mut document);
        Self(document)
    }

    /// Each operation, by its method and its path with the parameters'
    /// names left out, which documents choose as they like.
    pub(super) fn operations(&self) -> BTreeMap<String, &Value> {
        let mut operations = BTreeMap::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let key = format!("{} {}", method.to_uppercase(), without_names(path));
                operations.insert(key, operation);
            }
        }
        operations
    }

    /// What a `$ref` leads to, or the value itself.
    pub(super) fn resolve<'d>(&'d self, mut value: &'d Value) -> &'d Value {
        while let Some(pointer) = value["$ref"].as_str() {
            let pointer = pointer.strip_prefix('#').unwrap();
            value = self
                .0
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{pointer}"));
        }
        value
    }

    /// The schema of a JSON body, in a request or an answer.
    pub(super) fn body<'d>(&'d self, holder: &'d Value) -> Option<&'d Value> {
        self.resolve(holder)
            .pointer("/content/application~1json/schema")
    }

    /// What a schema says of an object.
    pub(super) fn shape(&self, schema: &Value) -> Shape {
        let schema = self.resolve(schema);
        let mut shape = Shape::default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            shape.properties.insert(name.clone(), property.clone());
        }
        shape.required = strings(&schema["required"]);
        let is_named = schema.get("properties").is_some();
        shape.is_open = match &schema["additionalProperties"] {
            Value::Object(_) => true,
            Value::Bool(is_open) => *is_open,
            _ => {
                !is_named
                    && ["allOf", "anyOf", "oneOf"]
                        .iter()
                        .all(|key| schema[key].is_null())
            }
        };
        for part in list(&schema["allOf"]) {
            let part = self.shape(part);
            shape.is_open |= part.is_open;
            shape.properties.extend(part.properties);
            shape.required.extend(part.required);
        }
        for key in ["anyOf", "oneOf"] {
            let alternatives: Vec<_> = list(&schema[key])
                .filter(|schema| schema["type"] != "null")
                .map(|schema| self.shape(schema))
                .collect();
            let required = alternatives
                .iter()
                .map(|shape| shape.required.clone())
                .reduce(|all, required| &all & &required);
            shape.required.extend(required.unwrap_or_default());
            for alternative in alternatives {
                shape.is_open |= alternative.is_open;
                shape.properties.extend(alternative.properties);
            }
        }
        shape
    }

    /// The schema of an array's items.
    pub(super) fn items<'d>(&'d self, schema: &'d Value) -> Option<&'d Value> {
        self.resolve(schema).get("items")
    }

    /// Where a value is not as a schema says.
    pub(super) fn misfits(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = jsonschema::validator_for(&self.alone(schema)).unwrap();
        let misfits = validator.iter_errors(value).map(|error| {
            // Which item of a list it is says nothing.
            let place = error.instance_path().to_string();
            let place = place.replace(|c: char| c.is_ascii_digit(), "");
            format!("{place} {}", error.schema_path())
        });
        misfits.collect()
    }

    /// A JSON schema of its own for a part of the document.
    fn alone(&self, schema: &Value) -> Value {
        serde_json::json!({ "components": self.0["components"], "allOf": [schema] })
    }
}

/// Lets objects have more than the document names, as answers may: it closes
/// both parts of an `allOf`, so that nothing can be valid, and has alternatives
/// of which there are none.
fn open(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|key, value| match key.as_str() {
                "additionalProperties" => *value != false,
                "anyOf" => *value != serde_json::json!([]),
                _ => true,
            });
            object.values_mut().for_each(open);
        }
        Value::Array(items) => items.iter_mut().for_each(open),
        _ => {}
    }
}

fn without_names(path: &str) -> String {
    let mut plain = String::new();
    let mut is_name = false;
    for letter in path.chars() {
        is_name &= letter != '}';
        if !is_name {
            plain.push(letter);
        }
        is_name |= letter == '{';
    }
    plain
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn strings(value: &Value) -> BTreeSet<String> {
    list(value)
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}
