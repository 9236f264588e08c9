//! The hand of a test on a running simulator.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::faults::Fault;
use crate::grants::Grants;
use crate::journal::{Refusal, SeenRequest};
use crate::rotation::{Fate, Minted, Rotation};
use crate::state::State;

/// Looks into a running simulator and makes it misbehave. Clones share it, and
/// it outlives the server, so that what happened can be read after a stop.
#[derive(Clone)]
pub struct Control {
    state: Arc<State>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("base_url", &self.state.base_url.as_str())
            .finish_non_exhaustive()
    }
}

impl Control {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// All requests so far, in order of arrival; of a long run the last 2,000
    /// (fewer when their bodies pass 64 MiB).
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state.journal().requests()
    }

    /// All requests that broke the rules so far. A person's own doing (a wrong
    /// password, a denied consent, a wrong API key) is not among them, nor is a
    /// token that this provider issued and that expired or was revoked by
    /// [`Control`]: those are answers that a caller must cope with.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.state.journal().refusals()
    }

    /// The refusals so far, which are then forgotten: for tests that provoke one.
    pub fn take_refusals(&self) -> Vec<Refusal> {
        self.state.journal().take_refusals()
    }

    /// How many POST requests reached the token endpoint, however they ended.
    pub fn token_requests(&self) -> usize {
        self.state.journal().token_requests
    }

    /// How many refresh tokens were exchanged for new tokens.
    pub fn refreshes(&self) -> usize {
        self.state.journal().refreshes
    }

    /// Makes all access tokens issued so far answer 401. Refresh tokens stay good.
    pub fn revoke_access_tokens(&self) {
        self.state.change_grants(Grants::revoke_access_tokens);
    }

    /// Makes all refresh tokens issued so far answer `invalid_grant`, as when
    /// the person withdraws the application's access. Access tokens stay good.
    pub fn revoke_refresh_tokens(&self) {
        self.state.change_grants(Grants::revoke_refresh_tokens);
    }

    /// Sets what becomes of refresh tokens that are exchanged from now on.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.state
            .change_grants(|grants| grants.set_rotation(rotation));
    }

    /// Sets the life of the access tokens issued from now on.
    pub fn set_access_token_life(&self, life: Duration) {
        self.state
            .change_grants(|grants| grants.set_access_token_life(life));
    }

    /// A new grant, as if a person had authorised the client.
    pub fn mint(&self) -> Minted {
        let now = self.state.now();
        self.state.change_grants(|grants| grants.mint(now))
    }

    /// The refresh token that is good now, of the grant that another one,
    /// perhaps spent by now, belongs to; none when the grant has ended.
    pub fn live_refresh_token(&self, of: &str) -> Option<String> {
        self.state.grants().live_of_grant(of)
    }

    /// What became of the grant that a refresh token, perhaps spent by now, belongs
    /// to.
    pub fn fate(&self, of: &str) -> Fate {
        self.state.grants().fate(of)
    }

    /// Puts the provider's clock forward, so that codes, sign-ins and access
    /// tokens expire without anybody waiting.
    pub fn advance_clock(&self, by: Duration) {
        self.state.advance(by);
    }

    /// Queues a fault for the next request that it fits. Several wait in line:
    /// one request meets one of them.
    pub fn fail_next(&self, fault: Fault) {
        self.state.faults().push(fault);
    }

    /// How many queued faults have not met their request yet.
    pub fn pending_faults(&self) -> usize {
        self.state.faults().len()
    }

    /// Waits until `condition` holds, looking again after each request that
    /// arrives and each that is refused. It sets no limit: wrap it in a timeout.
    pub async fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.state.changed.subscribe();
        while !condition(self) {
            // The sender lives in the state that `self` holds, so this cannot fail.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
