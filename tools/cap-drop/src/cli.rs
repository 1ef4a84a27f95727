//! The command line of cap-drop.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use common::Fail;
use common::cli::Link;
use common::passwd::Who;
use common::quick::Rest;
use nix::libc::c_int;

mod confine;
mod table;
mod value;

pub use confine::{Bpf, Confine, Seccomp, Trace};
pub use value::{DeathSignal, Format, Has, Profile, Set, YesNo};

use crate::limits::{self, Limit};
use crate::securebits::{self, Change};
use crate::sets::{self, CapSet};

/// Run a program with fewer privileges
#[derive(Parser, Debug, Default)]
#[command(name = "cap-drop", version, infer_long_args = true, args_override_self = true)]
#[command(group = ArgGroup::new("change").multiple(true))]
pub struct Cli {
    /// Drop these capabilities
    #[arg(long, group = "change", value_name = "LIST", value_parser = sets::parse)]
    pub drop: Vec<CapSet>,

    /// Keep at most these, or none, and drop all others
    #[arg(long, group = "change", value_name = "LIST", value_parser = sets::parse_or_none)]
    pub keep: Vec<CapSet>,

    /// Keep these beside those of --profile or in spite of --drop
    #[arg(long, group = "change", value_name = "LIST", value_parser = sets::parse)]
    pub add: Vec<CapSet>,

    /// Keep at most the set of docker, podman, none or a file
    #[arg(long, group = "change", value_name = "PROFILE", conflicts_with = "keep")]
    pub profile: Option<Profile>,

    /// Keep at most the capabilities that FILE has
    #[arg(long, group = "change", value_name = "FILE", conflicts_with_all = ["keep", "profile"])]
    pub from_file_caps: Option<PathBuf>,

    /// Leave just these in the bounding set
    #[arg(long, group = "change", value_name = "LIST", value_parser = sets::parse_or_none)]
    pub bounding: Vec<CapSet>,

    /// Make just these inheritable
    #[arg(long, group = "change", value_name = "LIST", value_parser = sets::parse_or_none)]
    pub inh: Vec<CapSet>,

    /// Let just these live over the exec of any user
    #[arg(long, group = "change", value_name = "LIST", value_parser = sets::parse_or_none)]
    pub ambient: Vec<CapSet>,

    /// Become this user, looked up in /etc/passwd
    #[arg(long, group = "change", value_name = "USER", value_parser = Who::named, conflicts_with_all = ["uid", "gid"])]
    pub user: Option<Who>,

    /// Set the user id
    #[arg(long, group = "change", value_name = "UID", value_parser = value::named)]
    pub uid: Option<OsString>,

    /// Set the group id
    #[arg(long, group = "change", value_name = "GID", value_parser = value::named)]
    pub gid: Option<OsString>,

    /// Set the supplementary groups
    #[arg(long, group = "change", value_name = "GIDS", value_parser = value::named, value_delimiter = ',')]
    pub groups: Vec<OsString>,

    /// Leave no supplementary group
    #[arg(long, group = "change", conflicts_with = "groups")]
    pub clear_groups: bool,

    /// Set the groups that list the user, and the gid
    #[arg(long, group = "change", conflicts_with_all = ["groups", "clear_groups"])]
    pub init_groups: bool,

    /// Ask getent for names that the files do not have
    #[arg(long, group = "change", conflicts_with = "root")]
    pub getent: bool,

    /// Let no exec grant privileges: setuid bits and file caps
    #[arg(long, group = "change", alias = "nnp")]
    pub no_new_privs: bool,

    /// Set the securebits: names, +NAME,-NAME or none
    #[arg(long, group = "change", value_name = "BITS", value_parser = securebits::parse, allow_hyphen_values = true)]
    pub securebits: Option<Change>,

    /// Send COMMAND this signal when its parent dies, or clear
    #[arg(long, group = "change", value_name = "SIGNAL", value_parser = value::death_signal)]
    pub pdeathsig: Option<DeathSignal>,

    /// Whether COMMAND may dump core: yes or no
    #[arg(long, group = "change", value_name = "YES|NO", hide_possible_values = true)]
    pub dumpable: Option<YesNo>,

