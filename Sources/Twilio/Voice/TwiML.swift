public import OTP

/// Writes TwiML, the XML that tells Twilio what to do in a call: it waits a second, and says the words three times.
///
/// The code is spoken character by character with pauses between them. A voice would read `482913` as a number, and `4.`
/// as "fourth" in some languages, so each character stands alone between pauses (`<break>`), without punctuation. Letters
/// are spelt (`<say-as>`), because a voice reads `A` as a word.
public enum TwiML {
    /// The most characters that Twilio takes as `Twiml` (its API description), in UTF-16 units.
    public static let limit = 4_000
    /// How often the words are said.
    public static let rounds = 3

    /// Appends the document as UTF-8. `app` is UTF-8; `minutes` as from `Template.minutes(lifeLeft:)`.
    public static func write(
        _ words: CallWords, app: [UInt8], code: Code, minutes: Int, into buffer: inout [UInt8]
    ) {
        buffer.append(#"<?xml version="1.0" encoding="UTF-8"?><Response>"#)
        // The first second of a call is often lost.
        buffer.append(#"<Pause length="1"/><Say language=""#)
        buffer.append(contentsOf: words.voice.language.utf8)
        buffer.append(#"" voice=""#)
        buffer.append(contentsOf: words.voice.name.utf8)
        buffer.append(#"" loop=""#)
        buffer.append(decimal: rounds)
        buffer.append(#"">"#)
        words.template.forEachPart { part in
            switch part {
            case .literal(let literal): escape(literal, into: &buffer)
            case .placeholder(.app): escape(app[...], into: &buffer)
            case .placeholder(.code): spell(code, into: &buffer)
            case .placeholder(.minutes): buffer.append(decimal: minutes)
            }
        }
        buffer.append(#"<break time="1s"/></Say></Response>"#)
    }

    /// Whether Twilio takes a document of these bytes.
    public static func fits(utf8 bytes: [UInt8]) -> Bool {
        bytes.count <= limit || MessageLength.units(utf8: bytes) <= limit
    }

    private static func spell(_ code: Code, into buffer: inout [UInt8]) {
        code.forEachCharacter { character in
            if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character) {
                buffer.append(character)
            } else {
                buffer.append(#"<say-as interpret-as="characters">"#)
                escape(character, into: &buffer)
                buffer.append("</say-as>")
            }
            buffer.append(#"<break time="500ms"/>"#)
        }
    }

    private static func escape(_ text: ArraySlice<UInt8>, into buffer: inout [UInt8]) {
        for byte in text { escape(byte, into: &buffer) }
    }

    /// A document with a character that XML does not allow is refused as a whole, so control characters become spaces.
    private static func escape(_ byte: UInt8, into buffer: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "&"): buffer.append("&amp;")
        case UInt8(ascii: "<"): buffer.append("&lt;")
        case UInt8(ascii: ">"): buffer.append("&gt;")
        case 0..<0x20, 0x7F: buffer.append(UInt8(ascii: " "))
        default: buffer.append(byte)
        }
    }
}
