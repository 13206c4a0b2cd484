//! One scrape as text: every metric with its name, help, type and unit, in one place.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::counts::{Delivery, Issue, Read, Tally};
use crate::metrics::format::{Format, as_text};
use crate::metrics::process::Process;
use crate::reloading::ReloadTally;
use crate::settings::{SinkSettings, TokenSettings};
use crate::status::readings::{Readings, SlotReading, TokenReading};
use crate::time::Timestamp;

/// About how many bytes a token makes.
const BYTES_A_TOKEN: usize = 1500;

/// All that one scrape says.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) readings: Readings,
    pub(crate) tally: Tally,
    pub(crate) reloads: ReloadTally,
    pub(crate) last_reload_successful: bool,
    pub(crate) started: Timestamp,
}

/// A name, what it means, and its unit if it has one, with which the name as it is told ends.
type Metric = (&'static str, &'static str, Option<Unit>);

const TOKEN_EXPIRY: Metric = (
    "tokend_token_expiry_timestamp",
    "When the access token of the token expires, or expired; absent while there never was one.",
    Some(Unit::Seconds),
);
const TOKEN_RENEWAL: Metric = (
    "tokend_token_renewal_timestamp",
    "When the renewal of the access token held is due; long past is overdue.",
    Some(Unit::Seconds),
);
const TOKEN_VALID: Metric = ("tokend_token_valid", "Whether readers of the token have a valid access token.", None);
const TOKEN_GENERATION: Metric =
    ("tokend_token_generation", "One higher with every newly issued access token; 0 before the first.", None);
const SINK_CURRENT: Metric = ("tokend_sink_current", "Whether the sink holds the newest access token.", None);
const ISSUES: Metric = ("tokend_issues", "Requests to the provider of the slot, by what came of them.", None);
const DELIVERIES: Metric = ("tokend_deliveries", "Deliveries to the sink, by what came of them.", None);
const ISSUE_DURATION: Metric =
    ("tokend_issue_duration", "How long requests to the provider took, whatever came of them.", Some(Unit::Seconds));
const NEXT_REFRESH: Metric = (
    "tokend_next_refresh_timestamp",
    "When the provider is asked next, budget, retries and patience reckoned in; absent while it is not to be asked.",
    Some(Unit::Seconds),
);
const FAILURES: Metric = ("tokend_slot_consecutive_failures", "Failed requests in a row; 0 when it is well.", None);
const BUDGET_ISSUED: Metric =
    ("tokend_slot_budget_issued", "Access tokens issued within the time of the slot's budget.", None);
const BUDGET_LIMIT: Metric =
    ("tokend_slot_budget_limit", "How many access tokens the slot's budget allows within its time.", None);
const READS: Metric = ("tokend_reads", "Reads of a token over the socket, by what was answered.", None);
const RELOADS: Metric = ("tokend_config_reloads", "Reloads of the configuration, by what came of them.", None);
const RELOAD_SUCCESSFUL: Metric = (
    "tokend_config_last_reload_successful",
    "Whether what the files of the configuration say was taken; 0 while they hold problems.",
    None,
);
const STATE_WRITABLE: Metric =
    ("tokend_state_writable", "Whether the state can be written; 0 while access tokens are kept in memory.", None);
const BUILD: Metric = ("tokend_build", "The version that runs.", None);
const START: Metric = ("process_start_time", "When the daemon started.", Some(Unit::Seconds));
const CPU: Metric = ("process_cpu_seconds", "Time of processors spent, in seconds.", None);
const RESIDENT: Metric = ("process_resident_memory", "Resident memory.", Some(Unit::Bytes));
const OPEN_FILES: Metric = ("process_open_fds", "Open file descriptors.", None);
const MOST_FILES: Metric = ("process_max_fds", "The most file descriptors that may be open.", None);

impl Exposition {
    /// The text in `format`.
    pub(crate) fn text(self, format: Format) -> String {
        let mut registry = Registry::default();
        let mut text = String::with_capacity((self.readings.slots.len() + 10) * BYTES_A_TOKEN);
        registry.register_collector(Box::new(self));
        // Writing to a `String` does not fail.
        let _ = encode(&mut text, &registry);
        match format {
            Format::OpenMetrics => text,
            Format::Text => as_text(&text),
        }
    }

    fn tokens(&self) -> impl Iterator<Item = (&SlotReading, &TokenSettings, &TokenReading)> {
        self.readings.slots.iter().flat_map(|slot| {
            slot.slot.tokens.iter().zip(&slot.tokens).map(move |(token, reading)| (slot, token, reading))
        })
    }

    fn sinks(&self) -> impl Iterator<Item = (&TokenSettings, &SinkSettings, bool)> {
        self.tokens().flat_map(|(_, token, reading)| {
            token.sinks.iter().zip(&reading.current).map(move |(sink, current)| (token, sink, *current))
        })
    }

