//! The site's colour: any is taken, and darkened or lightened until it can be read (WCAG 2.2, 1.4.3).

/// What text and its ground must differ by.
const CONTRAST: f64 = 4.6;
/// The darkest and the lightest ground of `style.css`.
const DARK: Colour = Colour([0x1c, 0x1f, 0x26]);
const WHITE: Colour = Colour([0xff, 0xff, 0xff]);

/// A colour as `#1a5f8a` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl Colour {
    /// Reads `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(Self([red, green, blue]))
    }

    /// The same, dark enough to be read on white, and to read white on it.
    #[must_use]
    pub fn on_light(self) -> Self {
        self.until_readable(WHITE, Self([0, 0, 0]))
    }

    /// The same, light enough to be read on the dark ground, and to read that on it.
    #[must_use]
    pub fn on_dark(self) -> Self {
        self.until_readable(DARK, WHITE)
    }

    /// Mixed with `towards` as little as it takes.
    fn until_readable(self, ground: Self, towards: Self) -> Self {
        let mixed = (0..=100).map(|percent| self.mixed(towards, percent));
        mixed.into_iter().find(|mixed| mixed.contrast(ground) >= CONTRAST).unwrap_or(towards)
    }

    fn mixed(self, other: Self, percent: u32) -> Self {
        let Self(mut mixed) = self;
        for (channel, to) in mixed.iter_mut().zip(other.0) {
            let sum = u32::from(*channel) * (100 - percent) + u32::from(to) * percent;
            *channel = u8::try_from(sum / 100).unwrap_or(u8::MAX);
        }
        Self(mixed)
    }

    /// The contrast of two colours (WCAG 2.2, "contrast ratio").
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.040_45 {
                channel / 12.92
            } else {
                ((channel + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_can_be_read() {
        for text in ["#000000", "#ffffff", "#ffff00", "#0000ff", "#1a5f8a", "#808080", "#ff0000"] {
            let colour = Colour::parse(text).expect("is one");
            assert!(colour.on_light().contrast(WHITE) >= CONTRAST, "{text}");
            assert!(colour.on_dark().contrast(DARK) >= CONTRAST, "{text}");
        }
        let kept = Colour::parse("#1a5f8a").expect("is one");
        assert_eq!(kept.on_light().to_string(), "#1a5f8a", "what can be read stays");
    }

    #[test]
    fn what_is_no_colour_is_refused() {
        for text in ["", "#", "#12345", "#1234567", "123456", "red", "#+12345", "#12345g"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }
}
