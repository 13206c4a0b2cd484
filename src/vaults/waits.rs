//! How long a token of a login is used, when it is renewed, and when what failed is tried again.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::spread::share;

/// A token that has less to live than this, or than a tenth of its life, is not used any more.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// When a token that lives so long from now is not used any more.
pub(crate) fn end_of_use(lifetime: Duration) -> Instant {
    Instant::now() + lifetime.saturating_sub(MARGIN.min(lifetime / 10))
}

/// Two thirds of its life from now, and a little less: servers have many clients.
pub(crate) fn renewal_after(name: &str, lifetime: Duration) -> Instant {
    let moment = clock::now().as_millis().unsigned_abs();
    Instant::now() + lifetime.mul_f64(2.0 / 3.0 - share(name, moment) / 10.0)
}

/// 1 s, doubling to 60 s, each shortened by up to half (L11).
pub(crate) fn wait(name: &str, attempts: u32) -> Duration {
    whole_wait(attempts).mul_f64(1.0 - share(name, clock::now().as_millis().unsigned_abs()) / 2.0)
}

pub(crate) fn whole_wait(attempts: u32) -> Duration {
    (SECOND * 2_u32.pow(attempts.saturating_sub(1).min(6))).min(MINUTE)
}
