//! What the worker promises.
