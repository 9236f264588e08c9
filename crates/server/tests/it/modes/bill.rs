//! BILL.
