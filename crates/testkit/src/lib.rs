//! A database per test and a running test app; used only from tests.
