//! The environment of an image's process, by the rules of docker run.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use common::Fail;
use common::fail::quote;

use crate::cli::Cli;
use crate::plan::Host;

/// docker's and podman's where an image names no other.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables: what was asked for before the image's, both over docker's own.
///
/// # Errors
/// When a line of an `--env-file` names no variable.
pub(crate) fn environment(
    cli: &Cli,
    host: &Host,
    home: &OsStr,
) -> Result<Vec<OsString>, Fail> {
    let mut env = vec![PATH.into(), pair("HOSTNAME", &host.hostname)];
    if host.terminal {
        let kind = host.caller("TERM".as_ref());
        env.push(kind.unwrap_or_else(|| "TERM=xterm".into()));
    }
    let defaults = env.len();
    let asked = asked_for(cli, host)?;
    let is_asked = |entry: &OsString| asked.iter().any(|own| name(own) == name(entry));
    let of_image = host.config.env.iter().map(OsString::from);
    let of_image = of_image.filter(|entry| !is_asked(entry));
    for entry in asked.iter().cloned().chain(of_image) {
        // One without `=`, which images have, takes one of docker's own away and no other.
        let among = if is_bare(&entry) { defaults } else { env.len() };
        put(&mut env, entry, among);
    }
    env.retain(|entry| !is_bare(entry));
    // runc gives the user's where it is empty, too.
    match env.iter_mut().find(|entry| name(entry) == b"HOME") {
        Some(entry) if *entry == "HOME=" => *entry = pair("HOME", home),
        Some(_) => {}
        None => env.push(pair("HOME", home)),
    }
    Ok(env)
}

/// `--env-file` and `--env`; a name without `=` stands for one to be taken away.
fn asked_for(cli: &Cli, host: &Host) -> Result<Vec<OsString>, Fail> {
    let mut asked = Vec::new();
    for (file, text) in &host.env_files {
        for line in lines(text) {
            let entry = entry(line)
                .map_err(|reason| Fail::cannot("read variables from", file, reason))?;
            // docker leaves one out that the caller has not.
            if !is_bare(&entry) {
                put(&mut asked, entry, usize::MAX);
            } else if let Some(entry) = host.caller(&entry) {
                put(&mut asked, entry, usize::MAX);
            }
        }
    }
    for entry in &cli.env {
        let of_caller = is_bare(entry).then(|| host.caller(entry)).flatten();
        put(&mut asked, of_caller.unwrap_or_else(|| entry.clone()), usize::MAX);
    }
    Ok(asked)
}

/// The lines of an `--env-file` that say something.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    text.split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start())
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// A line: what is behind the `=` is taken as it is, quotes and all.
fn entry(line: &[u8]) -> Result<OsString, String> {
    let line = OsStr::from_bytes(line);
    let name = name(line);
    if name.is_empty() {
        return Err(format!("no name in {}", quote(line)));
    }
    if name.iter().any(u8::is_ascii_whitespace) {
        return Err(format!("a blank in the name {}", quote(OsStr::from_bytes(name))));
    }
    Ok(line.to_owned())
}

fn is_bare(entry: &OsStr) -> bool {
    !entry.as_bytes().contains(&b'=')
}

