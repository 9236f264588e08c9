//! The HTTP server: parse, authorise, call one service, answer.
