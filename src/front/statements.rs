//! `profile!`: takes a block apart into its statements.
//!
//! Macros, since a function can do neither: each statement's source text is wanted, and the variables that it
//! binds stay in scope for the statements after it. Every step takes one statement off the front; the tokens of the
//! block are there twice, once to be parsed and, in brackets, once to be looked at.

/// Runs the statements of a block and prints, to standard error, what each did to the program's memory: the line,
/// the resident memory after it and by how much that grew, the bytes that are live in the allocator and by how much
/// they grew, the bytes that it holds free, and the statement's own text. MiB throughout. Then the block's end, when
/// its variables are gone.
///
/// The value is the block's: that of its last expression, if no semicolon follows. What `let` binds can be used by the
/// statements after it, and nothing outside. A loop, an `if`, a `match` or a block is one statement. The table is
/// printed when the block is left, also by `return`, `?` or a panic; looking is not part of what is shown: it
/// allocates nothing.
///
/// ```
/// use highwater::{Highwater, profile};
///
/// #[global_allocator]
/// static GLOBAL: Highwater = Highwater::new();
///
/// fn main() {
///     let total: u64 = profile! {
///         let numbers: Vec<Box<u64>> = (0..1_000_000).map(Box::new).collect();
///         let copy = numbers.clone();
///         drop(numbers);
///         copy.iter().map(|number| **number).sum()
///     };
///     assert_eq!(total, 499_999_500_000);
/// }
/// ```
///
/// printed, in a release build on Linux,
///
/// ```text
#[doc = include_str!("profile.txt")]
/// ```
///
/// Resident memory is what the kernel says of the whole process (`/proc/self/smaps_rollup`, which it counts OS page by
/// OS page: milliseconds for each GiB), and stays unknown where there is no such file. The other figures are
/// [`stats`](crate::stats())'s, exact for this thread; unknown where this allocator is not the program's.
///
/// Two things cannot be told by a macro of this kind. The line is that of the first name in the statement. And
/// items (`fn`, `use`, `const`) stand before the block, not in it. A block of more than some 60 statements needs a
/// higher `#![recursion_limit]`.
#[macro_export]
macro_rules! profile {
    ($($block:tt)*) => {{
        // Made first, so dropped last: when the block's own variables are gone.
        #[allow(unused_mut, reason = "an empty block records nothing")]
        let mut profile = $crate::__private::Profile::begin();
        $crate::__profile_statements! { profile [$($block)*] $($block)* }
    }};
}

/// The statements of [`profile!`], one after the other, each with what records it.
#[doc(hidden)]
#[macro_export]
macro_rules! __profile_statements {
    ($profile:ident []) => {};
    // Empty statements.
    ($profile:ident [; $($_seen:tt)*] ; $($rest:tt)*) => {
        $crate::__profile_statements! { $profile [$($rest)*] $($rest)* }
    };
    ($profile:ident [let $($seen:tt)*] $statement:stmt ; $($rest:tt)*) => {
        $statement
        #[allow(unreachable_code, reason = "the statement may leave the block")]
        $profile.record($crate::__profile_line!([$($seen)*] $($seen)*), ::core::stringify!($statement));
        $crate::__profile_statements! { $profile [$($rest)*] $($rest)* }
    };
    // What needs no semicolon: its head is gathered up to the braces.
    ($profile:ident $seen:tt for $pattern:pat in $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [for $pattern in] $($rest)* }
    };
    ($profile:ident $seen:tt while let $pattern:pat = $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [while let $pattern =] $($rest)* }
    };
    ($profile:ident $seen:tt if let $pattern:pat = $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [if let $pattern =] $($rest)* }
    };
    ($profile:ident $seen:tt while $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [while] $($rest)* }
    };
    ($profile:ident $seen:tt if $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [if] $($rest)* }
    };
    ($profile:ident $seen:tt match $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [match] $($rest)* }
    };
    ($profile:ident $seen:tt loop $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [loop] $($rest)* }
    };
    ($profile:ident $seen:tt unsafe $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [unsafe] $($rest)* }
    };
    ($profile:ident $seen:tt $label:lifetime : $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [$label:] $($rest)* }
    };
    ($profile:ident $seen:tt { $($body:tt)* } $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [] { $($body)* } $($rest)* }
    };
    ($profile:ident $seen:tt $($rest:tt)*) => {
        $crate::__profile_expression! { $profile $seen $($rest)* }
    };
}

