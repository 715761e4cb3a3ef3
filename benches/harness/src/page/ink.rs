//! What may be drawn with: every colour of the page, for light and for dark ground.
//!
//! A chart is drawn once. Each ink is given to the plotting library as a colour that stands for it; afterwards the
//! colour is replaced by a variable of the style sheet, which the reader's light or dark mode sets.
//!
//! The rungs run from red, which keeps, to blue, which gives back: an order that also readers see who confuse red
//! and green. A peer has a hue of its own, its eager setting the same hue with gaps. No chart tells contenders apart
//! by colour only: lines and points carry their names.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// A colour by its role: an index into the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ink(usize);

struct Tone {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
    /// The gaps of its lines.
    dash: Option<&'static str>,
}

const GAPS: Option<&str> = Some("24 14");
const DOTS: Option<&str> = Some("4 14");

const fn tone(
    name: &'static str,
    light: &'static str,
    dark: &'static str,
    dash: Option<&'static str>,
) -> Tone {
    Tone { name, light, dark, dash }
}

const TONES: &[Tone] = &[
    tone("text", "#1b1f24", "#e9ecf0", None),
    tone("muted", "#59626e", "#9da8b5", None),
    tone("grid", "#e4e7eb", "#2a313a", None),
    tone("ground", "#ffffff", "#12161b", None),
    tone("live", "#d5dbe3", "#343e4a", None),
    tone("bound", "#1b1f24", "#e9ecf0", DOTS),
    tone("records", "#9aa3ae", "#6b7684", None),
    tone("class-1", "#4477aa", "#6d9fd1", None),
    tone("class-2", "#228833", "#54b865", None),
    tone("class-3", "#b59a00", "#d9c24a", None),
    tone("class-4", "#d9603b", "#f0825f", None),
    tone("class-5", "#aa3377", "#d763a5", None),
    tone("class-6", "#6b4fa0", "#a48be0", None),
    // From here on contenders, by their names.
    tone("other", "#59626e", "#9da8b5", DOTS),
    tone("never-shrink", "#8f0024", "#ff6d7d", None),
    tone("keep-arenas", "#cf4a10", "#ff8f55", None),
    tone("return-arenas", "#705f00", "#f0df92", None),
    tone("return-pools", "#1f7fb8", "#46a3dc", None),
    tone("return-pages", "#1b2f8f", "#b7c3ff", None),
    tone("system", "#59626e", "#9da8b5", GAPS),
    tone("mimalloc", "#00755a", "#3ccfa4", None),
    tone("mimalloc-eager", "#00755a", "#3ccfa4", GAPS),
    tone("mimalloc-v2", "#4c7a1f", "#a4d06a", None),
    tone("mimalloc-v2-eager", "#4c7a1f", "#a4d06a", GAPS),
    tone("jemalloc", "#9c3f87", "#e58fcb", None),
    tone("jemalloc-eager", "#9c3f87", "#e58fcb", GAPS),
    tone("jemalloc-thread", "#9c3f87", "#e58fcb", DOTS),
    tone("snmalloc", "#6a4fb3", "#ae9bf5", None),
    tone("rusty-alloc", "#7a5230", "#d6a67e", None),
    tone("rusty-alloc-eager", "#7a5230", "#d6a67e", GAPS),
    tone("sefer", "#c2185b", "#ff80ab", None),
];

impl Ink {
    pub const TEXT: Ink = Ink(0);
    pub const MUTED: Ink = Ink(1);
    pub const GRID: Ink = Ink(2);
    pub const GROUND: Ink = Ink(3);
    pub const LIVE: Ink = Ink(4);
    pub const BOUND: Ink = Ink(5);
    pub const RECORDS: Ink = Ink(6);

    /// Inks for size classes, from the smallest.
    pub const CLASSES: [Ink; 6] = [Ink(7), Ink(8), Ink(9), Ink(10), Ink(11), Ink(12)];

    const OTHER: Ink = Ink(13);

    /// The ink of this contender; a common one for those that the table does not know.
    pub fn contender(name: &str) -> Ink {
        let known = TONES.iter().skip(Ink::OTHER.0).position(|tone| tone.name == name);
        known.map_or(Ink::OTHER, |place| Ink(Ink::OTHER.0 + place))
    }

    /// The colour that stands for this ink while a chart is drawn.
    pub fn stand_in(self) -> RGBColor {
        RGBColor(STAND_IN.0, self.0 as u8, STAND_IN.1)
    }

    /// The same for what is drawn without gaps, though its lines have some.
    pub fn solid(self) -> RGBColor {
        RGBColor(SOLID, self.0 as u8, STAND_IN.1)
    }

    /// Whether it is drawn with gaps: its points are hollow too.
    pub fn has_gaps(self) -> bool {
        TONES[self.0].dash.is_some()
    }

    /// The attributes of a line or an area in this ink, in place of the stand-in's; `paint` is `fill` or `stroke`.
    fn attributes(self, paint: &str, with_gaps: bool) -> String {
        let tone = &TONES[self.0];
        let mut text = format!("{paint}=\"{}\" style=\"{paint}:var(--{})", tone.light, tone.name);
        if let Some(dash) = tone.dash.filter(|_| with_gaps && paint == "stroke") {
            let _ = write!(text, ";stroke-dasharray:{dash}");
        }
        text.push('"');
        text
    }

