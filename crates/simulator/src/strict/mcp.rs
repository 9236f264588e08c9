//! A strict provider of MCP_OAUTH2 and MCP_OAUTH2_GENERIC.
