//! The files of the v2 hierarchy: cgroup-v2.rst, "Controllers".

use crate::plan::{File, Limits};

/// What to write for a controller, in this order.
pub(crate) fn files(controller: &str, limits: &Limits) -> Vec<File> {
    let files = match controller {
        "memory" => [
            limits.memory.map(|n| File::new("memory.max", n.to_string())),
            limits.swap.map(|n| File::new("memory.swap.max", n.to_string())),
        ],
        "cpu" => {
            let value = |q: crate::limit::Quota| format!("{} {}", q.quota, q.period);
            [limits.cpus.map(|q| File::new("cpu.max", value(q))), None]
        }
        _ => [limits.pids.map(|n| File::new("pids.max", n.to_string())), None],
    };
    files.into_iter().flatten().collect()
}