    fn encode_tokens(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let held = || self.tokens().filter(|(_, _, reading)| reading.served);
        let held = || held().filter_map(|(slot, token, _)| Some((labels_of(token), slot.held?)));
        page.gauges(&TOKEN_EXPIRY, held().map(|(labels, held)| (labels, seconds(held.expires_at))))?;
        page.gauges(&TOKEN_RENEWAL, held().map(|(labels, held)| (labels, seconds(held.renewal_at))))?;
        let all = || self.tokens().map(|(slot, token, reading)| (labels_of(token), slot, reading));
        page.gauges(&TOKEN_VALID, all().map(|(labels, _, reading)| (labels, i64::from(reading.valid))))?;
        page.gauges(&TOKEN_GENERATION, all().map(|(labels, slot, _)| (labels, slot.generation.0)))?;
        page.gauges(
            &SINK_CURRENT,
            self.sinks().map(|(token, sink, current)| {
                ([("token", token.name.as_str()), ("sink", sink.id.as_str())], i64::from(current))
            }),
        )
    }

    fn encode_slots(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let slots = || self.readings.slots.iter().map(|slot| ([("slot", slot.slot.id.as_str())], slot));
        let next = slots().filter_map(|(labels, slot)| Some((labels, seconds(slot.next_refresh?))));
        page.gauges(&NEXT_REFRESH, next)?;
        page.gauges(&FAILURES, slots().map(|(labels, slot)| (labels, slot.failures)))?;
        let budgets = || slots().filter_map(|(labels, slot)| Some((labels, slot.budget?)));
        page.gauges(&BUDGET_ISSUED, budgets().map(|(labels, budget)| (labels, budget.issued)))?;
        page.gauges(&BUDGET_LIMIT, budgets().map(|(labels, budget)| (labels, budget.issues)))
    }

    fn encode_counts(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let issuing = self.readings.slots.iter().filter(|slot| slot.slot.follows().is_none());
        let issues = issuing.flat_map(|slot| {
            let counts = self.tally.issues.get(&slot.slot.id).copied().unwrap_or_default();
            let id = slot.slot.id.as_str();
            Issue::ALL.map(|(result, word)| ([("slot", id), ("result", word)], counts[result as usize]))
        });
        page.counters(&ISSUES, issues)?;
        let deliveries = self.sinks().flat_map(|(_, sink, _)| {
            let counts = self.tally.deliveries.get(&sink.id).copied().unwrap_or_default();
            let id = sink.id.as_str();
            Delivery::ALL.map(|(result, word)| ([("sink", id), ("result", word)], counts[result as usize]))
        });
        page.counters(&DELIVERIES, deliveries)?;
        let reads = Read::ALL.map(|(result, word)| ([("result", word)], self.tally.reads[result as usize]));
        page.counters(&READS, reads)?;
        let ReloadTally { taken, unchanged, refused } = self.reloads;
        let reloads = [("taken", taken), ("unchanged", unchanged), ("refused", refused)];
        page.counters(&RELOADS, reads_of(reloads))?;
        let mut family = page.family(&ISSUE_DURATION, MetricType::Histogram)?;
        for (provider, histogram) in &self.tally.durations {
            histogram.encode(family.encode_family(&[("provider", provider.as_str())])?)?;
        }
        Ok(())
    }

    fn encode_daemon(&self, page: &mut Page<'_>) -> Result<(), Error> {
        page.gauge(&RELOAD_SUCCESSFUL, Some(i64::from(self.last_reload_successful)))?;
        page.gauge(&STATE_WRITABLE, Some(i64::from(self.readings.state_writable)))?;
        page.family(&BUILD, MetricType::Info)?.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let process = Process::look();
        page.gauge(&START, Some(seconds(self.started)))?;
        page.gauge(&RESIDENT, process.resident_bytes)?;
        page.gauge(&OPEN_FILES, process.open_files)?;
        page.gauge(&MOST_FILES, process.most_files)?;
        let Some(cpu) = process.cpu_seconds else { return Ok(()) };
        page.family(&CPU, MetricType::Counter)?.encode_counter::<NoLabelSet, _, f64>(&cpu, None)
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(encoder);
        self.encode_tokens(&mut page)?;
        self.encode_slots(&mut page)?;
        self.encode_counts(&mut page)?;
        self.encode_daemon(&mut page)
    }
}

/// Where it is written.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn family<'s>(
        &'s mut self,
        (name, help, unit): &'s Metric,
        kind: MetricType,
    ) -> Result<prometheus_client::encoding::MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, unit.as_ref(), kind)
    }

    fn gauge(&mut self, metric: &Metric, value: Option<impl EncodeGaugeValue>) -> Result<(), Error> {
        let Some(value) = value else { return Ok(()) };
        self.family(metric, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> Result<(), Error> {
        let mut family = self.family(metric, MetricType::Gauge)?;
        samples.into_iter().try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) -> Result<(), Error> {
        let mut family = self.family(metric, MetricType::Counter)?;
        samples.into_iter().try_for_each(|(labels, value)| {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }
}

fn labels_of(token: &TokenSettings) -> [(&'static str, &str); 1] {
    [("token", token.name.as_str())]
}

fn reads_of<const N: usize>(counts: [(&'static str, u64); N]) -> [([(&'static str, &'static str); 1], u64); N] {
    counts.map(|(word, count)| ([("result", word)], count))
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of thousands of years fit exactly")]
fn seconds(moment: Timestamp) -> f64 {
    moment.as_millis() as f64 / 1000.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
