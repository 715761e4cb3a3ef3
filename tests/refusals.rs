//! Surroundings that refuse what the allocator asks for: filters of system calls, limits, a process
//! with as many mappings as it may have, no `/proc`. The script of `support/script.rs` carries on in
//! each, nothing is lost, and memory works afterwards as far as the surroundings allow.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "support/child.rs"]
mod child;
#[path = "support/faults.rs"]
mod faults;
#[path = "support/forked.rs"]
mod forked;
#[path = "support/script.rs"]
mod script;

use std::ptr;
use std::sync::atomic::Ordering::Relaxed;
use std::{fs, io};

use child::alone;
use faults::{Call, armed};
use highwater::Highwater;
use script::Book;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What a child leaves that was not let do what it is to be refused.
const SKIPPED: i32 = 42;

/// Runs `work` in a child, with time invented where no sweeper is.
#[track_caller]
fn in_a_child(what: &str, allocator: &'static Highwater, work: impl FnOnce(&mut Book)) {
    let child = forked::start(|| {
        if ptr::eq(allocator, &script::QUIET) {
            faults::invent_time();
        }
        work(&mut Book::new(allocator));
    });
    match child.ended().unwrap_or_else(|end| panic!("{what}: {end}")) {
        0 => {}
        status if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == SKIPPED => {
            skipped(&format!("this machine does not let {what} be tried"));
        }
        status => panic!("{what}: the child's status is {status:#x}"),
    }
}

/// Says that something was not tried: a failure where `REFUSALS=all` wants everything to be.
fn skipped(why: &str) {
    assert!(std::env::var("REFUSALS").is_err(), "not tried: {why}");
    println!("skipped: {why}");
}

/// Ends a child in which the surroundings cannot be had.
fn skip_if(refused: bool) {
    if refused {
        // SAFETY: ends the child.
        unsafe { libc::_exit(SKIPPED) };
    }
}

// ---------------------------------------------------------------------------------------------
// Filters of system calls.
// ---------------------------------------------------------------------------------------------

/// Has the kernel refuse these system calls with `error` from now on. False if it has no filters.
fn forbid(calls: &[libc::c_long], error: i32) -> bool {
    let step = |code: u32, value: u32, if_not: u8| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: if_not,
        k: value,
    };
    // The number of the call is what stands first of what a filter is shown.
    let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for &call in calls {
        filter.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 1));
        filter.push(step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | error as u32, 0));
    }
    filter.push(step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the calls.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    }
}

/// No argument of it is valid: without a filter another error comes, and nothing is done.
#[track_caller]
fn assert_is_forbidden(call: libc::c_long, error: i32) {
    // SAFETY: no argument is an address of anything, so that nothing is read or written.
    let result = unsafe { libc::syscall(call, -1, -1, -1, -1, -1, -1) };
    assert_eq!((result, io::Error::last_os_error().raw_os_error()), (-1, Some(error)));
}

/// How often the allocator made this call, by the C library's function for it.
fn made(call: libc::c_long) -> usize {
    let kind = match call {
        libc::SYS_process_madvise => Call::AdviseMany,
        libc::SYS_madvise => Call::Advise,
        libc::SYS_membarrier => Call::Barrier,
        libc::SYS_mremap => Call::Remap,
        libc::SYS_open | libc::SYS_openat => Call::Open,
        libc::SYS_clone | libc::SYS_clone3 => Call::Thread,
        _ => unreachable!("no test forbids it"),
    };
    faults::counts()[kind as usize]
}

#[track_caller]
fn without(calls: &[libc::c_long]) {
    for error in [libc::EPERM, libc::ENOSYS] {
        for allocator in [&script::QUIET, &script::SWEPT] {
            let what = format!("a filter of {calls:?} with error {error}");
            in_a_child(&what, allocator, |book| {
                skip_if(!forbid(calls, error));
                calls.iter().for_each(|&call| assert_is_forbidden(call, error));
                armed(true, || script::run(book));
                // Without a sweeper nobody claims another's heap, and no thread is started.
                if ptr::eq(allocator, &script::SWEPT) {
                    assert!(calls.iter().all(|&call| made(call) > 0), "the filter was met");
                }
                script::look_back(book);
            });
        }
    }
}

#[test]
fn a_filter_of_purging_many_ranges_does_no_harm() {
    alone(|| without(&[libc::SYS_process_madvise]));
}

