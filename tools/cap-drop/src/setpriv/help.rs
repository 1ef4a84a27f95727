//! The texts of `--help` and `--version`.

use common::Fail;
use common::called::LIKE;

use super::OPTIONS;

/// All options in lines of their own.
pub(super) fn help() -> Fail {
    let lines = OPTIONS.iter().map(|opt| {
        let short = opt.short.map_or(String::new(), |c| format!("-{c}, "));
        let value = if opt.value.is_empty() { "" } else { " " };
        let name = format!("{short}--{}{value}{}", opt.long, opt.value);
        format!(" {name:<30} {}\n", opt.help)
    });
    let lines: String = lines.collect();
    Fail::output(format!(
        "\nUsage:\n setpriv [options] <program> [<argument>...]\n\n\
         Run a program with other privileges.\n\nOptions:\n{lines}\n\
         LIST is what changes: +NAME,-NAME,-all. See cap-drop(1).\n"
    ))
}

/// Whose options these are.
pub(super) fn version() -> Fail {
    let version = env!("CARGO_PKG_VERSION");
    Fail::output(format!("setpriv like {LIKE}\ncap-drop {version}\n"))
}
