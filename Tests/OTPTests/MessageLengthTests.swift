import OTP
import Testing

@Suite struct MessageLengthTests {
    @Test(arguments: ["", "abc", "رمز", "é", "日本", "😀", "a😀ب", "\u{FFFD}"])
    func unitsAreThoseOfUTF16(text: String) {
        #expect(MessageLength.units(utf8: text.utf8) == text.utf16.count)
    }

    @Test func theLimitItselfFits() {
        for unit in ["a", "ب", "日", "😀"] {
            let count = MessageLength.limit / unit.utf16.count
            #expect(MessageLength.fits(utf8: Array(String(repeating: unit, count: count).utf8)))
            #expect(!MessageLength.fits(utf8: Array(String(repeating: unit, count: count + 1).utf8)))
        }
    }

    @Test func whatGSM7Lacks() {
        #expect(SegmentCount.beyondGSM7("Your code: 1 {}€").isEmpty)
        #expect(SegmentCount.beyondGSM7("it\u{2019}s \u{2019}x\u{2019} \u{2013}") == ["\u{2019}", "\u{2013}"])
        #expect(SegmentCount("it\u{2019}s").encoding == .ucs2)
    }
}