#[test]
fn a_filter_of_barriers_does_no_harm() {
    alone(|| without(&[libc::SYS_membarrier]));
}

#[test]
fn a_filter_of_purging_many_ranges_and_of_barriers_does_no_harm() {
    alone(|| without(&[libc::SYS_process_madvise, libc::SYS_membarrier]));
}

#[test]
fn a_filter_of_all_advice_does_no_harm() {
    alone(|| without(&[libc::SYS_process_madvise, libc::SYS_madvise]));
}

#[test]
fn a_filter_of_moving_mappings_does_no_harm() {
    alone(|| without(&[libc::SYS_mremap]));
}

#[test]
fn a_filter_of_opening_files_does_no_harm() {
    alone(|| without(&[libc::SYS_openat, libc::SYS_open]));
}

#[test]
fn a_filter_of_starting_threads_does_no_harm() {
    // A fork is one of these calls too, and then not tried either.
    alone(|| without(&[libc::SYS_clone, libc::SYS_clone3]));
}

// ---------------------------------------------------------------------------------------------
// Limits.
// ---------------------------------------------------------------------------------------------

/// Runs the script with a limit of `resource` that leaves `room` beside what `used` tells, in KiB or in
/// pieces of `unit` bytes.
#[track_caller]
fn within(resource: libc::__rlimit_resource_t, room: usize, used: fn() -> usize) {
    for allocator in [&script::QUIET, &script::SWEPT] {
        let what = format!("a limit of resource {resource} that leaves {room}");
        in_a_child(&what, allocator, |book| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: queries and sets a limit of this process, in memory of its own.
            unsafe {
                assert_eq!(libc::getrlimit(resource, &mut limit), 0);
                let before = limit.rlim_cur;
                limit.rlim_cur = (used() + room) as libc::rlim_t;
                assert_eq!(libc::setrlimit(resource, &limit), 0);
                armed(true, || script::run(book));
                limit.rlim_cur = before;
                assert_eq!(libc::setrlimit(resource, &limit), 0);
            }
            let refuses = room < 8 * MIB && resource != libc::RLIMIT_NOFILE;
            assert!(book.refused > 0 || !refuses, "the limit was felt");
            script::look_back(book);
        });
    }
}

/// Bytes that a line of `/proc/self/status` tells.
fn status(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * KIB
}

const ROOMS: [usize; 10] =
    [0, 64 * KIB, 200 * KIB, MIB, 2 * MIB, 3 * MIB + 4 * KIB, 5 * MIB, 9 * MIB, 16 * MIB, 24 * MIB];

#[test]
fn a_limit_of_address_space_does_no_harm() {
    alone(|| {
        ROOMS.into_iter().for_each(|room| within(libc::RLIMIT_AS, room, || status("VmSize:")));
    });
}

/// Writable memory of the process's own is what is bounded where overcommitting is refused; the
/// machine's own setting is not a test's to change.
#[test]
fn a_limit_of_writable_memory_does_no_harm() {
    alone(|| {
        ROOMS.into_iter().for_each(|room| within(libc::RLIMIT_DATA, room, || status("VmData:")));
    });
}

#[test]
fn a_limit_of_open_files_does_no_harm() {
    alone(|| within(libc::RLIMIT_NOFILE, 0, || 3));
}

// ---------------------------------------------------------------------------------------------
// As many mappings as there may be.
// ---------------------------------------------------------------------------------------------

/// OS pages of which every second one is made readable, until the kernel refuses to tell more apart.
struct Crowd {
    start: *mut u8,
    bytes: usize,
    page: usize,
    /// How many are readable.
    readable: usize,
}

impl Crowd {
    fn new(most: usize) -> Crowd {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a query, then a fresh mapping.
        let (start, page, bytes) = unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            let bytes = 2 * most * page;
            (libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, kind, -1, 0), page, bytes)
        };
        assert_ne!(start, libc::MAP_FAILED);
        let mut crowd = Crowd { start: start.cast(), bytes, page, readable: 0 };
        while crowd.protect(crowd.readable, libc::PROT_READ) {
            crowd.readable += 1;
        }
        // Each of those makes two mappings more. If there is room for one, what the allocator maps joins that; the last
        // page, at the end, makes one.
        crowd.protect(most - 1, libc::PROT_READ);
        crowd
    }

    fn protect(&self, number: usize, access: i32) -> bool {
        // SAFETY: within the mapping, which nobody reads.
        unsafe {
            let page = self.start.add((2 * number + 1) * self.page);
            libc::mprotect(page.cast(), self.page, access) == 0
        }
    }

    /// Leaves room for about `mappings` more.
    fn leave_room(&mut self, mappings: usize) {
        for _ in 0..mappings.div_ceil(2) {
            self.readable -= 1;
            assert!(self.protect(self.readable, libc::PROT_NONE));
        }
    }

    fn disperse(self) {
        // SAFETY: the whole mapping, which nobody reads.
        assert_eq!(unsafe { libc::munmap(self.start.cast(), self.bytes) }, 0);
    }
}

