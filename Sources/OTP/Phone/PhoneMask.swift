/// Masks phone numbers for people: users recognize their own number, and strangers cannot call it.
public enum PhoneMask {
    /// The most digits that a mask shows at the front, and at the end.
    static let front = 4
    static let back = 3
    /// The fewest digits that a mask hides.
    static let hidden = 4

    /// Masks an E.164 number: `+966501234567` is `+9665•••••567`.
    ///
    /// Keeps four digits at the front and three at the end. Keeps fewer of both if the number is so short that fewer
    /// than four would be hidden. Hides text that is not a plus and digits entirely: it is never echoed.
    public static func mask(e164: String) -> String {
        let digits = e164.utf8.dropFirst()
        guard e164.utf8.first == UInt8(ascii: "+"), (1...15).contains(digits.count),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return "•••" }
        let visible = max(0, min(front + back, digits.count - hidden))
        let shownBack = min(back, visible / 2)
        let shownFront = min(front, visible - shownBack)
        var mask = "+"
        for (index, digit) in digits.enumerated() {
            let isShown = index < shownFront || index >= digits.count - shownBack
            mask.unicodeScalars.append(isShown ? Unicode.Scalar(digit) : "•")
        }
        return mask
    }
}
