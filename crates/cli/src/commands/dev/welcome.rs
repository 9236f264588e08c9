//! What `dev` says once everything answers.

use super::DEMO_PORT;
use super::ready_file::Ready;

impl Ready {
    /// The way to a first success.
    pub(super) fn first_steps(&self) -> String {
        let Self {
            server_url,
            api_key,
            demo_url,
            ..
        } = self;
        let demo_config = match demo_url.ends_with(&format!(":{DEMO_PORT}")) {
            true => String::new(),
            false => format!(r#", "integration_config": {{"baseUrl": "{demo_url}"}}"#),
        };
        format!(
            r#"
Linkspan is running.

  Server         {server_url}
  API key        {api_key}
  Demo provider  {demo_url}   (log in with demo / demo)

First success, in another terminal:

1. Create an integration with the demo provider.

  curl -sS {server_url}/integrations -H 'Authorization: Bearer {api_key}' \
    -H 'Content-Type: application/json' -d '{{"unique_key": "demo", "provider": "demo",
    "credentials": {{"type": "OAUTH2", "client_id": "demo-client", "client_secret": "demo-secret"}}{demo_config}}}'

2. Connect an account: open the connect_link that this prints in a browser.
   The page shows the connection's id at the end.

  curl -sS {server_url}/connect/sessions -H 'Authorization: Bearer {api_key}' \
    -H 'Content-Type: application/json' -d '{{"end_user": {{"id": "user-1"}}}}'

3. Call the API through the proxy, with the connection's id.

  curl -sS '{server_url}/proxy/api/items?per_page=3' -H 'Authorization: Bearer {api_key}' \
    -H 'Provider-Config-Key: demo' -H 'Connection-Id: CONNECTION_ID'

4. Start the sync `items`, which saves all of them every 5 minutes.

  curl -sS {server_url}/sync/start -H 'Authorization: Bearer {api_key}' \
    -H 'Content-Type: application/json' -d '{{"syncs": ["items"],
    "provider_config_key": "demo", "connection_id": "CONNECTION_ID"}}'

5. Read what it has saved, in the order of its changes.

  curl -sS '{server_url}/records?model=Item&limit=3' -H 'Authorization: Bearer {api_key}' \
    -H 'Provider-Config-Key: demo' -H 'Connection-Id: CONNECTION_ID'

Ctrl-C stops everything; the next start goes on with the same data and keys."#
        )
    }
}
