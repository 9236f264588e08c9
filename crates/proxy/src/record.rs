//! What is logged of a call.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use linkspan_shared::logs::{Kind, Level, Operation};

use crate::call::{Call, Inner};
use crate::error::Error;
use crate::meter::{CallMeter, Outcome};

/// The log entry of a call. It is written once, when the call has ended in
/// whatever way: also when the caller goes, and with it the future or the body
/// that holds this.
pub(crate) struct Record {
    /// There until it is written.
    operation: Option<Operation>,
    proxy: Arc<Inner>,
    has_answer: bool,
    meter: Option<Arc<CallMeter>>,
    /// How it ends if the answer comes to its end.
    answer: Outcome,
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
            meter: None,
            answer: Outcome::Success,
        }
    }

    pub(crate) fn provider(&mut self, provider: &str) {
        self.meter = Some(self.proxy.gates.meter(Some(provider)));
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

    /// Another try is going to be made.
    pub(crate) fn retried(&self) {
        if let Some(meter) = &self.meter {
            meter.retried();
        }
    }

    /// A try has taken so long.
    pub(crate) fn upstream(&self, took: Duration) {
        if let Some(meter) = &self.meter {
            meter.upstream(took);
        }
    }

    /// The answer's head is the caller's; its body is to come.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.has_answer = true;
        self.answer = match status.as_u16() {
            400..=499 => Outcome::ClientError,
            500.. => Outcome::ServerError,
            _ => Outcome::Success,
        };
        if let Some(operation) = &mut self.operation
            && (status.is_client_error() || status.is_server_error())
        {
            operation.fail(None, format!("the API answered {status}"));
        }
    }

    /// Nothing more is to come.
    pub(crate) fn end(mut self) {
        self.write(self.answer);
    }

    pub(crate) fn failed(mut self, error: &Error) {
        let outcome = match error {
            Error::Net(_) => Outcome::Unanswered,
            Error::Saturated { .. } => Outcome::Saturated,
            _ => Outcome::Refused,
        };
        self.broke_off(outcome, Some(error.code().as_str()), error.to_string());
    }

    pub(crate) fn broke_off(
        &mut self,
        outcome: Outcome,
        code: Option<&'static str>,
        reason: String,
    ) {
        if let Some(operation) = &mut self.operation {
            operation.fail(code, reason);
        }
        self.write(outcome);
    }

    fn write(&mut self, outcome: Outcome) {
        if self.operation.is_some() {
            match &self.meter {
                Some(meter) => meter.ended(outcome),
                None => self.proxy.gates.meter(None).ended(outcome),
            }
        }
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
        self.broke_off(Outcome::Abandoned, None, when.to_owned());
    }
}
