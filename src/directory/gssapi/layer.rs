//! What follows once both sides know each other: the choice of a security layer (RFC 4752 section
//! 3.1). No I/O.

/// How the messages of a connection are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::directory) enum Protection {
    /// By TLS; GSSAPI adds no layer.
    Tls,
    /// By GSSAPI, which encrypts each message.
    Sealed,
}

/// The longest sealed message that is accepted, which is the longest that can be announced.
pub(super) const MAX_SEALED: u32 = 0xff_ffff;
/// What sealing adds to a message at most: a header, a confounder, a checksum and padding (RFC 4121
/// section 4.2.4).
const OVERHEAD: usize = 256;
/// The longest message that is sealed in one piece.
const MAX_PIECE: usize = 64 << 10;

/// What a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    /// A bit for each layer.
    layers: u8,
    /// The longest sealed message that it accepts.
    longest: u32,
}

/// The answer to an offer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::directory) struct Choice {
    /// What is sent, wrapped: the layer and the longest message that is accepted.
    pub answer: [u8; 4],
    /// The longest message to seal in one piece.
    pub longest_piece: usize,
}

impl Offer {
    /// An offer, unwrapped.
    pub fn of(message: &[u8]) -> Option<Self> {
        let [layers, one, two, three] = *message else {
            return None;
        };
        Some(Self {
            layers,
            longest: u32::from_be_bytes([0, one, two, three]),
        })
    }

    /// The layer for this protection; none if the server does not offer it, or only with messages
    /// too short for a request.
    pub fn choose(self, protection: Protection) -> Option<Choice> {
        let (layer, accepted) = match protection {
            // Without a layer, the length is 0.
            Protection::Tls => (1, 0),
            Protection::Sealed => (4, MAX_SEALED),
        };
        let longest = usize::try_from(self.longest).unwrap_or(usize::MAX);
        let longest_piece = longest.saturating_sub(OVERHEAD).min(MAX_PIECE);
        let is_offered = self.layers & layer != 0
            && (protection == Protection::Tls || longest_piece >= OVERHEAD);
        let [_, one, two, three] = accepted.to_be_bytes();
        is_offered.then_some(Choice {
            answer: [layer, one, two, three],
            longest_piece,
        })
    }

    /// The layers in words.
    pub fn words(self) -> String {
        let offered: Vec<&str> = [(1, "none"), (2, "signed messages"), (4, "sealed messages")]
            .into_iter()
            .filter(|(layer, _)| self.layers & layer != 0)
            .map(|(_, name)| name)
            .collect();
        offered.join(", ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_layer_that_is_needed_or_none() {
        let all = Offer::of(&[7, 0, 0xff, 0xff]).unwrap();
        assert_eq!(
            all.choose(Protection::Tls).unwrap().answer,
            [1, 0, 0, 0],
            "without a layer, the length is 0"
        );
        let sealed = all.choose(Protection::Sealed).unwrap();
        assert_eq!(
            (sealed.answer, sealed.longest_piece),
            ([4, 0xff, 0xff, 0xff], 0xffff - OVERHEAD)
        );
        let large = Offer::of(&[4, 0xff, 0xff, 0xff]).unwrap();
        assert_eq!(
            large.choose(Protection::Sealed).unwrap().longest_piece,
            MAX_PIECE
        );
    }

    #[test]
    fn nothing_less_is_accepted() {
        // Signed messages can be read by everybody.
        let signed = Offer::of(&[3, 0, 0xff, 0xff]).unwrap();
        assert_eq!(signed.choose(Protection::Sealed), None);
        assert_eq!(signed.words(), "none, signed messages");
        let layers = Offer::of(&[6, 0, 0xff, 0xff]).unwrap();
        assert_eq!(layers.choose(Protection::Tls), None);
        // No message would fit.
        let short = Offer::of(&[7, 0, 1, 0]).unwrap();
        assert_eq!(short.choose(Protection::Sealed), None);
        for message in [&[][..], &[7, 0, 0], &[7, 0, 0, 0, 0]] {
            assert_eq!(Offer::of(message), None);
        }
    }
}
