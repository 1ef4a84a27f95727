//! Which controller lives in which hierarchy, and where this process is in each.
//!
//! Nothing is assumed of /sys/fs/cgroup, nor that a process has the same path in every
//! hierarchy: /proc/self/cgroup says where it is, /proc/self/mountinfo what can be seen
//! of that. cgroups(7), proc_pid_mountinfo(5).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::proc::{MountInfo, mountinfo};

/// The generation of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// With controllers of its own.
    V1,
    /// The unified one.
    V2,
}

/// A hierarchy of cgroups, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its generation.
    pub version: Version,
    /// On v1, its controllers; on v2 the directories say which.
    pub controllers: Vec<String>,
    /// The cgroup that this process is in.
    pub path: PathBuf,
    /// Where that can be seen; none, where it is mounted nowhere or outside our sight.
    pub places: Vec<Place>,
}

/// A mount of a hierarchy that shows our cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The mount point.
    pub mount: PathBuf,
    /// The directory of our cgroup.
    pub own: PathBuf,
}

/// Reads both files; a line that is not understood is left out.
pub fn hierarchies(mounts: &[u8], cgroup: &[u8]) -> Vec<Hierarchy> {
    let mounts = mountinfo(mounts);
    let lines = cgroup.split(|b| *b == b'\n');
    lines.filter_map(line).map(|hierarchy| find(hierarchy, &mounts)).collect()
}

/// `4:memory:/a/b`, and `0::/a/b` on v2.
fn line(line: &[u8]) -> Option<Hierarchy> {
    let mut fields = line.splitn(3, |b| *b == b':');
    let (id, names, path) = (fields.next()?, fields.next()?, fields.next()?);
    let version = if id == b"0" && names.is_empty() { Version::V2 } else { Version::V1 };
    let names = std::str::from_utf8(names).ok()?;
    let controllers =
        names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let path = Path::new(OsStr::from_bytes(path)).to_owned();
    Some(Hierarchy { version, controllers, path, places: Vec::new() })
}

/// The cgroup mount that a directory lies in: its hierarchy's index and mount point.
pub fn mount_of(
    mounts: &[u8],
    all: &[Hierarchy],
    dir: &Path,
) -> Option<(usize, PathBuf)> {
    let mounts = mountinfo(mounts);
    let holds = |mount: &&MountInfo| {
        mount.fstype.starts_with("cgroup") && dir.starts_with(&mount.target)
    };
    let mount = mounts.iter().filter(holds).max_by_key(|m| m.target.as_os_str().len())?;
    let index = all.iter().position(|hierarchy| is_of(mount, hierarchy))?;
    Some((index, mount.target.clone()))
}

fn find(mut hierarchy: Hierarchy, mounts: &[MountInfo]) -> Hierarchy {
    let place = |mount: &MountInfo| {
        let below = below(&hierarchy.path, &mount.root)?;
        // Joining nothing would add a slash.
        let is_root = below.as_os_str().is_empty();
        let own = if is_root { mount.target.clone() } else { mount.target.join(below) };
        Some(Place { mount: mount.target.clone(), own })
    };
    let (fitting, rest): (Vec<_>, Vec<_>) = mounts
        .iter()
        .filter(|mount| is_of(mount, &hierarchy))
        .partition(|mount| mount.options.split(',').any(|o| o == "rw"));
    // One that can be written to is better than one that cannot.
    hierarchy.places = fitting.into_iter().chain(rest).filter_map(place).collect();
    hierarchy
}

fn is_of(mount: &MountInfo, hierarchy: &Hierarchy) -> bool {
    match hierarchy.version {
        Version::V2 => mount.fstype == "cgroup2",
        Version::V1 => {
            let has = |name: &String| mount.super_options.split(',').any(|o| o == name);
            mount.fstype == "cgroup" && hierarchy.controllers.iter().all(has)
        }
    }
}

