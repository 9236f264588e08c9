//! How a connection's credentials are described: one form for each auth mode
//! (CONTRACT section 3). The server makes the answers of what it has stored; its
//! tests hold an answer of each mode against these forms.

mod imported;

use std::borrow::Cow;

use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::{
    KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat,
};
use utoipa::{PartialSchema, ToSchema};

pub(crate) use imported::ImportedCredentials;

/// The credentials of a connection. `type` names the form.
pub(super) struct ConnectionCredentials;

/// The credentials of one auth mode.
struct Form {
    /// The schema's name.
    schema: &'static str,
    /// The value of `type`.
    kind: &'static str,
    says: &'static str,
    fields: &'static [Field],
    /// What further texts there are; none if it is empty.
    others: &'static str,
}

struct Field {
    name: &'static str,
    says: &'static str,
    holds: Holds,
    is_required: bool,
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Time,
    Object,
    /// The credentials of another form, or null.
    Form(&'static str),
    /// The client that a token was given to, if not the integration's.
    Client,
}

impl Field {
    const fn must(name: &'static str, says: &'static str) -> Self {
        Self {
            name,
            says,
            holds: Holds::Text,
            is_required: true,
        }
    }

    const fn may(name: &'static str, says: &'static str) -> Self {
        Self {
            is_required: false,
            ..Self::must(name, says)
        }
    }

    const fn holding(self, holds: Holds) -> Self {
        Self { holds, ..self }
    }
}

const EXPIRES: Field =
    Field::may("expires_at", "When it stops working, if that is known.").holding(Holds::Time);
const RAW: Field = Field::must(
    "raw",
    "The provider's last answer to a token request, as it was. It holds the tokens too.",
)
.holding(Holds::Object);
const REFRESH_TOKEN: Field = Field::may("refresh_token", "Buys the next token.");
const TOKEN: Field = Field::must("token", "What calls carry.");
const USERNAME: Field = Field::must("username", "As it was entered.");
const PASSWORD: Field = Field::must("password", "As it was entered.");

const FORMS: &[Form] = &[
    Form {
        schema: "OAuth1Credentials",
        kind: "OAUTH1",
        says: "A token that signs calls, of an OAuth 1.0a provider.",
        fields: &[
            Field::must("oauth_token", "Names the token."),
            Field::must(
                "oauth_token_secret",
                "Signs calls, with the client's secret.",
            ),
            RAW,
        ],
        others: "",
    },
    Form {
        schema: "OAuth2Credentials",
        kind: "OAUTH2",
        says: "Tokens of an OAuth 2.0 provider or an MCP server.",
        fields: &[
            Field::must("access_token", "What calls carry."),
            REFRESH_TOKEN,
            EXPIRES,
            RAW,
        ],
        others: "",
    },
    Form {
        schema: "OAuth2ClientCredentials",
        kind: "OAUTH2_CC",
        says: "A client that the person entered, and the token that it bought.",
        fields: &[
            TOKEN,
            Field::may("client_id", "As it was entered, if it was."),
            Field::may("client_secret", "As it was entered, if it was."),
            Field::may("client_certificate", "As it was entered, PEM."),
            Field::may(
                "client_private_key",
                "As it was entered, PEM or a JSON Web Key.",
            ),
            EXPIRES,
            RAW,
        ],
        others: "What else the template asks for, as it was entered.",
    },
    Form {
        schema: "ApiKeyCredentials",
        kind: "API_KEY",
        says: "A key that the person entered.",
        fields: &[Field::must("apiKey", "The key.")],
        others: "",
    },
    Form {
        schema: "BasicCredentials",
        kind: "BASIC",
        says: "A name and a password, of which one may be empty.",
        fields: &[
            Field::must("username", "The name."),
            Field::must("password", "The password."),
        ],
        others: "",
    },
    Form {
        schema: "TwoStepCredentials",
        kind: "TWO_STEP",
        says: "What the person entered, and the token that it bought.",
        fields: &[TOKEN, REFRESH_TOKEN, EXPIRES, RAW],
        others: "The template's fields as they were entered, and headers of the answer.",
    },
    Form {
        schema: "JwtCredentials",
        kind: "JWT",
        says: "What the person entered, and the token that is signed with it.",
        fields: &[TOKEN, EXPIRES],
        others: "The template's fields as they were entered.",
    },
    Form {
        schema: "AppCredentials",
        kind: "APP",
        says: "A token of an installed app.",
        fields: &[
            Field::must("access_token", "What calls carry."),
            EXPIRES,
            RAW,
        ],
        others: "",
    },
    Form {
        schema: "CustomCredentials",
        kind: "CUSTOM",
        says: "An installed app's token with those of the person who installed it.",
        fields: &[
            Field::must(
                "app",
                "The app's; null while somebody has yet to install it.",
            )
            .holding(Holds::Form("AppCredentials")),
            Field::must("user", "The person's; null if the connection was imported.")
                .holding(Holds::Form("OAuth2Credentials")),
            Field::must("raw", "Nothing: each of the two has its own.").holding(Holds::Object),
        ],
        others: "",
    },
    Form {
        schema: "TbaCredentials",
        kind: "TBA",
        says: "A token that signs calls, as the person entered it.",
        fields: &[
            Field::must("token_id", "Names the token."),
            Field::must("token_secret", "Signs calls, with the client's secret."),
            Field::must(
                "config_override",
                "The client that the token was given to; empty if that is the integration's.",
            )
            .holding(Holds::Client),
        ],
        others: "",
    },
    Form {
        schema: "BillCredentials",
        kind: "BILL",
        says: "A login, and the session that it opened.",
        fields: &[
            USERNAME,
            PASSWORD,
            Field::must("organization_id", "As it was entered."),
            Field::must("dev_key", "As it was entered; calls carry it."),
            Field::must("session_id", "What calls carry."),
            Field::may("user_id", "Who that is at the provider."),
            EXPIRES,
            RAW,
        ],
        others: "",
    },
    Form {
        schema: "SignatureCredentials",
        kind: "SIGNATURE",
        says: "A name and a password, and the token that is made of them.",
        fields: &[USERNAME, PASSWORD, TOKEN, EXPIRES],
        others: "",
    },
    Form {
        schema: "AwsSigV4Credentials",
        kind: "AWS_SIGV4",
        says: "The temporary keys of a role in AWS, which sign calls.",
        fields: &[
            Field::must("role_arn", "The role."),
            Field::must("region", "The region that calls are signed for."),
            Field::must("access_key_id", "Names the keys."),
            Field::must("secret_access_key", "Signs calls."),
            Field::may("session_token", "What calls carry besides."),
            EXPIRES,
        ],
        others: "",
    },
];

impl Form {
    fn schema(&self) -> Schema {
        let kind = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some([self.kind]));
        let mut object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(self.says))
            .property("type", kind)
            .required("type");
        for field in self.fields {
            object = object.property(field.name, field.schema());
            if field.is_required {
                object = object.required(field.name);
            }
        }
        let others = match self.others {
            "" => AdditionalProperties::FreeForm(false),
            says => AdditionalProperties::from(Schema::from(text(says))),
        };
        object.additional_properties(Some(others)).build().into()
    }
}

