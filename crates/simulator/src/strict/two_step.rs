//! A strict provider of TWO_STEP.
