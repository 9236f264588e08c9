//! Records as they come from APIs: JSON of some 500 bytes, no two alike.

use std::fmt::Write;

const LENGTH: usize = 500;
const WORDS: [&str; 16] = [
    "order", "invoice", "ticket", "customer", "urgent", "meeting", "follow", "call", "contract",
    "renewal", "quarter", "pipeline", "lead", "support", "account", "payment",
];

/// The record of a number, in the version of a round.
pub(crate) fn record(number: usize, version: usize) -> String {
    let mut seed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ version as u64;
    let mut text = String::with_capacity(LENGTH + 16);
    let _ = write!(
        text,
        "{{\"id\":\"{number:012x}\",\"version\":{version},\"name\":\"Person {seed:x}\",\
         \"email\":\"{:x}@example.com\",\"created_at\":\"2026-11-{:02}T12:{:02}:00Z\",\
         \"active\":true,\"amount\":{},\"tags\":[\"a{}\",\"b{}\"],\
         \"address\":{{\"street\":\"{} Main Street\",\"zip\":\"{:05}\"}},\"text\":\"",
        seed >> 24,
        number % 28 + 1,
        number % 60,
        number * 7,
        number % 10,
        number % 17,
        number % 999,
        number % 99_999,
    );
    while text.len() < LENGTH - 2 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(WORDS[(seed >> 60) as usize]);
        text.push(' ');
    }
    text.truncate(LENGTH - 2);
    text.push_str("\"}");
    text
}
