//! Cron lines in time zones.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokend_fuzz::schedule::run(input));
