//! Requests on the socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokend_fuzz::socket::run(input));
