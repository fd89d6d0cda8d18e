import OTP
import Testing

struct MessageSIDTests {
    @Test func messageSIDs() {
        let text = "SM0123456789abcdef0123456789abcdeF"
        #expect(MessageSID(text)?.description == text)
        #expect(MessageSID("MM\(text.dropFirst(2))") != nil)
        #expect(MessageSID(text) != MessageSID(text.lowercased()))
        let digits = text.dropFirst(2)
        let call = MessageSID("CA\(digits)")
        #expect(call?.description == "CA\(digits)" && call?.isCall == true)
        #expect(MessageSID(text)?.isCall == false && MessageSID("MM\(digits)")?.isCall == false)
        let cut = text.dropLast()
        let bad: [String] = [
            "", "SM", "AC\(digits)", "sm\(digits)", "ca\(digits)", "CM\(digits)", "SA\(digits)", "\(text)0", "\(cut)",
            "\(cut)g", "\(cut)\u{0}",
            "\(cut.dropLast())é",
        ]
        for bad in bad {
            #expect(MessageSID(bad) == nil)
        }
    }
}