/// Puts an entry in place of one of the same name among the first ones, else behind all.
fn put(env: &mut Vec<OsString>, entry: OsString, among: usize) {
    match env.iter_mut().take(among).find(|old| name(old) == name(&entry)) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

fn name(entry: &OsStr) -> &[u8] {
    entry.as_bytes().split(|b| *b == b'=').next().unwrap_or_default()
}

fn pair(name: &str, value: &OsStr) -> OsString {
    OsString::from_vec([name.as_bytes(), b"=", value.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const DEFAULT: &str = PATH;

    fn host(env: &[&str]) -> Host {
        Host {
            config: Config {
                env: env.iter().map(|e| (*e).to_owned()).collect(),
                ..Config::default()
            },
            hostname: "box".into(),
            environ: vec![c"CALLER=its=value", c"TERM=linux", c"EMPTY="],
            ..Host::default()
        }
    }

    fn env(args: &[&str], host: &Host) -> Result<Vec<OsString>, String> {
        let args = ["img-exec"].iter().chain(args).map(OsString::from).collect();
        let cli = crate::cli::parse(args).map_err(|f| f.text)?;
        environment(&cli, host, "/home".as_ref()).map_err(|f| f.text)
    }

    #[test]
    fn the_environment_is_the_images_over_dockers_defaults() {
        for (image, args, expected) in [
            (&[][..], &["x"][..], &[DEFAULT, "HOSTNAME=box", "HOME=/home"][..]),
            (
                &["PATH=/bin", "A=1", "A=second", "HOME=/h"],
                &["-e", "A=third", "--env", "B=a=b", "x"],
                &["PATH=/bin", "HOSTNAME=box", "A=third", "B=a=b", "HOME=/h"],
            ),
            (
                &["F", "1BAD=x", "A B=$(id)", "=x", "HOSTNAME", "", "E="],
                &["x"],
                &[DEFAULT, "1BAD=x", "A B=$(id)", "=x", "E=", "HOME=/home"],
            ),
            (&["HOME=", "A=1"], &[], &[DEFAULT, "HOSTNAME=box", "HOME=/home", "A=1"]),
            (
                &["A=1", "B=2", "A=3"],
                &[
                    "-e", "CALLER", "-e", "A=9", "-e", "A", "-e", "EMPTY", "-e",
                    "HOSTNAME",
                ],
                &[DEFAULT, "CALLER=its=value", "EMPTY=", "B=2", "HOME=/home"],
            ),
        ] {
            let got = env(args, &host(image)).unwrap();
            assert_eq!(got, expected, "{image:?} {args:?}");
        }
    }

    #[test]
    fn a_terminal_keeps_its_kind() {
        let here = Host { terminal: true, ..host(&[]) };
        let bare = Host { environ: vec![], terminal: true, ..host(&[]) };

        assert_eq!(env(&[], &here).unwrap()[2], "TERM=linux");
        assert_eq!(env(&[], &bare).unwrap()[2], "TERM=xterm");
    }

    #[test]
    fn an_env_file_is_read_as_docker_reads_it() {
        let text = "\u{feff}# no\n\n  # no\r\nA=1\r\n  B=two words \nC=\"q\" # kept\nCALLER\nNOT_SET\nE=\n";
        let with = |text: &str| Host {
            env_files: vec![("file".into(), text.into())],
            ..host(&["NOT_SET=image", "A=0"])
        };

        assert_eq!(
            env(&["-e", "E=e"], &with(text)).unwrap()[2..],
            [
                "A=1",
                "B=two words ",
                "C=\"q\" # kept",
                "CALLER=its=value",
                "E=e",
                "NOT_SET=image",
                "HOME=/home"
            ]
        );
        for (text, error) in [
            ("=x", "cannot read variables from 'file': no name in '=x'"),
            ("A =x", "cannot read variables from 'file': a blank in the name 'A '"),
            (
                "export A=\x1b",
                "cannot read variables from 'file': a blank in the name 'export A'",
            ),
        ] {
            assert_eq!(env(&[], &with(text)).unwrap_err(), error);
        }
    }

    #[test]
    fn a_name_is_there_once_at_most_whatever_is_put_together() {
        arbtest::arbtest(|u| {
            let words =
                ["A=1", "A=2", "B=", "A", "B", "", "=x", "HOME", "HOME=", "PATH=/"];
            let mut image = Vec::new();
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=8)? {
                image.push(*u.choose(&words)?);
                text.push_str(u.choose(&words[..5])?);
                text.push('\n');
            }
            let host =
                Host { env_files: vec![("f".into(), text.into())], ..host(&image) };

            let env = env(&[], &host).unwrap();

            let mut names: Vec<_> = env.iter().map(|e| name(e)).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|two| two[0] != two[1]), "{env:?}");
            assert!(
                env.iter().all(|e| !is_bare(e)) && names.contains(&b"HOME".as_slice())
            );
            Ok(())
        });
    }
}
