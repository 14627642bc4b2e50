//! Which broker coordinates a group, and asking it.
//!
//! Waits while the coordinator is being found or is still loading, and looks for it again when it has moved.

use rinka_net::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Field, Text};

use super::{Address, Attempt, Client, Deadline, explain, is_passing};
use crate::cli::failure::{Result, failed};
use crate::cli::output::printable;

impl Client {
    pub(crate) fn coordinator(&mut self, group: &str, deadline: Deadline) -> Result<Address> {
        if let Some(known) = self.coordinators.get(group) {
            return Ok(known.clone());
        }
        let found = self.find_coordinator(group, deadline)?;
        self.coordinators.insert(group.to_owned(), found.clone());
        Ok(found)
    }

    fn find_coordinator(&mut self, group: &str, deadline: Deadline) -> Result<Address> {
        let key = Text::from(group.to_owned());
        let request = FindCoordinatorRequest {
            key: key.clone(),
            key_type: 0,
            coordinator_keys: vec![key],
        };
        self.retrying(deadline, |client| {
            let any = client.any(deadline)?;
            let response: FindCoordinatorResponse =
                client.call(&any, ApiKey::FindCoordinator, &request, deadline)?;
            let (code, message, host, port) = match response.coordinators.into_iter().next() {
                Some(found) => (
                    found.error_code,
                    found.error_message,
                    found.host,
                    found.port,
                ),
                None => (
                    response.error_code,
                    response.error_message,
                    response.host,
                    response.port,
                ),
            };
            let reason = || {
                let text = explain(code, message.as_deref());
                format!("no coordinator for group {}: {text}", printable(group))
            };
            if is_passing(code) {
                return Ok(Attempt::Again(reason()));
            }
            if code.is_error() {
                return failed(reason());
            }
            match u16::try_from(port) {
                Ok(port) if port > 0 => Ok(Attempt::Done(Address {
                    host: host.to_string(),
                    port,
                })),
                _ => failed(format!("the coordinator is said to be at port {port}")),
            }
        })
    }

    /// Asks the coordinator of a group until the answer has no passing error.
    pub(crate) fn ask_coordinator<R: Field>(
        &mut self,
        group: &str,
        api: ApiKey,
        version_max: i16,
        request: &impl Field,
        error_of: impl Fn(&R) -> ErrorCode,
        deadline: Deadline,
    ) -> Result<R> {
        self.retrying(deadline, |client| {
            let address = client.coordinator(group, deadline)?;
            let response: Result<R> =
                client.call_at_most(&address, api, version_max, request, deadline);
            let moved = match &response {
                Ok(response) => is_passing(error_of(response)),
                Err(_) => true,
            };
            if moved {
                client.coordinators.remove(group);
            }
            let response = response?;
            let code = error_of(&response);
            if is_passing(code) {
                let text = explain(code, None);
                return Ok(Attempt::Again(format!(
                    "group {}: {text}",
                    printable(group)
                )));
            }
            Ok(Attempt::Done(response))
        })
    }
}