    /// The variable of the style sheet that holds its colour.
    pub fn variable(self) -> String {
        format!("var(--{})", TONES[self.0].name)
    }
}

/// Red and blue of every stand-in; its green is the ink's number.
const STAND_IN: (u8, u8) = (0x01, 0xFE);

/// Red of every stand-in that has no gaps.
const SOLID: u8 = 0x02;

/// Replaces every stand-in in a drawing by its ink.
pub fn replace_stand_ins(drawing: &str) -> String {
    let mut text = drawing.to_owned();
    for ink in (0..TONES.len()).map(Ink) {
        for (colour, with_gaps) in [(ink.stand_in(), true), (ink.solid(), false)] {
            let RGBColor(red, green, blue) = colour;
            for paint in ["fill", "stroke"] {
                let stand_in = format!("{paint}=\"#{red:02X}{green:02X}{blue:02X}\"");
                text = text.replace(&stand_in, &ink.attributes(paint, with_gaps));
            }
        }
    }
    text
}

/// The style sheet's variables: light unless the reader's system is dark.
pub fn variables() -> String {
    let list = |colour: fn(&Tone) -> &'static str| {
        TONES.iter().fold(String::new(), |mut list, tone| {
            let _ = write!(list, "--{}:{};", tone.name, colour(tone));
            list
        })
    };
    format!(
        ":root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        list(|tone| tone.light),
        list(|tone| tone.dark)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contenders;

    /// Red, green and blue, each from 0 to 1, proportional to light.
    fn linear(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let byte = u8::from_str_radix(&colour[at..at + 2], 16).expect("a hexadecimal colour");
            let share = f64::from(byte) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// As WCAG defines it.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour| {
            let [red, green, blue] = linear(colour);
            0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_contender_has_an_ink_of_its_own() {
        for contender in contenders::ALL {
            let ink = Ink::contender(contender.name);
            assert_eq!(TONES[ink.0].name, contender.name);
        }
        assert_eq!(Ink::contender("no such"), Ink::OTHER);
    }

    #[test]
    fn names_can_be_read_on_both_grounds() {
        let ground = &TONES[Ink::GROUND.0];
        let words = [Ink::TEXT, Ink::MUTED, Ink::BOUND].map(|ink| &TONES[ink.0]);
        for tone in words.into_iter().chain(&TONES[Ink::OTHER.0..]) {
            for (colour, ground) in [(tone.light, ground.light), (tone.dark, ground.dark)] {
                let contrast = contrast(colour, ground);
                assert!(contrast >= 4.3, "{} {colour} on {ground}: {contrast:.2}", tone.name);
            }
        }
    }

    /// How someone sees a colour who lacks the cones for red, or for green (Viénot, Brettel and Mollon, 1999):
    /// what is left is how bright it is, and how yellow or blue.
    fn without_red_or_green(colour: &str, lacks_red: bool) -> [f64; 3] {
        let [red, green, blue] = linear(colour);
        let yellow =
            if lacks_red { 0.112 * red + 0.888 * green } else { 0.293 * red + 0.707 * green };
        let blue = if lacks_red {
            0.004 * red - 0.004 * green + blue
        } else {
            -0.021 * red + 0.021 * green + blue
        };
        [yellow, yellow, blue].map(|share: f64| share.clamp(0.0, 1.0).cbrt() * 100.0)
    }

    #[test]
    fn neighbouring_rungs_differ_also_for_who_confuses_red_and_green() {
        let rungs =
            ["never-shrink", "keep-arenas", "return-arenas", "return-pools", "return-pages"];
        for pair in rungs.windows(2) {
            let [one, other] = [pair[0], pair[1]].map(|name| &TONES[Ink::contender(name).0]);
            for (one, other) in [(one.light, other.light), (one.dark, other.dark)] {
                for lacks_red in [true, false] {
                    let [a, b] = [one, other].map(|it| without_red_or_green(it, lacks_red));
                    let distance =
                        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 10.0, "{pair:?} {one} {other}: {distance:.1}");
                }
            }
        }
    }

    #[test]
    fn a_stand_in_becomes_a_variable_and_nothing_else_changes() {
        let drawing = "<a fill=\"#0100FE\"/><b stroke=\"#0105FE\"/><c fill=\"#0100FF\"/><d stroke=\"#0205FE\"/>";
        assert_eq!(
            replace_stand_ins(drawing),
            "<a fill=\"#1b1f24\" style=\"fill:var(--text)\"/>\
             <b stroke=\"#1b1f24\" style=\"stroke:var(--bound);stroke-dasharray:4 14\"/>\
             <c fill=\"#0100FF\"/><d stroke=\"#1b1f24\" style=\"stroke:var(--bound)\"/>"
        );
    }

    #[test]
    fn the_fixed_inks_have_their_names() {
        let named = [
            (Ink::TEXT, "text"),
            (Ink::LIVE, "live"),
            (Ink::RECORDS, "records"),
            (Ink::CLASSES[5], "class-6"),
            (Ink::OTHER, "other"),
        ];
        for (ink, name) in named {
            assert_eq!(TONES[ink.0].name, name);
        }
    }
}
