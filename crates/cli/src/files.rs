//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files as far as the system lets this process: each
/// connection is a file, and the usual soft limit of 1,024 is there for
/// programs that cannot handle more.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(
            %error,
            limit = limit.current,
            "the limit of open files could not be raised, and fewer callers find a connection"
        );
    }
}
