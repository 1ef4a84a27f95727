//! The label or profile of a security module that the next exec gives.

use std::fs;

use common::fail::{Hint, quote};
use common::{Context, Fail, proc};

/// A label, by the module that it means something to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// A context of SELinux, setexeccon(3).
    SeLinux(String),
    /// A profile of AppArmor, aa_change_onexec(2).
    AppArmor(String),
}

impl Label {
    /// What is written where.
    fn text(&self) -> String {
        match self {
            Self::SeLinux(label) => label.clone(),
            Self::AppArmor(profile) => format!("exec {profile}"),
        }
    }

    /// As a system call.
    pub(crate) fn call(&self) -> String {
        format!("write({}, {})", self.files().join(" or "), quote(self.text()))
    }

    /// Where it is written; the first that is there.
    fn files(&self) -> &'static [&'static str] {
        match self {
            Self::SeLinux(_) => &["/proc/self/attr/exec"],
            // Its own directory since Linux 5.8: another module may have the other.
            Self::AppArmor(_) => {
                &["/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"]
            }
        }
    }

    /// Writes it, and reads back that it is there.
    pub(crate) fn apply(&self) -> Result<(), Fail> {
        let (verb, label, hint) = match self {
            Self::SeLinux(label) => {
                let hint = "the kernel must run SELinux and its policy know the label";
                ("set the SELinux label", label, hint)
            }
            Self::AppArmor(profile) => {
                let hint = "the kernel must run AppArmor and have the profile loaded";
                ("set the AppArmor profile", profile, hint)
            }
        };
        if !proc::is_mounted() {
            return Err(Fail::cannot(verb, label, "/proc is not mounted"));
        }
        let is_there = |file: &&&str| fs::exists(file).unwrap_or(false);
        let file = self.files().iter().find(is_there).unwrap_or(&"/proc/self/attr/exec");
        fs::write(file, self.text()).cannot(verb, label).hint(hint)?;
        let now = fs::read_to_string(file).cannot(verb, label)?;
        // AppArmor says in which mode the profile is.
        let now = now.trim_end_matches(['\0', '\n']);
        if now == label || now.strip_prefix(label.as_str()).is_some_and(is_mode) {
            return Ok(());
        }
        Err(Fail::cannot(verb, label, "the kernel did not do it").hint(hint))
    }
}

fn is_mode(rest: &str) -> bool {
    rest.starts_with(" (") && rest.ends_with(')')
}
