//! A strict provider of BILL.
