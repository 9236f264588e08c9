//! Provider templates: their schema, interpolation and checks; the built-in catalogue is a feature.
