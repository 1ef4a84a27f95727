//! Command lines that are read without clap must mean what clap would have read.

use std::ffi::OsString;
use std::fmt::Debug;

use clap::Parser;
use common::quick::{Opt, Rest, read};

/// Puts words together at random: what the table reads, clap reads the same.
///
/// # Panics
/// When the two differ, clap refuses, or the table never reads anything.
pub fn agrees_with_clap<C: Parser + Default + Debug>(
    tool: &str,
    table: &[Opt<C>],
    finish: impl Fn(C, Rest) -> Option<C>,
    words: &[&str],
) {
    let mut agreed = 0;
    arbtest::arbtest(|u| {
        let mut args = vec![OsString::from(tool)];
        for _ in 0..u.int_in_range(0..=6)? {
            args.push((*u.choose(words)?).into());
        }
        let quick = read(&args, table).and_then(|(cli, rest)| finish(cli, rest));
        if let Some(quick) = quick {
            let clap: C = common::cli::parse(args).map_err(|e| panic!("{e:?}")).unwrap();
            assert_eq!(format!("{quick:?}"), format!("{clap:?}"));
            agreed += 1;
        }
        Ok(())
    });
    assert!(agreed > 0);
}
