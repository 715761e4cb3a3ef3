//! What the process's cgroup may use and does, on Linux: version 2's files, and version 1's.
//!
//! `/proc/self/cgroup` says which cgroup the process is in, `/proc/self/mountinfo` where its files
//! are. A limit holds for all that lies below: the tightest one of the path counts, and what is used
//! is then what all below that one use together. Whatever cannot be read is no limit.

use core::ops::ControlFlow::{self, Break, Continue};

use super::file::{self, Path};

/// From here on a number is version 1's way of saying that there is no limit: the most OS pages that
/// a counter of the kernel's holds, in bytes.
const UNLIMITED: usize = 1 << 62;

/// Which files there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    /// `memory.limit_in_bytes`, in the memory controller's own hierarchy.
    One,
    /// `memory.max` and `memory.high`.
    Two,
}

impl Version {
    /// Files that hold a limit.
    fn limits(self) -> &'static [&'static [u8]] {
        match self {
            Version::One => &[b"/memory.limit_in_bytes"],
            Version::Two => &[b"/memory.max", b"/memory.high"],
        }
    }

    /// The file that tells what is used.
    fn usage(self) -> &'static [u8] {
        match self {
            Version::One => b"/memory.usage_in_bytes",
            Version::Two => b"/memory.current",
        }
    }

    /// What the parts of it are called that the kernel drops by itself: the contents of files.
    fn droppable(self) -> [&'static [u8]; 2] {
        match self {
            Version::One => [b"total_active_file ", b"total_inactive_file "],
            Version::Two => [b"active_file ", b"inactive_file "],
        }
    }

    /// Where its files usually are.
    fn usual_mount(self) -> &'static [u8] {
        match self {
            Version::One => b"/sys/fs/cgroup/memory",
            Version::Two => b"/sys/fs/cgroup",
        }
    }
}

/// A cgroup with a limit.
#[derive(Clone, Copy)]
pub struct Level {
    /// Bytes that it may use.
    pub limit: usize,
    folder: Path,
    version: Version,
}

impl Level {
    /// The tightest limit that the process is under; `None` if there is none, or none to be read.
    pub fn tightest() -> Option<Level> {
        let path = |path: &[u8]| Path::empty().joined(&[path]);
        Level::by_files(&path(b"/proc/self/cgroup")?, &path(b"/proc/self/mountinfo")?)
    }

    /// As [`Level::tightest`], by other files than the process's own.
    pub fn by_files(cgroup: &Path, mountinfo: &Path) -> Option<Level> {
        let (version, group) = own_group(cgroup)?;
        let (folder, top) = folder(version, &group, mountinfo)?;
        tightest(version, folder, top, file::number)
    }

    /// Bytes in use, less what the kernel drops by itself. `None` if they cannot be read.
    pub fn used(&self) -> Option<usize> {
        let used = file::number(&self.folder.joined(&[self.version.usage()])?)?;
        let stat = self.folder.joined(&[b"/memory.stat"])?;
        let mut droppable = Droppable::new(self.version);
        file::for_each_line(&stat, |line| droppable.add(line));
        Some(used.saturating_sub(droppable.bytes))
    }
}

/// Sums up what the kernel drops by itself, line by line.
struct Droppable {
    names: [&'static [u8]; 2],
    bytes: usize,
    left: usize,
}

impl Droppable {
    fn new(version: Version) -> Droppable {
        Droppable { names: version.droppable(), bytes: 0, left: 2 }
    }