/// An expression as a statement of [`profile!`], or, at the end, as its value.
#[doc(hidden)]
#[macro_export]
macro_rules! __profile_expression {
    ($profile:ident [$($seen:tt)*] $expression:expr ; $($rest:tt)*) => {
        $expression;
        #[allow(unreachable_code, reason = "the statement may leave the block")]
        $profile.record($crate::__profile_line!([$($seen)*] $($seen)*), ::core::stringify!($expression));
        $crate::__profile_statements! { $profile [$($rest)*] $($rest)* }
    };
    ($profile:ident [$($seen:tt)*] $expression:expr) => {{
        let value = $expression;
        #[allow(unreachable_code, reason = "the statement may leave the block")]
        $profile.record($crate::__profile_line!([$($seen)*] $($seen)*), ::core::stringify!($expression));
        value
    }};
}

/// A statement of [`profile!`] that ends with braces. What was gathered of it stands in the second brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __profile_braces {
    ($profile:ident $seen:tt [$($head:tt)*] { $($body:tt)* } else if let $pattern:pat = $($rest:tt)*) => {
        $crate::__profile_braces! {
            $profile $seen [$($head)* { $($body)* } else if let $pattern =] $($rest)*
        }
    };
    ($profile:ident $seen:tt [$($head:tt)*] { $($body:tt)* } else $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [$($head)* { $($body)* } else] $($rest)* }
    };
    // It goes on: an expression after all.
    ($profile:ident [$($seen:tt)*] $head:tt { $($body:tt)* } . $($rest:tt)*) => {
        $crate::__profile_expression! { $profile [$($seen)*] $($seen)* }
    };
    ($profile:ident [$($seen:tt)*] $head:tt { $($body:tt)* } ? $($rest:tt)*) => {
        $crate::__profile_expression! { $profile [$($seen)*] $($seen)* }
    };
    // Nothing follows: the value.
    ($profile:ident [$($seen:tt)*] $head:tt { $($body:tt)* }) => {
        $crate::__profile_expression! { $profile [$($seen)*] $($seen)* }
    };
    ($profile:ident [$($seen:tt)*] [$($head:tt)*] { $($body:tt)* } $($rest:tt)*) => {
        $($head)* { $($body)* }
        #[allow(unreachable_code, reason = "the statement may leave the block")]
        $profile.record(
            $crate::__profile_line!([$($seen)*] $($seen)*),
            ::core::stringify!($($head)* { $($body)* }),
        );
        $crate::__profile_statements! { $profile [$($rest)*] $($rest)* }
    };
    ($profile:ident $seen:tt [$($head:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__profile_braces! { $profile $seen [$($head)* $next] $($rest)* }
    };
}

/// The line of the first name among some tokens, which are there twice. `line!()` would be that of `profile!`
/// for all of them. But a token that is passed on untouched keeps its place in the caller's source; and where such a
/// name alone is an expression that the compiler dereferences by itself, a function of ours is called from there.
#[doc(hidden)]
#[macro_export]
macro_rules! __profile_line {
    ([let $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([mut $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([ref $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([for $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([in $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([while $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([loop $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([if $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([match $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([unsafe $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([async $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([move $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([const $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([return $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([break $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([continue $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([self $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([Self $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([super $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([crate $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([true $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([false $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([as $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([dyn $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([else $($seen:tt)*] $word:tt $($rest:tt)*) => { $crate::__profile_line!([$($rest)*] $($rest)*) };
    ([$name:ident $($seen:tt)*] $word:tt $($rest:tt)*) => {{
        use $crate::__private::HERE as $word;
        $crate::__private::line($word)
    }};
    ([( $($inner:tt)* ) $($seen:tt)*] $group:tt $($rest:tt)*) => {
        $crate::__profile_line!([$($inner)* $($rest)*] $($inner)* $($rest)*)
    };
    ([[ $($inner:tt)* ] $($seen:tt)*] $group:tt $($rest:tt)*) => {
        $crate::__profile_line!([$($inner)* $($rest)*] $($inner)* $($rest)*)
    };
    ([{ $($inner:tt)* } $($seen:tt)*] $group:tt $($rest:tt)*) => {
        $crate::__profile_line!([$($inner)* $($rest)*] $($inner)* $($rest)*)
    };
    ([$other:tt $($seen:tt)*] $word:tt $($rest:tt)*) => {
        $crate::__profile_line!([$($rest)*] $($rest)*)
    };
    ([]) => { ::core::line!() };
}
