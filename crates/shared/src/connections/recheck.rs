//! Credentials that nobody refreshes, such as API keys, are asked after once a
//! day where the template says how (CONTRACT 2.8): an account owner who takes a
//! key back tells nobody.

use linkspan_api::ErrorCode;
use linkspan_providers::Config;

use super::refresh::state;
use super::verify::Unverified;
use super::{Live, begin, verify};
use crate::logs::{Kind, Level, Operation};
use crate::{Core, Error};

/// Asks the provider whether the credentials still work, and notes at the
/// connection when they stop to, and when they do again. Answers whether there
/// was nothing to complain of.
///
/// # Errors
/// When the template cannot be filled in, or the database fails.
pub(super) async fn run(core: &Core, live: &Live) -> Result<bool, Error> {
    let (integration, connection) = (&live.integration, &live.connection);
    let config = Config {
        template: &live.template,
        connection: &connection.connection_config,
        integration: &integration.config,
    };
    let client = begin::client_of(integration, config.template, &connection.credentials);
    let client = client.ok().flatten();
    let asked = verify::ask(core, &config, client.as_ref(), &connection.credentials).await;
    let failing_since = connection.last_refresh_failure_at;
    let mut operation = Operation::begin(integration.environment_id, Kind::Auth, "verify").about(
        &integration.unique_key,
        &integration.provider,
        &connection.connection_id,
    );
    match asked {
        Ok(()) => {
            if let Some(at) = failing_since {
                let mut conn = core.db.conn().await?;
                state::clear_failure(&mut conn, connection, operation.id).await?;
                let text = format!("The credentials work again; they did not at {at}");
                operation.say(Level::Info, text);
                core.logs.write(operation);
            }
            Ok(true)
        }
        // A provider that is down, or overwhelmed, says nothing of the key.
        Err(Unverified::Refused(status @ (401 | 403))) => {
            let text = format!("The provider no longer takes the credentials: status {status}");
            operation.fail(Some(ErrorCode::ConnectionTestFailed.as_str()), text);
            let mut conn = core.db.conn().await?;
            state::note_failure(&mut conn, connection, operation.id, false).await?;
            core.logs.write(operation);
            Ok(false)
        }
        Err(unverified) => Err(unverified.into()),
    }
}
