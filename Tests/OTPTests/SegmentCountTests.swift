import OTP
import TestSupport
import Testing

struct SegmentCountTests {
    /// The tables of 3GPP TS 23.038, written here independently, position by position.
    static let basic: [Character] = Array(
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
            + "¿abcdefghijklmnopqrstuvwxyzäöñüà")
    static let extended: [Character] = ["\u{C}", "^", "{", "}", "\\", "[", "~", "]", "|", "€"]

    @Test func theAlphabetIsWhole() {
        // 128 positions, without the escape.
        #expect(SegmentCountTests.basic.count == 127)
        for character in SegmentCountTests.basic {
            #expect(SegmentCount(String(character)).encoding == .gsm7 && SegmentCount(String(character)).units == 1)
        }
        for character in SegmentCountTests.extended {
            #expect(SegmentCount(String(character)).encoding == .gsm7 && SegmentCount(String(character)).units == 2)
        }
        let all = Set((SegmentCountTests.basic + SegmentCountTests.extended).flatMap(\.unicodeScalars))
        for value in UInt32(0)..<0x3000 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            #expect((SegmentCount(String(scalar)).encoding == .gsm7) == all.contains(scalar), "U+\(value)")
        }
    }

    @Test(arguments: [
        ("", 0, 0), ("a", 1, 1), (String(repeating: "a", count: 160), 160, 1),
        (String(repeating: "a", count: 161), 161, 2), (String(repeating: "a", count: 306), 306, 2),
        (String(repeating: "a", count: 307), 307, 3), (String(repeating: "€", count: 80), 160, 1),
        // 76 pairs fill 152 of 153. The next pair is not split.
        (String(repeating: "€", count: 81), 162, 2), (String(repeating: "€", count: 152), 304, 2),
        (String(repeating: "€", count: 153), 306, 3), (String(repeating: "a", count: 152) + "€" + "aaaaaaa", 161, 2),
        (String(repeating: "a", count: 152) + "€" + String(repeating: "a", count: 152), 306, 3),
    ])
    func gsm7(_ text: String, _ units: Int, _ segments: Int) {
        let count = SegmentCount(text)
        #expect(count.encoding == .gsm7 && count.units == units && count.segments == segments)
    }

    @Test(arguments: [
        ("ر", 1, 1), (String(repeating: "ر", count: 70), 70, 1), (String(repeating: "ر", count: 71), 71, 2),
        (String(repeating: "ر", count: 134), 134, 2), (String(repeating: "ر", count: 135), 135, 3),
        ("ç", 1, 1), (String(repeating: "😀", count: 35), 70, 1),
        // 33 pairs fill 66 of 67. The next pair is not split.
        (String(repeating: "😀", count: 36), 72, 2), (String(repeating: "😀", count: 67), 134, 3),
        (String(repeating: "ر", count: 66) + "😀" + "ررر", 71, 2),
        ("a" + String(repeating: "é", count: 69) + "ر", 71, 2),
    ])
    func ucs2(_ text: String, _ units: Int, _ segments: Int) {
        let count = SegmentCount(text)
        #expect(count.encoding == .ucs2 && count.units == units && count.segments == segments)
    }

    @Test func referenceTexts() {
        let english = SegmentCount("Your Mgask verification code is: 482913. Valid for 5 minutes.")
        #expect(english.encoding == .gsm7 && english.segments == 1)
        let arabic = SegmentCount("رمز التحقق الخاص بك هو: 482913. صالح لمدة 5 دقائق.")
        #expect(arabic.encoding == .ucs2 && arabic.segments == 1)
        #expect(SegmentCount(utf8: Array("€".utf8)) == SegmentCount("€"))
    }

    /// A slow reference that places the units one by one into segments.
    private func reference(_ text: String) -> (Int, Int) {
        let known = SegmentCountTests.basic + SegmentCountTests.extended
        let isGSM7 = text.unicodeScalars.allSatisfy { scalar in
            known.contains { $0.unicodeScalars.elementsEqual([scalar]) }
        }
        var characters: [[Int]] = []
        for scalar in text.unicodeScalars {
            if isGSM7 {
                let isLong = SegmentCountTests.extended.contains { $0.unicodeScalars.elementsEqual([scalar]) }
                characters.append(isLong ? [0x1B, 1] : [1])
            } else {
                characters.append(String(scalar).utf16.map { Int($0) })
            }
        }
        let units = characters.joined().count
        if units <= (isGSM7 ? 160 : 70) { return (units, units == 0 ? 0 : 1) }
        var segments: [[Int]] = [[]]
        for character in characters {
            if segments[segments.count - 1].count + character.count > (isGSM7 ? 153 : 67) { segments.append([]) }
            segments[segments.count - 1] += character
        }
        return (units, segments.count)
    }

    @Test func agreesWithTheSlowReference() {
        var random = SeededGenerator(3)
        let gsm = ["a", "5", " ", "é", "€", "^", "{", "\n", "Ω"]
        let ucs = gsm + ["ر", "😀", "ç", "漢"]
        for round in 0..<600 {
            let pool = round % 2 == 0 ? gsm : ucs
            let length = [Int.random(in: 0...400, using: &random), 153, 154, 160, 161, 67, 68, 70, 71].randomElement(
                using: &random)!
            let text = (0..<length).map { _ in pool.randomElement(using: &random)! }.joined()
            let (units, segments) = reference(text)
            let count = SegmentCount(text)
            #expect(count.units == units && count.segments == segments)
        }
    }
}