    /// Set the mode bits that new files lack
    #[arg(long, group = "change", value_name = "MODE", value_parser = value::umask)]
    pub umask: Option<u32>,

    /// Set a resource limit, as nofile=1024 or nofile=64:1024
    #[arg(long, group = "change", value_name = "NAME=SOFT[:HARD]", value_parser = limits::parse)]
    pub rlimit: Vec<Limit>,

    /// Set how soon COMMAND is killed when memory runs out
    #[arg(long, group = "change", value_name = "N", value_parser = value::oom_score_adj, allow_negative_numbers = true)]
    pub oom_score_adj: Option<i16>,

    /// Set the nice value, -20 to 19
    #[arg(long, group = "change", value_name = "N", value_parser = value::nice, allow_negative_numbers = true)]
    pub nice: Option<c_int>,

    /// Start COMMAND with an environment of the user's own
    #[arg(long, group = "change")]
    pub reset_env: bool,

    /// Change the root directory, and the working directory to it
    #[arg(long, group = "change", value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Run COMMAND under this SELinux label
    #[arg(long, group = "change", value_name = "LABEL", value_parser = value::label)]
    pub selinux_label: Option<String>,

    /// Run COMMAND under this AppArmor profile
    #[arg(long, group = "change", value_name = "PROFILE", value_parser = value::label)]
    pub apparmor_profile: Option<String>,

    /// What it is forbidden beyond its privileges
    #[command(flatten)]
    pub confine: Confine,

    /// Print the privileges that result: text or json
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text",
        hide_possible_values = true
    )]
    pub print: Option<Format>,

    /// Look at these processes instead of running anything
    #[arg(long, value_name = "PIDS", value_parser = value::pid, value_delimiter = ',', conflicts_with = "change")]
    pub pid: Vec<c_int>,

    /// Look at all processes, or those below --pid, as a tree
    #[arg(long, conflicts_with = "change")]
    pub tree: bool,

    /// End with 0 if all of SET:LIST,… are there, else with 1
    #[arg(long, value_name = "SET:LIST", value_parser = Has::parse, conflicts_with_all = ["change", "print", "tree"])]
    pub has: Vec<Has>,

    /// Print the names in a mask of /proc/PID/status
    #[arg(long, value_name = "HEX", value_parser = value::mask, exclusive = true)]
    pub decode: Option<CapSet>,

    /// Print what a capability allows
    #[arg(long, value_name = "LIST", value_parser = sets::parse, exclusive = true)]
    pub describe: Option<CapSet>,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

/// Parses the arguments (the program's name first) or says in one line why not.
pub fn parse(args: Vec<OsString>) -> Result<Cli, Fail> {
    common::quick::parse(args, &table::TABLE, with_command)
}

/// None where options may contradict each other, which clap tells.
fn with_command(mut cli: Cli, rest: Rest) -> Option<Cli> {
    cli.link.command = rest.command();
    (!cli.may_conflict()).then_some(cli)
}

impl Cli {
    /// Whether anything is said on ids.
    pub fn names_ids(&self) -> bool {
        self.user.is_some()
            || self.uid.is_some()
            || self.gid.is_some()
            || self.clear_groups
            || self.init_groups
            || !self.groups.is_empty()
    }

    /// Whether there may be something in it that clap knows to be a contradiction.
    fn may_conflict(&self) -> bool {
        let is_several = |of: &[bool]| of.iter().filter(|is| **is).count() > 1;
        let base = [
            !self.keep.is_empty(),
            self.profile.is_some(),
            self.from_file_caps.is_some(),
        ];
        let user = [self.user.is_some(), self.uid.is_some() || self.gid.is_some()];
        let groups = [!self.groups.is_empty(), self.clear_groups, self.init_groups];
        let lookup = [self.getent, self.root.is_some()];
        let looks = !self.has.is_empty() || self.tree;
        looks
            || is_several(&base)
            || is_several(&user)
            || is_several(&groups)
            || is_several(&lookup)
    }
}