/// What is left of a cgroup's path below the part that a mount shows.
///
/// A `..` in either is a cgroup outside our cgroup namespace, cgroup_namespaces(7): how
/// it is called from here nobody can tell.
fn below<'p>(path: &'p Path, root: &Path) -> Option<&'p Path> {
    let is_outside = |p: &Path| p.components().any(|c| c == Component::ParentDir);
    if is_outside(path) || is_outside(root) {
        return None;
    }
    path.strip_prefix(root).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Controllers, own path and first directory of each hierarchy, a line each.
    fn found(mounts: &str, cgroup: &str) -> Vec<String> {
        let all = hierarchies(mounts.as_bytes(), cgroup.as_bytes());
        let own = |h: &Hierarchy| match h.places.first() {
            Some(place) => place.own.display().to_string(),
            None => "-".to_owned(),
        };
        all.iter()
            .map(|h| format!("{:?} {} {}", h.version, h.controllers.join(","), own(h)))
            .collect()
    }

    #[test]
    fn a_pure_v2_system() {
        let mounts =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let cgroup = "0::/user.slice/user-1000.slice/session-2.scope\n";

        assert_eq!(
            found(mounts, cgroup),
            ["V2  /sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope"]
        );
    }

    #[test]
    fn a_v1_system_with_controllers_mounted_together() {
        let mounts = "\
            31 30 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
            32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:29 / /dev/cgroup/memory rw - cgroup none rw,memory\n\
            34 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";
        let cgroup = "3:cpu,cpuacct:/a\n2:memory:/b:c\n1:name=systemd:/\n";

        assert_eq!(
            found(mounts, cgroup),
            [
                "V1 cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct/a",
                "V1 memory /dev/cgroup/memory/b:c",
                "V1 name=systemd /sys/fs/cgroup/systemd",
            ]
        );
    }

    #[test]
    fn a_hybrid_system_with_different_paths() {
        let mounts = "\
            35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            38 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let cgroup = "8:pids:/\n4:memory:/process_api/1c1d\n0::/\n";

        assert_eq!(
            found(mounts, cgroup),
            [
                "V1 pids /sys/fs/cgroup/pids",
                "V1 memory /sys/fs/cgroup/memory/process_api/1c1d",
                "V2  /sys/fs/cgroup/unified",
            ]
        );
    }

    #[test]
    fn docker_without_a_cgroup_namespace_shows_a_part_of_the_hierarchy() {
        let mounts = "\
            70 69 0:29 /docker/4f5c /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
            71 69 0:30 /docker /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n";
        let cgroup = "4:memory:/docker/4f5c\n3:pids:/docker/4f5c/x\n";

        assert_eq!(
            found(mounts, cgroup),
            ["V1 memory /sys/fs/cgroup/memory", "V1 pids /sys/fs/cgroup/pids/4f5c/x"]
        );
    }

    #[test]
    fn a_cgroup_namespace_shows_its_own_root() {
        let mounts = "60 59 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";

        assert_eq!(found(mounts, "0::/\n"), ["V2  /sys/fs/cgroup"]);
    }

    #[test]
    fn what_lies_outside_our_sight_has_no_place() {
        let outer = "60 59 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let other = "60 59 0:26 /docker/a /sys/fs/cgroup rw - cgroup2 cgroup rw\n";

        assert_eq!(found(outer, "0::/\n"), ["V2  -"]);
        assert_eq!(found(other, "0::/docker/ab\n"), ["V2  -"]);
        assert_eq!(found(other, "0::/../x\n"), ["V2  -"]);
        assert_eq!(found("", "4:memory:/\n"), ["V1 memory -"]);
    }

    #[test]
    fn a_mount_that_can_be_written_to_is_preferred() {
        let mounts = "\
            60 59 0:26 / /ro ro - cgroup2 cgroup rw\n\
            61 59 0:26 / /r\\040w rw - cgroup2 cgroup rw\n";

        let all = hierarchies(mounts.as_bytes(), b"0::/x\n");

        let own: Vec<_> = all[0].places.iter().map(|p| p.own.as_path()).collect();
        assert_eq!(own, [Path::new("/r w/x"), Path::new("/ro/x")]);
    }

    #[test]
    fn lines_that_are_not_understood_are_left_out() {
        let cgroup = b"\n4\n4:memory\n4:mem\xffory:/\n:::\n0::/x\n";

        let all = hierarchies(b"1 2\n- - -\n", cgroup);

        assert_eq!(all.last().map(|h| h.path.as_path()), Some(Path::new("/x")));
        assert!(all.iter().all(|h| h.places.is_empty()));
    }
}
