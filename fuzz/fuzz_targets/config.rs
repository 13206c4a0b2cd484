//! Configurations: files and environment.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokend_fuzz::config::run(input));
