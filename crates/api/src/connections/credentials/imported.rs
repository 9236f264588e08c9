//! How credentials that are imported are described: one form for each `type`
//! (CONTRACT 2.6, `POST /connections`). `linkspan_auth::import` reads them; a test
//! of the server holds that both take the same.

use std::borrow::Cow;

use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::{KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::text;

/// The credentials of a connection that is imported. `type` names the form.
pub(crate) struct ImportedCredentials;

/// The credentials of one type.
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

struct Field(&'static str, Holds, &'static str);

/// What a field holds, and whether it may be absent.
#[derive(Clone, Copy)]
enum Holds {
    /// A text that is not empty.
    Must,
    /// A text, empty or not.
    MustOrEmpty,
    /// A text, or null as if it were absent.
    May,
    /// A time, likewise.
    MayTime,
    /// The client that a token was given to; null or empty for the integration's.
    MayClient,
    /// A text, or both parts of one.
    MayKey,
    /// Texts by their names.
    MayTexts,
}

const fn must(name: &'static str, says: &'static str) -> Field {
    Field(name, Holds::Must, says)
}

const fn may(name: &'static str, says: &'static str) -> Field {
    Field(name, Holds::May, says)
}

const EXPIRES: Field = Field(
    "expires_at",
    Holds::MayTime,
    "When the token stops working, if that is known (RFC 3339).",
);
const REFRESH_TOKEN: Field = may("refresh_token", "Buys the next token.");
const CLIENT: Field = Field(
    "config_override",
    Holds::MayClient,
    "The client that the token was given to, if that is not the integration's.",
);
const INSTALLATION: &[Field] = &[
    must("installation_id", "The installation; its token is bought."),
    may("app_id", "The app; it must be the integration's."),
];

const FORMS: &[Form] = &[
    Form {
        schema: "ImportedOAuth1",
        kind: "OAUTH1",
        says: "A token of an OAuth 1.0a provider.",
        fields: &[
            must("oauth_token", "Names the token."),
            must(
                "oauth_token_secret",
                "Signs calls, with the client's secret.",
            ),
            CLIENT,
        ],
        others: "",
    },
    Form {
        schema: "ImportedOAuth2",
        kind: "OAUTH2",
        says: "Tokens of an OAuth 2.0 provider or an MCP server.",
        fields: &[
            must("access_token", "What calls carry."),
            REFRESH_TOKEN,
            EXPIRES,
            CLIENT,
        ],
        others: "",
    },
    Form {
        schema: "ImportedOAuth2Client",
        kind: "OAUTH2_CC",
        says: "A client, and its token if there is one; else one is bought.",
        fields: &[
            may(
                "client_id",
                "The client's id, unless the integration has one.",
            ),
            may("client_secret", "The client's secret."),
            may("client_certificate", "The client's certificate, PEM."),
            may(
                "client_private_key",
                "The client's private key, PEM or a JSON Web Key.",
            ),
            may("token", "What calls carry."),
            EXPIRES,
        ],
        others: "",
    },
    Form {
        schema: "ImportedApiKey",
        kind: "API_KEY",
        says: "A key.",
        fields: &[must("apiKey", "The key.")],
        others: "",
    },
    Form {
        schema: "ImportedBasic",
        kind: "BASIC",
        says: "A name and a password, for installed plugins too. The template says which of \
               the two may be empty.",
        fields: &[
            Field("username", Holds::MustOrEmpty, "The name."),
            Field("password", Holds::MustOrEmpty, "The password."),
        ],
        others: "",
    },
    Form {
        schema: "ImportedTwoStep",
        kind: "TWO_STEP",
        says: "What a person would enter, and the token that it bought if there is one; else \
               one is bought.",
        fields: &[
            may("token", "What calls carry."),
            REFRESH_TOKEN,
            EXPIRES,
            Field(
                "assertionOption",
                Holds::MayTexts,
                "What is used once to log in, such as a user to act for.",
            ),
        ],
        others: "The template's fields.",
    },
    Form {
        schema: "ImportedJwt",
        kind: "JWT",
        says: "What a person would enter; a token is signed with it.",
        fields: &[Field(
            "privateKey",
            Holds::MayKey,
            "The key, where the template asks for one by this name.",
        )],
        others: "The template's fields.",
    },
    Form {
        schema: "ImportedApp",
        kind: "APP",
        says: "An installation of an app.",
        fields: INSTALLATION,
        others: "",
    },
    Form {
        schema: "ImportedCustom",
        kind: "CUSTOM",
        says: "An installation of an app, without a person's tokens.",
        fields: INSTALLATION,
        others: "",
    },
    Form {
        schema: "ImportedTba",
        kind: "TBA",
        says: "A token that signs calls.",
        fields: &[
            must("token_id", "Names the token."),
            must("token_secret", "Signs calls, with the client's secret."),
            CLIENT,
        ],
        others: "",
    },
    Form {
        schema: "ImportedBill",
        kind: "BILL",
        says: "A login; it opens a session.",
        fields: &[
            must("username", "The user's name."),
            must("password", "The password."),
            must("organization_id", "The organisation."),
            must("dev_key", "The developer's key, which calls carry."),
        ],
        others: "",
    },
    Form {
        schema: "ImportedSignature",
        kind: "SIGNATURE",
        says: "A name and a password, of which tokens are made.",
        fields: &[
            must("username", "The name."),
            must("password", "The password."),
        ],
        others: "",
    },
    Form {
        schema: "ImportedAwsSigV4",
        kind: "AWS_SIGV4",
        says: "A role in AWS; its temporary keys are bought. The connection's configuration \
               has the `external_id` that the role trusts.",
        fields: &[
            must("role_arn", "The role."),
            may(
                "region",
                "The region that calls are signed for, if not the integration's.",
            ),
        ],
        others: "",
    },
    Form {
        schema: "ImportedNone",
        kind: "NONE",
        says: "Nothing: the provider asks for none.",
        fields: &[],
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
        for Field(name, holds, says) in self.fields {
            object = object.property(*name, holds.schema(says));
            if matches!(holds, Holds::Must | Holds::MustOrEmpty) {
                object = object.required(*name);
            }
        }
        let others = match self.others {
            "" => AdditionalProperties::FreeForm(false),
            says => AdditionalProperties::from(Schema::from(text(says))),
        };
        object.additional_properties(Some(others)).build().into()
    }
}

impl Holds {
    fn schema(self, says: &'static str) -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(says));
        let filled = ObjectBuilder::from(text(says)).min_length(Some(1));
        match self {
            Self::Must => filled.into(),
            Self::MustOrEmpty => text(says).into(),
            Self::May => nullable(says).into(),
            Self::MayTime => {
                let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
                nullable(says).format(Some(format)).into()
            }
            Self::MayClient => object
                .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
                .property("client_id", nullable("The client's id."))
                .property("client_secret", nullable("The client's secret."))
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
                .into(),
            Self::MayKey => {
                let parts = ObjectBuilder::new()
                    .schema_type(Type::Object)
                    .description(Some("A key of two parts."))
                    .property("id", text("Names the key."))
                    .property("secret", text("Signs."))
                    .required("id")
                    .required("secret")
                    .additional_properties(Some(AdditionalProperties::FreeForm(false)));
                let whole = text("The whole key.");
                let either = OneOfBuilder::new().item(whole).item(parts);
                either.description(Some(says)).into()
            }
            Self::MayTexts => {
                let each = AdditionalProperties::from(Schema::from(text("One of them.")));
                object.additional_properties(Some(each)).into()
            }
        }
    }
}

fn nullable(says: &'static str) -> ObjectBuilder {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::from(text(says)).schema_type(types)
}

impl PartialSchema for ImportedCredentials {
    fn schema() -> RefOr<Schema> {
        let forms = FORMS.iter();
        let forms = forms.fold(OneOfBuilder::new(), |forms, form| {
            forms.item(Ref::from_schema_name(form.schema))
        });
        forms
            .description(Some(
                "The credentials. `type` names the form: the provider's auth mode, `OAUTH2` \
                 for MCP servers, and `BASIC` for installed plugins.",
            ))
            .into()
    }
}

impl ToSchema for ImportedCredentials {
    fn name() -> Cow<'static, str> {
        "ImportedCredentials".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let forms = FORMS.iter();
        schemas.extend(forms.map(|form| (form.schema.to_owned(), form.schema().into())));
    }
}
