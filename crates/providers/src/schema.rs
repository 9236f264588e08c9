//! The format of templates as a JSON schema, for editors and other programs. It is
//! made of the types that read templates, and their comments.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::interpolate::{Text, UrlText};
use crate::{Headers, Param, Pattern, Seconds, Template, TokenUrl, TokenUrls};

/// The schema of a template's file.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let schema = settings.into_generator().into_root_schema_for::<Template>();
    let mut schema = schema.to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "Linkspan provider template".into());
        // An alias has the rest from its parent.
        let required = root.remove("required").unwrap_or_default();
        let either = json!([{ "required": ["alias"] }, { "required": required }]);
        root.insert("anyOf".to_owned(), either);
    }
    plain(&mut schema);
    schema
}

/// Descriptions without the links, sources and line breaks of the comments that
/// they come from.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            for (key, value) in entries.iter_mut() {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = of_comment(text);
                    }
                    _ => plain(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn of_comment(text: &str) -> String {
    let text = text
        .replace('\n', " ")
        .replace("[`", "`")
        .replace("`]", "`");
    match text.split_once(" (CONTRACT") {
        Some((before, after)) => {
            let after = after.split_once(')').map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        None => text,
    }
}

/// The methods that a template can name.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[schemars(inline)]
pub(crate) enum HttpMethod {
    #[schemars(rename = "GET")]
    Get,
    #[schemars(rename = "POST")]
    Post,
    #[schemars(rename = "PUT")]
    Put,
    #[schemars(rename = "PATCH")]
    Patch,
    #[schemars(rename = "DELETE")]
    Delete,
    #[schemars(rename = "HEAD")]
    Head,
}

macro_rules! schema {
    ($type:ty, $name:literal, |$generator:pat_param| $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema!(Text, "Text", |_| json_schema!({
    "type": "string",
    "description": "A text that may have placeholders, such as ${apiKey}."
}));
schema!(UrlText, "Url", |_| json_schema!({
    "type": "string",
    "description": "An http(s) URL that may have placeholders, whose values are percent-encoded."
}));
schema!(Pattern, "Pattern", |_| json_schema!({
    "type": "string",
    "description": "A regular expression in JavaScript's spelling, matched anywhere."
}));
schema!(Seconds, "Seconds", |_| json_schema!({
    "description": "A number of seconds, which may be written as a text.",
    "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+$" }]
}));
schema!(Headers, "Headers", |generator| json_schema!({
    "type": "object",
    "description": "Texts by the names of headers.",
    "propertyNames": { "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" },
    "additionalProperties": generator.subschema_for::<Text>()
}));
schema!(TokenUrl, "TokenUrl", |generator| json_schema!({
    "anyOf": [generator.subschema_for::<UrlText>(), generator.subschema_for::<TokenUrls>()]
}));
schema!(Param, "Param", |generator| {
    let own = generator.subschema_for::<Self>();
    let types = ["number", "boolean", "null"];
    let mut any: Vec<Value> = vec![generator.subschema_for::<Text>().to_value()];
    any.extend(types.map(|name| json!({ "type": name })));
    any.push(json!({ "type": "array", "items": own }));
    any.push(json!({ "type": "object", "additionalProperties": own }));
    let mut schema = Map::new();
    schema.insert("anyOf".to_owned(), any.into());
    schema.into()
});
