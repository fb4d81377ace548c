//! The machine that the benchmark runs on.

use anyhow::Result;
use procfs::{CpuInfo, Current, KernelVersion, Meminfo};

/// The processor, the memory and the kernel, in one line.
pub fn describe() -> Result<String> {
    let (cpus, memory, kernel) = (CpuInfo::current()?, Meminfo::current()?, KernelVersion::current()?);
    let model = cpus.model_name(0).unwrap_or("unknown processor");
    let KernelVersion { major, minor, .. } = kernel;
    Ok(format!("{} × {model}, {} GiB, Linux {major}.{minor}", cpus.num_cores(), memory.mem_total.div_ceil(1 << 30)))
}
