//! What a line was measured under, in a few words.

use mmap_ahead_bench::environment::Environment;

/// The state of the world that a line was measured in: lines with the same label are compared with
/// each other.
pub(super) fn scenario(pattern: &str, cache: &str, environment: Option<&Environment>) -> String {
    let file_system = environment.map_or("", |environment| &environment.file_system);
    let mut label = format!("{cache} {file_system}").trim_end().to_owned();
    let read_ahead = environment.and_then(|environment| environment.read_ahead_kb);
    if let (Some(kib), "cold") = (read_ahead, cache) {
        label += &format!(", read-ahead {kib} KiB");
    }
    match pattern {
        "seq" | "" => label,
        pattern => format!("{pattern}, {label}"),
    }
}

/// The file system, and the disk below it.
pub(crate) fn place(environment: &Environment) -> String {
    match &environment.device {
        Some(device) => format!("{} on {device}", environment.file_system),
        None => environment.file_system.clone(),
    }
}
