//! A server's monitor, in a process of its own: what is counted is the process's.

mod counted;
mod documented;
mod ready;
mod scrape;
