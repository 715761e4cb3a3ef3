//! Small files of the kernel's, read line by line without allocating: what cannot be read has no
//! lines.

use core::ffi::CStr;
use core::ops::ControlFlow;

/// Bytes of a line, at most; longer ones are passed over. Of stack: who reads may have little.
const LINE: usize = 1 << 10;

/// Bytes in a path, with the 0 at its end.
const PATH: usize = 512;

/// A path in room of its own.
#[derive(Clone, Copy)]
pub struct Path {
    /// All 0 behind `len`.
    bytes: [u8; PATH],
    len: usize,
}

impl Path {
    /// Without a byte.
    pub const fn empty() -> Path {
        Path { bytes: [0; PATH], len: 0 }
    }

    /// Puts the parts behind what there is. `None` if there is no room for them.
    pub fn joined(mut self, parts: &[&[u8]]) -> Option<Path> {
        for part in parts {
            // One byte is left for the 0.
            let room = self.bytes[..PATH - 1].get_mut(self.len..self.len + part.len())?;
            room.copy_from_slice(part);
            self.len += part.len();
        }
        Some(self)
    }

    /// Its bytes, without the 0.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The first so many bytes of it.
    pub fn cut(mut self, len: usize) -> Path {
        self.bytes[len.min(self.len)..].fill(0);
        self.len = len.min(self.len);
        self
    }

    fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}

/// Calls `each` with every line, without its end, until it breaks. `None` if the file cannot be
/// read, wholly or from some place on. Leaves the error number alone.
pub fn for_each_line<B>(path: &Path, each: impl FnMut(&[u8]) -> ControlFlow<B>) -> Option<B> {
    let _errno = super::keep_errno();
    let file = File::open(path.as_c_str()?)?;
    for_each_line_read(|room| file.read(room), each)
}

/// As [`for_each_line`], of what `read` puts into the room that it is given: how many bytes, 0 at the end,
/// `None` if it cannot.
pub fn for_each_line_read<B>(
    mut read: impl FnMut(&mut [u8]) -> Option<usize>,
    mut each: impl FnMut(&[u8]) -> ControlFlow<B>,
) -> Option<B> {
    let mut lines = Lines::new();
    loop {
        let read = read(&mut lines.room[lines.used..])?;
        if read == 0 {
            return lines.rest(each);
        }
        if let ControlFlow::Break(found) = lines.add(read, &mut each) {
            return Some(found);
        }
    }
}

/// The number that is all of a file, but for space around it.
pub fn number(path: &Path) -> Option<usize> {
    for_each_line(path, |line| ControlFlow::Break(parse(line))).flatten()
}

