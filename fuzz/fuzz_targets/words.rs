//! Durations, times, names and other single words.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokend_fuzz::words::run(input));