impl Field {
    fn schema(&self) -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(self.says));
        match self.holds {
            Holds::Text => text(self.says).into(),
            Holds::Time => {
                let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
                let time = ObjectBuilder::from(text(self.says));
                time.format(Some(format)).into()
            }
            Holds::Object => object.into(),
            Holds::Client => object
                .property("client_id", text("The client's id."))
                .property("client_secret", text("The client's secret."))
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
                .into(),
            Holds::Form(schema) => OneOfBuilder::new()
                .item(Ref::from_schema_name(schema))
                .item(Object::with_type(SchemaType::Type(Type::Null)))
                .description(Some(self.says))
                .into(),
        }
    }
}

fn text(says: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(says))
        .build()
}

impl PartialSchema for ConnectionCredentials {
    fn schema() -> RefOr<Schema> {
        let nothing = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(
                "Nothing: the provider asks for none, a webhook has yet to bring them, or the \
                 key may not read them.",
            ))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        let forms = FORMS.iter();
        let forms = forms.fold(OneOfBuilder::new(), |forms, form| {
            forms.item(Ref::from_schema_name(form.schema))
        });
        forms
            .item(nothing)
            .description(Some(
                "The credentials of a connection. `type` names the form: the provider's auth \
                 mode, `OAUTH2` for MCP servers, and `BASIC` for installed plugins.",
            ))
            .into()
    }
}

impl ToSchema for ConnectionCredentials {
    fn name() -> Cow<'static, str> {
        "ConnectionCredentials".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let forms = FORMS.iter();
        schemas.extend(forms.map(|form| (form.schema.to_owned(), form.schema().into())));
    }
}
