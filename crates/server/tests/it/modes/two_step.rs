//! TWO_STEP.
