//! Accesses that the system stops, and who hears of them first.
//!
//! A handler for `SIGSEGV` and `SIGBUS` before the program's own, if it has one by then: what is not the allocator's goes
//! on to that one, or ends the process as it would have. A handler that the program sets later takes this one's place.

use core::ffi::c_void;
use core::{mem, ptr};

use super::keep_errno;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Who hears of an access that the system stops.
pub trait Listener {
    /// The access was to `address`. Ends the process if it is the allocator's to say what that means. In a signal
    /// handler, on a thread that was in the midst of something.
    fn stopped_at(address: usize);
}

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
static BEFORE: [Before; 2] = [const { Before::new() }; 2];

/// What a signal did before.
struct Before {
    handler: AtomicUsize,
    flags: AtomicUsize,
}

impl Before {
    const fn new() -> Before {
        Before { handler: AtomicUsize::new(libc::SIG_DFL), flags: AtomicUsize::new(0) }
    }
}

type Handler = unsafe extern "C" fn(libc::c_int);
type Action = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut c_void);

static HEARD: AtomicBool = AtomicBool::new(false);

/// Has `L` hear of accesses that the system stops, from now on, unless somebody hears already. If the system refuses
/// it, nobody does.
#[inline]
pub fn hear<L: Listener>() {
    if !HEARD.load(Relaxed) && !HEARD.swap(true, Relaxed) {
        begin::<L>();
    }
}

#[cold]
fn begin<L: Listener>() {
    let _errno = keep_errno();
    for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
        // SAFETY: all zero is an action, with no flag and an empty mask.
        let mut found: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: only asks.
        if unsafe { libc::sigaction(signal, ptr::null(), &mut found) } == 0 {
            // Known before ours can come to need them.
            before.handler.store(found.sa_sigaction, Relaxed);
            before.flags.store(found.sa_flags as usize, Relaxed);
            let ours: Action = stopped::<L>;
            // On the stack for signals, if the thread has one: the stack may be what has no room.
            set(
                signal,
                (ours as *const ()).expose_provenance(),
                libc::SA_SIGINFO | libc::SA_ONSTACK,
            );
        }
    }
}

fn set(signal: libc::c_int, handler: usize, flags: libc::c_int) {
    // SAFETY: as in `hear`.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    (action.sa_sigaction, action.sa_flags) = (handler, flags);
    // SAFETY: a valid action; where the system refuses it, all stays as it is.
    unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
}

unsafe extern "C" fn stopped<L: Listener>(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    // SAFETY: the system's own record of the signal.
    let (was_sent, address) = unsafe { ((*info).si_code <= 0, (*info).si_addr()) };
    if !was_sent {
        L::stopped_at(address.addr());
    }
    let before = &BEFORE[usize::from(signal != SIGNALS[0])];
    match before.handler.load(Relaxed) {
        libc::SIG_IGN if was_sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            let _errno = keep_errno();
            set(signal, libc::SIG_DFL, 0);
            if was_sent {
                // SAFETY: comes when this handler is over. Else the access is made again.
                unsafe { libc::raise(signal) };
            }
        }
        handler => {
            let handler = ptr::with_exposed_provenance::<()>(handler);
            let is_action = before.flags.load(Relaxed) & libc::SA_SIGINFO as usize != 0;
            // SAFETY: the program's handler, of the kind that it was set as, with what the system gave.
            unsafe {
                if is_action {
                    mem::transmute::<*const (), Action>(handler)(signal, info, context);
                } else {
                    mem::transmute::<*const (), Handler>(handler)(signal);
                }
            }
        }
    }
}
