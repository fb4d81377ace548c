//! The figures that are measured: their names, their units and their order in the table.

/// A figure of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    StartUp,
    Upload,
    UploadCpu,
    UploadMemory,
    Completion,
    Download,
    AtOnce,
    AtOnceCpu,
    AtOnceMemory,
    AtOnceWasmMemory,
    SmallFiles,
    SmallCompletion,
    HugeCompletion,
    BesideHugeCompletion,
    FirstChunk,
    TenthChunk,
    HundredthChunk,
    LastChunk,
    Instantiation,
    ComponentSize,
    NearChunk,
    FarChunk,
    RoundTrips,
}

impl Figure {
    /// All figures, in the order of the table.
    pub const ALL: [Self; 23] = [
        Self::Upload,
        Self::UploadCpu,
        Self::UploadMemory,
        Self::AtOnce,
        Self::AtOnceCpu,
        Self::AtOnceMemory,
        Self::AtOnceWasmMemory,
        Self::SmallFiles,
        Self::SmallCompletion,
        Self::Completion,
        Self::HugeCompletion,
        Self::BesideHugeCompletion,
        Self::FirstChunk,
        Self::TenthChunk,
        Self::HundredthChunk,
        Self::LastChunk,
        Self::Download,
        Self::StartUp,
        Self::Instantiation,
        Self::ComponentSize,
        Self::NearChunk,
        Self::FarChunk,
        Self::RoundTrips,
    ];

    /// The label in the table, with the unit. Placeholders such as `{size}` stand for the run's options.
    pub fn label(self) -> &'static str {
        match self {
            Self::Upload => "upload and completion of {size}, s",
            Self::UploadCpu => "– CPU time of the server, s",
            Self::UploadMemory => "– peak memory of the server, MiB",
            Self::AtOnce => "the same by {clients} clients at once, s",
            Self::AtOnceCpu => "– CPU time of the server, s",
            Self::AtOnceMemory => "– peak memory of the server, MiB",
            Self::AtOnceWasmMemory => "– wasm memory for each request in flight, MiB",
            Self::SmallFiles => "files of 10 kB a second ({small_files}, {clients} clients)",
            Self::SmallCompletion => "completion of 1 MiB, ms",
            Self::Completion => "completion of {size}, ms",
            Self::HugeCompletion => "completion of {huge}, ms",
            Self::BesideHugeCompletion => "– of 1 MiB right after that, ms",
            Self::FirstChunk => "1st chunk of 10 kB, ms",
            Self::TenthChunk => "10th chunk, ms",
            Self::HundredthChunk => "100th chunk, ms",
            Self::LastChunk => "{chunks}th chunk, ms",
            Self::Download => "download of {size}, MB/s",
            Self::StartUp => "start-up to the first answer, ms",
            Self::Instantiation => "making an instance, ms",
            Self::ComponentSize => "size of the component, MB",
            Self::NearChunk => "chunk of {chunk}, store near, ms",
            Self::FarChunk => "chunk of {chunk}, store {latency} ms away, ms",
            Self::RoundTrips => "– round trips that is",
        }
    }

    /// The name in the JSON.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// The middle sample, or the mean of the two middle samples; not a number if there are no samples.
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => samples[middle],
        _ => f64::midpoint(samples[middle - 1], samples[middle]),
    }
}
