/// The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038, 6.2.1).
enum GSM7 {
    /// How many septets a character takes: one, two for the extension table, nil where the alphabet lacks it.
    static func units(of scalar: Unicode.Scalar) -> Int? {
        switch scalar {
        case "\n", "\r", " "..."#", "%"..."?", "A"..."Z", "a"..."z", "@", "$", "_": 1
        case "£", "¥", "è", "é", "ù", "ì", "ò", "Ç", "Ø", "ø", "Å", "å", "Æ", "æ", "ß", "É", "¤", "¡": 1
        case "Ä", "Ö", "Ñ", "Ü", "§", "¿", "ä", "ö", "ñ", "ü", "à": 1
        case "Δ", "Φ", "Γ", "Λ", "Ω", "Π", "Ψ", "Σ", "Θ", "Ξ": 1
        case "\u{C}", "^", "{", "}", "\\", "[", "~", "]", "|", "€": 2
        default: nil
        }
    }
}
