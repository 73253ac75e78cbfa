//! Stats for people: one row a service and resource, over all buckets and whatever else tells groups apart.

use super::bucket::Group;
use super::key::Text;
use super::sketch::Sketch;
use crate::trace::sort::heap_sort;
use hashbrown::HashMap;
use serde::Serialize;

/// What is known of one resource of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The service.
    pub service: String,
    /// The resource.
    pub resource: String,
    /// Spans.
    pub hits: u64,
    /// Spans with an error.
    pub errors: u64,
    /// Half of the spans took no longer, in ns.
    pub p50: u64,
    /// Of 20 spans 19 took no longer, in ns.
    pub p95: u64,
    /// Of 100 spans 99 took no longer, in ns.
    pub p99: u64,
}

/// By service and resource: errors, and all durations.
type Sums<'g> = HashMap<(&'g [u8], &'g [u8]), (u64, Sketch), foldhash::fast::RandomState>;

/// The rows of these groups, the one with most hits first.
pub(crate) fn rows<'g>(groups: impl Iterator<Item = &'g Group>) -> Vec<Row> {
    let mut sums = Sums::default();
    for group in groups {
        let key = group.key();
        let sum = sums.entry((key.text(Text::Service), key.text(Text::Resource))).or_default();
        sum.0 += group.error_hits();
        sum.1.merge(&group.ok.sketch);
        if let Some(errors) = &group.errors {
            sum.1.merge(&errors.sketch);
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut rows: Vec<Row> = sums
        .into_iter()
        .map(|((service, resource), (errors, sketch))| {
            let quantile = |q| sketch.quantile(q).round() as u64;
            Row {
                service: text(service),
                resource: text(resource),
                hits: sketch.count(),
                errors,
                p50: quantile(0.5),
                p95: quantile(0.95),
                p99: quantile(0.99),
            }
        })
        .collect();
    heap_sort(&mut rows, |a, b| {
        b.hits.cmp(&a.hits).then_with(|| (&a.service, &a.resource).cmp(&(&b.service, &b.resource))).is_lt()
    });
    rows
}
