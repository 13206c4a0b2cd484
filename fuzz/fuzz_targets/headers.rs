//! `Retry-After`, `Date` and the other headers that matter.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokend_fuzz::headers::run(input));
