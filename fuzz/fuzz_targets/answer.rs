//! Answers of token endpoints.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokend_fuzz::answer::run(input));
