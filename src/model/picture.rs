//! Pictures of people: what an image is, and its digest.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest picture that is sent to ftrack, in bytes.
pub const LARGEST_PICTURE: usize = 4 << 20;

/// The length of a digest, in hexadecimal digits.
const DIGITS: usize = 32;

/// The beginning of a picture's SHA-256, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PictureDigest(Box<str>);

impl PictureDigest {
    /// The digest of a picture.
    #[must_use]
    pub fn of(picture: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, picture);
        let digits: String = digest
            .as_ref()
            .iter()
            .take(DIGITS / 2)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self(digits.into())
    }

    /// The digest with this text, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
        (text.len() == DIGITS && text.chars().all(is_hex)).then(|| Self(text.into()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PictureDigest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not the digest of a picture"))
    }
}

impl From<PictureDigest> for String {
    fn from(digest: PictureDigest) -> Self {
        digest.0.into()
    }
}

impl fmt::Display for PictureDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The form of an image that ftrack shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum ImageForm {
    Jpeg,
    Png,
}

impl ImageForm {
    /// The form of an image, by how it begins; none where it is no such image.
    #[must_use]
    pub fn of(picture: &[u8]) -> Option<Self> {
        const JPEG: &[u8] = b"\xff\xd8\xff";
        const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
        if picture.starts_with(JPEG) {
            Some(Self::Jpeg)
        } else if picture.starts_with(PNG) {
            Some(Self::Png)
        } else {
            None
        }
    }

    /// The end of the name of its file.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => ".jpg",
            Self::Png => ".png",
        }
    }
}

/// Why a value of the directory is not sent as a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnfitPicture {
    /// It is neither a JPEG nor a PNG image.
    NoImage,
    /// It has more than [`LARGEST_PICTURE`] bytes.
    TooLarge,
}

/// Why a value is not sent, for people.
impl fmt::Display for UnfitPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage => f.write_str("no JPEG or PNG image"),
            Self::TooLarge => write!(f, "more than {} MiB", LARGEST_PICTURE >> 20),
        }
    }
}

/// The digest of a value, if it can be sent.
///
/// # Errors
/// It cannot.
pub fn sendable(picture: &[u8]) -> Result<PictureDigest, UnfitPicture> {
    if picture.len() > LARGEST_PICTURE {
        return Err(UnfitPicture::TooLarge);
    }
    ImageForm::of(picture).ok_or(UnfitPicture::NoImage)?;
    Ok(PictureDigest::of(picture))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_images_that_are_not_too_large_can_be_sent() {
        let mut jpeg = b"\xff\xd8\xff\xe0 an image".to_vec();
        let digest = sendable(&jpeg).unwrap();
        assert_eq!(PictureDigest::parse(digest.as_str()), Some(digest.clone()));
        assert_eq!(ImageForm::of(&jpeg), Some(ImageForm::Jpeg));
        assert_eq!(ImageForm::of(b"\x89PNG\r\n\x1a\n..."), Some(ImageForm::Png));
        for other in [&b""[..], b"\xff\xd8", b"GIF89a", b"<svg>", b"\x89PNG"] {
            assert_eq!(sendable(other), Err(UnfitPicture::NoImage), "{other:?}");
        }
        jpeg.resize(LARGEST_PICTURE, 0);
        assert_ne!(sendable(&jpeg), Ok(digest));
        jpeg.push(0);
        assert_eq!(sendable(&jpeg), Err(UnfitPicture::TooLarge));
        for text in [
            "",
            "abc",
            "ABCDEFABCDEFABCDEFABCDEFABCDEFAB",
            &"0".repeat(33),
        ] {
            assert_eq!(PictureDigest::parse(text), None, "{text}");
        }
    }
}
