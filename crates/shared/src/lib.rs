//! The core: configuration, vault, database, tenancy, integrations, connections, logs.