    fn add(&mut self, line: &[u8]) -> ControlFlow<()> {
        let value = self.names.iter().find_map(|name| line.strip_prefix(*name));
        if let Some(bytes) = value {
            self.bytes += file::parse(bytes).unwrap_or(0);
            self.left -= 1;
        }
        if self.left == 0 { Break(()) } else { Continue(()) }
    }
}

/// The process's own cgroup: that of the memory controller, if it is version 1's, else version 2's.
fn own_group(cgroup: &Path) -> Option<(Version, Path)> {
    let mut second = None;
    let first = file::for_each_line(cgroup, |line| match group(line) {
        Some((Version::One, group)) => Break(Path::empty().joined(&[group])),
        Some((Version::Two, group)) => {
            second = Path::empty().joined(&[group]);
            Continue(())
        }
        None => Continue(()),
    });
    match first {
        Some(group) => Some((Version::One, group?)),
        None => Some((Version::Two, second?)),
    }
}

/// The cgroup that a line of `/proc/self/cgroup` names, if memory is counted there.
fn group(line: &[u8]) -> Option<(Version, &[u8])> {
    // 4:memory:/path, 5:cpu,memory:/path, 0::/path
    let mut parts = line.splitn(3, |&byte| byte == b':');
    let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
    if controllers.is_empty() {
        return Some((Version::Two, group));
    }
    has_memory(controllers).then_some((Version::One, group))
}

fn has_memory(names: &[u8]) -> bool {
    names.split(|&byte| byte == b',').any(|name| name == b"memory")
}

/// The folder of a cgroup's files, and how many bytes of it lead to the top of what can be seen.
fn folder(version: Version, group: &Path, mountinfo: &Path) -> Option<(Path, usize)> {
    let below = |root: &[u8], point: &[u8]| {
        let folder = Path::empty().joined(&[point, below(group.as_bytes(), root)]);
        folder.map(|folder| (folder, point.len()))
    };
    let found = file::for_each_line(mountinfo, |line| match mount(line, version) {
        Some((root, point)) => Break(below(root, point)),
        None => Continue(()),
    });
    found.unwrap_or_else(|| below(b"/", version.usual_mount()))
}

/// What is mounted where by a line of `/proc/self/mountinfo`, if cgroups of this version are.
fn mount(line: &[u8], version: Version) -> Option<(&[u8], &[u8])> {
    // 35 31 0:32 /root /point rw,relatime optional... - cgroup source rw,memory
    let mut fields = line.split(|&byte| byte == b' ');
    let (root, point) = (fields.nth(3)?, fields.next()?);
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    let (kind, _, options) = (behind.next()?, behind.next()?, behind.next()?);
    let fits = match version {
        Version::One => kind == b"cgroup" && has_memory(options),
        Version::Two => kind == b"cgroup2",
    };
    fits.then_some((root, point))
}

/// What of a cgroup's path lies below the one that is mounted: nothing if it lies elsewhere, as one
/// outside the process's own namespace does.
fn below<'a>(group: &'a [u8], root: &[u8]) -> &'a [u8] {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    match group.strip_prefix(root) {
        Some(rest) if rest.starts_with(b"/") && rest != b"/" && !rest.starts_with(b"/..") => rest,
        _ => b"",
    }
}