/// The decimal number that `text` is, but for space around it.
pub fn parse(text: &[u8]) -> Option<usize> {
    core::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// What was read and is no whole line yet.
struct Lines {
    room: [u8; LINE],
    used: usize,
    /// The line that goes on was too long: its end is passed over too.
    is_rest: bool,
}

impl Lines {
    fn new() -> Lines {
        Lines { room: [0; LINE], used: 0, is_rest: false }
    }

    /// `read` bytes more stand behind those that are used: passes the whole lines among them on.
    fn add<B>(
        &mut self,
        read: usize,
        each: &mut impl FnMut(&[u8]) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.used += read;
        let mut from = 0;
        while let Some(len) = self.room[from..self.used].iter().position(|&byte| byte == b'\n') {
            let line = from..from + len;
            from += len + 1;
            if !core::mem::take(&mut self.is_rest) {
                each(&self.room[line])?;
            }
        }
        self.room.copy_within(from..self.used, 0);
        self.used -= from;
        if self.used == LINE {
            (self.used, self.is_rest) = (0, true);
        }
        ControlFlow::Continue(())
    }

    /// The file's end: a line without one.
    fn rest<B>(&self, mut each: impl FnMut(&[u8]) -> ControlFlow<B>) -> Option<B> {
        if self.used == 0 || self.is_rest {
            return None;
        }
        each(&self.room[..self.used]).break_value()
    }
}

/// An open file; closed when dropped.
struct File(libc::c_int);

impl File {
    fn open(path: &CStr) -> Option<File> {
        // SAFETY: a string with its 0.
        let file = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        (file >= 0).then_some(File(file))
    }

    fn read(&self, room: &mut [u8]) -> Option<usize> {
        // SAFETY: the room is valid for writes of its length.
        let read = unsafe { libc::read(self.0, room.as_mut_ptr().cast(), room.len()) };
        usize::try_from(read).ok()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: this value's own descriptor.
        unsafe { libc::close(self.0) };
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// The lines of `text`, given in pieces of `piece` bytes.
    fn lines(text: &str, piece: usize) -> Vec<String> {
        let (mut lines, mut found) = (Lines::new(), Vec::new());
        let mut keep = |line: &[u8]| {
            found.push(String::from_utf8(line.to_vec()).unwrap());
            ControlFlow::<()>::Continue(())
        };
        let mut text = text.as_bytes();
        while !text.is_empty() {
            let room = &mut lines.room[lines.used..];
            let read = piece.min(text.len()).min(room.len());
            room[..read].copy_from_slice(&text[..read]);
            text = &text[read..];
            assert!(lines.add(read, &mut keep).is_continue());
        }
        lines.rest(&mut keep);
        found
    }

    #[test]
    fn lines_are_whole_however_they_are_read() {
        for piece in [1, 2, 3, 7, LINE, usize::MAX] {
            assert_eq!(lines("one\n\nthree\nfour", piece), ["one", "", "three", "four"]);
            assert_eq!(lines("one\n", piece), ["one"]);
            assert_eq!(lines("", piece), [""; 0]);
        }
    }

    #[test]
    fn a_line_without_room_is_passed_over_and_the_next_is_not() {
        for len in [LINE - 1, LINE, LINE + 1, 3 * LINE, 3 * LINE + 5] {
            let text = std::format!("first\n{}\nlast\n", "x".repeat(len));
            for piece in [1, 100, usize::MAX] {
                let found = lines(&text, piece);
                let fits = usize::from(len < LINE);
                assert_eq!(found.len(), 2 + fits, "{len} bytes in pieces of {piece}");
                assert_eq!((&*found[0], &*found[1 + fits]), ("first", "last"));
            }
        }
        assert_eq!(lines(&"x".repeat(LINE), 10), [""; 0]);
    }

    #[test]
    fn a_file_is_read_and_one_that_is_not_there_has_no_lines() {
        let path = |path: &str| Path::empty().joined(&[path.as_bytes()]).unwrap();
        let manifest = path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let name = for_each_line(&manifest, |line| match line.strip_prefix(b"name = ") {
            Some(name) => ControlFlow::Break(name == b"\"highwater\""),
            None => ControlFlow::Continue(()),
        });
        assert_eq!(name, Some(true));
        assert_eq!(number(&manifest), None);
        assert_eq!(number(&path("/no/such/file")), None);
        assert_eq!(number(&path("/")), None);
    }

    #[test]
    fn a_path_has_an_end() {
        let path = Path::empty().joined(&[&[b'x'; PATH - 1]]).unwrap();
        assert!(path.as_c_str().is_some());
        assert!(path.joined(&[b"x"]).is_none());
        assert!(path.joined(&[]).is_some());
        assert_eq!(path.cut(3).joined(&[b"/", b"y"]).unwrap().as_bytes(), b"xxx/y");
    }

    #[test]
    fn a_number_may_have_space_around_it_and_nothing_else() {
        assert_eq!(parse(b" 42\n"), Some(42));
        assert_eq!(parse(b"max"), None);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"99999999999999999999999"), None);
        assert_eq!(parse(b"4\xFF"), None);
    }
}
