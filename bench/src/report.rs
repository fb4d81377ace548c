//! The report: medians, ratios, goals.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::contender::Contender;
use crate::figure::{Figure, median};
use crate::measure::{Found, Plan};

/// All samples of a run.
#[derive(Default)]
pub struct Report {
    samples: BTreeMap<(Figure, Contender), Vec<f64>>,
}

/// A goal for the ratio of two figures: a description, the figures, and the limit.
struct Goal {
    text: &'static str,
    ours: (Figure, Contender),
    theirs: (Figure, Contender),
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

const fn goal(text: &'static str, ours: (Figure, Contender), theirs: (Figure, Contender), limit: Limit) -> Goal {
    Goal { text, ours, theirs, limit }
}

const GOALS: [Goal; 8] = {
    use Contender::{Drf, Host, Rustus, Store, TusServer};
    use Figure::{
        BesideHugeCompletion, Completion, HugeCompletion, LastChunk, SmallCompletion, SmallFiles, TenthChunk, Upload,
    };
    [
        goal("upload: time against drf-chunked-upload", (Upload, Host), (Upload, Drf), Limit::AtMost(0.35)),
        goal("upload: time against rustus", (Upload, Host), (Upload, Rustus), Limit::AtMost(0.8)),
        goal("upload: time against @tus/server", (Upload, Host), (Upload, TusServer), Limit::AtMost(1.0)),
        goal("upload: throughput against the store's limit", (Upload, Store), (Upload, Host), Limit::AtLeast(0.8)),
        goal("completion: large against 1 MiB", (Completion, Host), (SmallCompletion, Host), Limit::AtMost(1.2)),
        goal(
            "completion: huge against 1 MiB",
            (HugeCompletion, Host),
            (BesideHugeCompletion, Host),
            Limit::AtMost(1.2),
        ),
        goal("chunk: the last against the 10th", (LastChunk, Host), (TenthChunk, Host), Limit::AtMost(1.1)),
        goal(
            "small files: rate against drf-chunked-upload",
            (SmallFiles, Host),
            (SmallFiles, Drf),
            Limit::AtLeast(5.0),
        ),
    ]
};

/// Goals for single figures: the largest value that the figure may have.
const CEILINGS: [(&str, Figure, f64); 2] = [
    ("wasm memory for each request in flight, MiB", Figure::AtOnceWasmMemory, 6.0),
    ("round trips to the store for a chunk", Figure::RoundTrips, 5.0),
];

impl Report {
    /// Adds the figures of a measurement.
    pub fn add(&mut self, contender: Contender, found: Found) {
        for (figure, value) in found {
            self.samples.entry((figure, contender)).or_default().push(value);
        }
    }

    fn median(&self, figure: Figure, contender: Contender) -> Option<f64> {
        self.samples.get(&(figure, contender)).map(|samples| median(samples.clone()))
    }

    /// The table in Markdown. A cell has the figure's median and, in parentheses, this project's median divided by it.
    pub fn table(&self, contenders: &[Contender], plan: &Plan) -> String {
        let mut lines = vec![
            format!("| |{}", contenders.iter().map(|one| format!(" {} |", one.name())).collect::<String>()),
            format!("| --- |{}", " ---: |".repeat(contenders.len())),
        ];
        for figure in Figure::ALL {
            let cells: Vec<_> = contenders.iter().map(|one| self.cell(figure, *one)).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                lines.push(format!("| {} | {} |", plan.fill(figure.label()), cells.join(" | ")));
            }
        }
        lines.join("\n")
    }

    fn cell(&self, figure: Figure, contender: Contender) -> String {
        let Some(value) = self.median(figure, contender) else { return String::new() };
        let ratio = self.median(figure, Contender::Host).filter(|_| contender != Contender::Host);
        ratio.map_or_else(|| number(value), |here| format!("{} ({:.2})", number(value), here / value))
    }

    /// Each goal whose figures were measured, and whether it is met.
    pub fn goals(&self) -> Vec<(String, bool)> {
        let ratios = GOALS.iter().filter_map(|goal| {
            let ratio = self.median(goal.ours.0, goal.ours.1)? / self.median(goal.theirs.0, goal.theirs.1)?;
            let (is_met, words) = match goal.limit {
                Limit::AtMost(limit) => (ratio <= limit, format!("at most {limit}")),
                Limit::AtLeast(limit) => (ratio >= limit, format!("at least {limit}")),
            };
            Some((format!("{}: {ratio:.2} ({words})", goal.text), is_met))
        });
        let ceilings = CEILINGS.iter().filter_map(|(text, figure, limit)| {
            let value = self.median(*figure, Contender::Host)?;
            Some((format!("{text}: {value:.2} (at most {limit})"), value <= *limit))
        });
        ratios.chain(ceilings).collect()
    }

    /// All samples as JSON, for other programs.
    pub fn to_json(&self, plan: &Plan) -> Value {
        let mut figures = Map::new();
        for ((figure, contender), samples) in &self.samples {
            let entry = figures.entry(figure.name()).or_insert_with(|| json!({}));
            entry[contender.name()] = json!({"median": median(samples.clone()), "samples": samples});
        }
        let goals: Vec<_> = self.goals().into_iter().map(|(goal, met)| json!({"goal": goal, "met": met})).collect();
        json!({"plan": format!("{plan:?}"), "figures": figures, "goals": goals})
    }
}

impl Plan {
    /// Replaces the placeholders in a label by the run's sizes.
    fn fill(&self, label: &str) -> String {
        label
            .replace("{size}", &bytes(self.size))
            .replace("{chunk}", &bytes(self.chunk))
            .replace("{huge}", &self.huge.map(bytes).unwrap_or_default())
            .replace("{clients}", &self.clients.to_string())
            .replace("{small_files}", &self.small_files.to_string())
            .replace("{chunks}", &self.chunks.to_string())
            .replace("{latency}", &self.latency.as_millis().to_string())
    }
}

fn bytes(count: u64) -> String {
    match count {
        _ if count.is_multiple_of(1 << 30) => format!("{} GiB", count >> 30),
        _ if count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        _ => format!("{count} bytes"),
    }
}

/// The value with about three significant digits.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
