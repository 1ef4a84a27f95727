//! `--explain`: the plan as the system calls that it will make.

use std::ffi::OsString;
use std::fmt::Display;

use crate::Fail;
use crate::fail::quote;

/// A step of a plan: what `apply` does, told before it does it.
pub trait Explain {
    /// The system call, in the kernel's own words.
    fn call(&self) -> String;
    /// Why, in a few words.
    fn why(&self) -> String;
}

/// The plan as text, one step a line, as the failure that ends the tool with status 0.
pub fn explain<'a, S: Explain + 'a>(
    steps: impl IntoIterator<Item = &'a S>,
    command: &[OsString],
) -> Fail {
    let mut text = String::new();
    for step in steps {
        text.push_str(&line(step.call(), step.why()));
    }
    if let Some(program) = command.first() {
        text.push_str(&line(
            format_args!("execve({}, …)", quote(program)),
            "become COMMAND",
        ));
    }
    Fail::output(text)
}

fn line(call: impl Display, why: impl Display) -> String {
    format!("{:<62} # {why}\n", call.to_string())
}
