//! The command line of cap-drop.

use clap::{Parser, ValueEnum};
use common::cli::Link;
use common::passwd::Who;

use crate::sets::{self, CapSet};

/// A set of capabilities that others made customary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// What docker leaves a container
    Docker,
    /// What podman leaves a container
    Podman,
    /// No capability
    None,
}

impl Profile {
    /// What it keeps.
    pub fn set(self) -> CapSet {
        match self {
            Self::Docker => CapSet::DOCKER,
            Self::Podman => CapSet::PODMAN,
            Self::None => CapSet::NONE,
        }
    }
}

/// Run a program with fewer privileges
#[derive(Parser, Debug, Default)]
#[command(name = "cap-drop", version, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Drop these capabilities
    #[arg(long, value_name = "LIST", value_parser = sets::parse)]
    pub drop: Vec<CapSet>,

    /// Keep at most these, or none, and drop all others
    #[arg(long, value_name = "LIST", value_parser = sets::parse_or_none)]
    pub keep: Vec<CapSet>,

    /// Keep at most the set of docker, podman or none
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "keep",
        hide_possible_values = true
    )]
    pub profile: Option<Profile>,

    /// Become this user, looked up in /etc/passwd
    #[arg(long, value_name = "USER", value_parser = Who::named, conflicts_with_all = ["uid", "gid"])]
    pub user: Option<Who>,

    /// Set the user id
    #[arg(long, value_name = "UID", value_parser = common::parse::id)]
    pub uid: Option<u32>,

    /// Set the group id
    #[arg(long, value_name = "GID", value_parser = common::parse::id)]
    pub gid: Option<u32>,

    /// Set the supplementary groups
    #[arg(long, value_name = "GIDS", value_parser = common::parse::id, value_delimiter = ',')]
    pub groups: Vec<u32>,

    /// Leave no supplementary group
    #[arg(long, conflicts_with = "groups")]
    pub clear_groups: bool,

    /// Let no exec grant privileges: setuid bits and file caps
    #[arg(long, alias = "nnp")]
    pub no_new_privs: bool,

    /// The program to become
    #[command(flatten)]
    pub link: Link,
}

impl Cli {
    /// Whether anything is said on ids.
    pub fn names_ids(&self) -> bool {
        self.user.is_some()
            || self.uid.is_some()
            || self.gid.is_some()
            || self.clear_groups
            || !self.groups.is_empty()
    }
}
