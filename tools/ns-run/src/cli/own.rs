//! What the own ids become inside: the last of several options counts, each id by itself.

use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Id};

use super::value::{group, user};

/// An id inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// This one.
    Id(u32),
    /// The same as outside.
    Current,
}

impl Inside {
    /// The number, where `current` is the one outside.
    pub fn id(self, current: u32) -> u32 {
        match self {
            Self::Id(id) => id,
            Self::Current => current,
        }
    }
}

/// What the caller's uid and gid are inside, where that was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own {
    /// The uid.
    pub uid: Option<Inside>,
    /// The gid.
    pub gid: Option<Inside>,
}

impl Own {
    /// Sets both.
    pub fn both(&mut self, inside: Inside) {
        *self = Self { uid: Some(inside), gid: Some(inside) };
    }
}

#[derive(Args, Debug)]
#[allow(clippy::struct_field_names, reason = "the names of the options")]
struct Words {
    /// Become root inside; implies --user
    #[arg(short = 'r', long)]
    map_root_user: bool,

    /// Keep the own ids inside; implies --user
    #[arg(short = 'c', long)]
    map_current_user: bool,

    /// Map the own uid to this one; implies --user
    #[arg(long, value_name = "USER", value_parser = user)]
    map_user: Option<u32>,

    /// Map the own gid to this one; implies --user
    #[arg(long, value_name = "GROUP", value_parser = group)]
    map_group: Option<u32>,
}

impl FromArgMatches for Own {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let words = Words::from_arg_matches(matches)?;
        let at = |name: &str, is_given: bool| {
            let last = || matches.indices_of(name).and_then(Iterator::max);
            is_given.then(last).flatten()
        };
        let root = at("map_root_user", words.map_root_user).map(|at| (at, Inside::Id(0)));
        let current = at("map_current_user", words.map_current_user)
            .map(|at| (at, Inside::Current));
        let last = |name: &str, id: Option<u32>| {
            let named = at(name, id.is_some()).zip(id.map(Inside::Id));
            let all = [root, current, named].into_iter().flatten();
            all.max_by_key(|(at, _)| *at).map(|(_, inside)| inside)
        };
        Ok(Self {
            uid: last("map_user", words.map_user),
            gid: last("map_group", words.map_group),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Own {
    fn group_id() -> Option<Id> {
        None
    }

    fn augment_args(command: Command) -> Command {
        Words::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Words::augment_args_for_update(command)
    }
}
