//! Rows of the state.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokend_fuzz::state::run(input));