/// The cgroup with the smallest limit, from `folder` up to where only `top` bytes of it are left.
/// `read` reads a file's number.
fn tightest(
    version: Version,
    mut folder: Path,
    top: usize,
    mut read: impl FnMut(&Path) -> Option<usize>,
) -> Option<Level> {
    let mut found: Option<Level> = None;
    loop {
        let limits = version.limits().iter();
        let limit = limits.filter_map(|name| read(&folder.joined(&[name])?)).min();
        if let Some(limit) = limit.filter(|&limit| limit < UNLIMITED)
            && found.is_none_or(|found| limit < found.limit)
        {
            found = Some(Level { limit, folder, version });
        }
        if folder.as_bytes().len() <= top {
            return found;
        }
        let up = folder.as_bytes().iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        folder = folder.cut(up.max(top));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::empty().joined(&[text.as_bytes()]).unwrap()
    }

    /// The tightest limit among invented files: its bytes and its folder.
    fn among(
        version: Version,
        folder: &str,
        files: &[(&str, &str)],
    ) -> Option<(usize, std::string::String)> {
        let read = |path: &Path| {
            let name = core::str::from_utf8(path.as_bytes()).unwrap();
            let (_, text) = files.iter().find(|(file, _)| *file == name)?;
            file::parse(text.as_bytes())
        };
        let level = tightest(version, path(folder), "/cg".len(), read)?;
        Some((
            level.limit,
            std::string::String::from_utf8(level.folder.as_bytes().to_vec()).unwrap(),
        ))
    }

    #[test]
    fn the_own_cgroup_is_named_by_its_line() {
        assert_eq!(group(b"0::/user.slice/a"), Some((Version::Two, &b"/user.slice/a"[..])));
        assert_eq!(group(b"4:memory:/docker/ab"), Some((Version::One, &b"/docker/ab"[..])));
        assert_eq!(group(b"5:cpu,memory:/a:b"), Some((Version::One, &b"/a:b"[..])));
        for other in [&b"9:name=systemd:/"[..], b"3:hugetlb:/x", b"7:memory_x:/", b"nonsense", b""]
        {
            assert_eq!(group(other), None);
        }
    }

    #[test]
    fn mounts_are_told_by_kind_and_controller() {
        let two = b"30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let one = b"35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        let cpu = b"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        assert_eq!(mount(two, Version::Two), Some((&b"/"[..], &b"/sys/fs/cgroup"[..])));
        assert_eq!(
            mount(one, Version::One),
            Some((&b"/docker/ab"[..], &b"/sys/fs/cgroup/memory"[..]))
        );
        assert_eq!(mount(two, Version::One), None);
        assert_eq!(mount(one, Version::Two), None);
        assert_eq!(mount(cpu, Version::One), None);
        assert_eq!(mount(b"31 23 0:28 / /sys rw - tmpfs tmpfs rw", Version::Two), None);
        assert_eq!(mount(b"cut off", Version::Two), None);
        assert_eq!(mount(b"30 23 0:26 / /sys/fs/cgroup rw", Version::Two), None);
    }

    #[test]
    fn a_path_is_seen_from_where_its_root_is_mounted() {
        assert_eq!(below(b"/a/b", b"/"), b"/a/b");
        assert_eq!(below(b"/docker/ab/c", b"/docker/ab"), b"/c");
        assert_eq!(below(b"/docker/ab", b"/docker/ab"), b"");
        assert_eq!(below(b"/docker/abc", b"/docker/ab"), b"");
        assert_eq!(below(b"/elsewhere", b"/docker/ab"), b"");
        assert_eq!(below(b"/", b"/"), b"");
        assert_eq!(below(b"/../other", b"/"), b"");
    }

    #[test]
    fn the_tightest_limit_of_nested_cgroups_counts_and_its_own_usage() {
        let files = [
            ("/cg/a/b/memory.max", "800"),
            ("/cg/a/b/memory.high", "max"),
            ("/cg/a/memory.max", "max"),
            ("/cg/a/memory.high", "500"),
            ("/cg/memory.max", "700"),
        ];
        assert_eq!(among(Version::Two, "/cg/a/b", &files), Some((500, "/cg/a".into())));
        assert_eq!(among(Version::Two, "/cg/a/b/c", &files), Some((500, "/cg/a".into())));
        assert_eq!(among(Version::Two, "/cg", &files), Some((700, "/cg".into())));
        assert_eq!(among(Version::Two, "/cg/x/y/z", &files), Some((700, "/cg".into())));
        assert_eq!(among(Version::One, "/cg/a/b", &files), None);
    }

    #[test]
    fn what_the_kernel_shows_for_no_limit_is_none() {
        let files = [
            ("/cg/a/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/cg/a/b/memory.limit_in_bytes", "268435456\n"),
            ("/cg/64k/memory.limit_in_bytes", "9223372036854710272\n"),
            ("/cg/memory.max", "max\n"),
            ("/cg/zero/memory.max", "0\n"),
        ];
        assert_eq!(among(Version::One, "/cg/a", &files), None);
        assert_eq!(among(Version::One, "/cg/64k", &files), None);
        assert_eq!(among(Version::One, "/cg/a/b", &files), Some((256 << 20, "/cg/a/b".into())));
        assert_eq!(among(Version::Two, "/cg", &files), None);
        assert_eq!(among(Version::Two, "/cg/zero", &files), Some((0, "/cg/zero".into())));
    }

    #[test]
    fn a_path_without_room_is_no_limit() {
        let long = path(&std::format!("/cg/{}", "x".repeat(500)));
        assert!(tightest(Version::Two, long, 3, |_| None).is_none());
    }

    #[test]
    fn what_the_kernel_drops_by_itself_is_summed_up() {
        let sum = |version, text: &str| {
            let mut droppable = Droppable::new(version);
            let _ = text.lines().try_for_each(|line| droppable.add(line.as_bytes()));
            droppable.bytes
        };
        let one = "cache 9\ninactive_file 1\nactive_file 2\ntotal_inactive_file 40\ntotal_active_file 2\n";
        assert_eq!(sum(Version::One, one), 42);
        let two = "anon 5\nfile 6\ninactive_file 30\nactive_file 3\nworkingset_refault_file 7\n";
        assert_eq!(sum(Version::Two, two), 33);
        assert_eq!(sum(Version::Two, "active_file x"), 0);
    }

    #[test]
    fn this_machine_is_asked_without_harm() {
        if let Some(level) = Level::tightest() {
            assert!(level.limit < UNLIMITED);
            assert!(level.used().is_none_or(|used| used < UNLIMITED));
        }
    }
}
