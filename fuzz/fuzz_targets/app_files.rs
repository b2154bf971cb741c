#![no_main]

#[path = "../targets/app.rs"]
#[allow(dead_code, reason = "another target calls it")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::app_files(bytes));