#[test]
fn a_process_with_as_many_mappings_as_it_may_have_is_not_harmed() {
    alone(|| {
        let most = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
        let most: usize = most.trim().parse().unwrap();
        if most > 300_000 {
            return skipped(&format!("{most} mappings would take too long to make"));
        }
        let [felt] = forked::shared();
        for room in [0, 2, 4, 6, 10, 16, 30] {
            for allocator in [&script::QUIET, &script::SWEPT] {
                in_a_child("a crowd of mappings", allocator, |book| {
                    let mut crowd = Crowd::new(most);
                    crowd.leave_room(room);
                    armed(true, || script::run(book));
                    crowd.disperse();
                    felt.fetch_add(faults::refused(), Relaxed);
                    script::look_back(book);
                });
            }
        }
        // What joins a neighbour needs no place of its own: not every child is refused something, and then it may have
        // another way, so that nobody gets a null.
        assert!(felt.load(Relaxed) > 0, "the limit was felt");
    });
}

// ---------------------------------------------------------------------------------------------
// No `/proc`, or none that can be written.
// ---------------------------------------------------------------------------------------------

/// Gives the process mounts of its own. False if it may not have them.
fn have_own_mounts() -> bool {
    // SAFETY: concerns this process alone, which has one thread.
    unsafe {
        let own = libc::unshare(libc::CLONE_NEWNS) == 0
            || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) == 0;
        let (none, root) = (c"none".as_ptr(), c"/".as_ptr());
        let apart = libc::MS_REC | libc::MS_PRIVATE;
        own && libc::mount(none, root, ptr::null(), apart, ptr::null()) == 0
    }
}

#[test]
fn without_proc_nothing_is_harmed() {
    alone(|| {
        for allocator in [&script::QUIET, &script::SWEPT] {
            in_a_child("no /proc", allocator, |book| {
                skip_if(!have_own_mounts());
                let (none, proc, kind) = (c"none".as_ptr(), c"/proc".as_ptr(), c"tmpfs".as_ptr());
                // SAFETY: what is mounted, only this process sees.
                skip_if(unsafe { libc::mount(none, proc, kind, 0, ptr::null()) } != 0);
                assert!(fs::read_to_string("/proc/self/statm").is_err());
                armed(true, || script::run(book));
                script::look_back(book);
            });
        }
    });
}

#[test]
fn a_proc_that_can_only_be_read_is_enough() {
    alone(|| {
        for allocator in [&script::QUIET, &script::SWEPT] {
            in_a_child("a read-only /proc", allocator, |book| {
                skip_if(!have_own_mounts());
                let (none, proc, kind) = (c"none".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr());
                // SAFETY: what is mounted, only this process sees.
                skip_if(
                    unsafe { libc::mount(none, proc, kind, libc::MS_RDONLY, ptr::null()) } != 0,
                );
                assert!(fs::read_to_string("/proc/self/statm").is_ok());
                armed(true, || script::run(book));
                script::look_back(book);
            });
        }
    });
}

#[test]
fn an_empty_root_does_no_harm() {
    alone(|| {
        for allocator in [&script::QUIET, &script::SWEPT] {
            in_a_child("an empty root", allocator, |book| {
                let empty = std::env::temp_dir().join(format!("highwater-{}", std::process::id()));
                fs::create_dir_all(&empty).unwrap();
                std::env::set_current_dir(&empty).unwrap();
                fs::remove_dir(&empty).unwrap();
                // SAFETY: concerns this process alone.
                skip_if(unsafe { libc::chroot(c".".as_ptr()) } != 0);
                armed(true, || script::run(book));
                script::look_back(book);
            });
        }
    });
}
