//! A strict provider of INSTALL_PLUGIN.
