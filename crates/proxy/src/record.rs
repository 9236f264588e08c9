//! What is logged of a call.

use std::sync::Arc;

use http::StatusCode;
use linkspan_shared::logs::{Kind, Level, Operation};

use crate::call::{Call, Inner};
use crate::error::Error;

/// The log entry of a call. It is written once, when the call has ended in
/// whatever way: also when the caller goes, and with it the future or the body
/// that holds this.
pub(crate) struct Record {
    /// There until it is written.
    operation: Option<Operation>,
    proxy: Arc<Inner>,
    has_answer: bool,
}

impl Record {
    pub(crate) fn begin(proxy: Arc<Inner>, call: &Call<'_>) -> Self {
        let mut operation = Operation::begin(call.environment, Kind::Proxy, "call");
        operation.integration = Some(call.instructions.provider_config_key.clone());
        operation.connection_id = Some(call.instructions.connection_id.clone());
        Self {
            operation: Some(operation),
            proxy,
            has_answer: false,
        }
    }

    pub(crate) fn provider(&mut self, provider: &str) {
        if let Some(operation) = &mut self.operation {
            operation.provider = Some(provider.to_owned());
        }
    }

    pub(crate) fn status(&mut self, status: StatusCode) {
        if let Some(operation) = &mut self.operation {
            operation.http_status = i16::try_from(status.as_u16()).ok();
        }
    }

    pub(crate) fn say(&mut self, level: Level, text: String) {
        if let Some(operation) = &mut self.operation {
            operation.say(level, text);
        }
    }

    /// The answer's head is the caller's; its body is to come.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.has_answer = true;
        if let Some(operation) = &mut self.operation
            && (status.is_client_error() || status.is_server_error())
        {
            operation.fail(None, format!("the API answered {status}"));
        }
    }

    /// Nothing more is to come.
    pub(crate) fn end(mut self) {
        self.write();
    }

    pub(crate) fn failed(mut self, error: &Error) {
        self.broke_off(Some(error.code().as_str()), error.to_string());
    }

    pub(crate) fn broke_off(&mut self, code: Option<&'static str>, reason: String) {
        if let Some(operation) = &mut self.operation {
            operation.fail(code, reason);
        }
        self.write();
    }

    fn write(&mut self) {
        if let Some(operation) = self.operation.take() {
            self.proxy.core.logs.write(operation);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.operation.is_none() {
            return;
        }
        let when = if self.has_answer {
            "ended before the answer was complete: the caller left, or the server stopped"
        } else {
            "ended before the API answered: the caller left, or the server stopped"
        };
        self.broke_off(None, when.to_owned());
    }
}
