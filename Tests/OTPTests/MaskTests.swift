import OTP
import TestSupport
import Testing

struct MaskTests {
    @Test(arguments: [
        ("+966501234567", "+9665•••••567"), ("+15005550006", "+1500••••006"), ("+6831234", "+68••••4"),
        ("+1234", "+••••"), ("+12345", "+1••••"), ("+1", "+•"),
        ("", "•••"), ("0501234567", "•••"), ("+12ab", "•••"), ("+1234567890123456", "•••"), ("+", "•••"),
    ])
    func masks(_ number: String, _ mask: String) {
        #expect(PhoneMask.mask(e164: number) == mask)
    }

    /// However long the number: at least four digits hidden (or all of them), at most seven shown.
    @Test func neverShowsMoreThanAllowed() {
        var random = SeededGenerator(1)
        for _ in 0..<2_000 {
            let count = Int.random(in: 1...15, using: &random)
            let digits = (0..<count).map { _ in Character(String(Int.random(in: 0...9, using: &random))) }
            let mask = PhoneMask.mask(e164: "+" + String(digits))
            let shown = mask.dropFirst().filter { $0 != "•" }
            #expect(mask.dropFirst().count == count)
            #expect(shown.count <= 7 && count - shown.count >= min(4, count))
        }
    }

    /// Every way in which Swift prints a value.
    private func printed<T>(_ value: T) -> String {
        var dumped = ""
        dump(value, to: &dumped)
        dump([value], to: &dumped)
        dump(Optional(value), to: &dumped)
        return "\(value) \(String(reflecting: value)) \(String(describing: value)) \([value]) \(["k": value]) \(dumped)"
    }

    @Test func aNumberPrintsItsMaskAlone() throws {
        let number = try PhoneNumber(e164: "+966501234567")
        let text = printed(number)
        #expect(text.contains("+9665•••••567"))
        #expect(!text.contains("1234") && !text.contains("66501"))
    }

    @Test func secretsAndCodesPrintNothing() throws {
        let secret = printed(Secret("hunter2-hunter2"))
        #expect(secret.contains("redacted") && !secret.contains("hunter") && !secret.contains("104"))
        struct Holder { let secret: Secret, code: Code }
        let holder = printed(Holder(secret: Secret("hunter2"), code: try Code("482913")))
        #expect(holder.contains("redacted") && !holder.contains("hunter") && !holder.contains("482913"))
        #expect(!printed(try Code("482913")).contains("482913"))
        #expect(!printed(try Code("482913")).contains("5733"))
    }

    @Test func secretsGiveTheirBytesAndCompare() {
        let secret = Secret("abc")
        let bytes = secret.withBytes { span in
            var copy: [UInt8] = []
            for index in span.indices { copy.append(span[index]) }
            return copy
        }
        #expect(bytes == Array("abc".utf8))
        #expect(secret.count == 3 && !secret.isEmpty && Secret("").isEmpty)
        #expect(secret == Secret("abc"))
        #expect(secret != Secret("abd") && secret != Secret("ab") && secret != Secret(""))
        #expect(Secret("") == Secret(""))
    }

    @Test func codes() throws {
        for text in ["1", "000000", "482913", "ABCDEFGHIJKLMNOP", "12-34"] {
            var bytes: [UInt8] = []
            try Code(text).append(to: &bytes)
            #expect(bytes == Array(text.utf8))
        }
        #expect(throws: Code.FormError.empty) { try Code("") }
        #expect(throws: Code.FormError.tooLong) { try Code("ABCDEFGHIJKLMNOPQ") }
        for bad in ["12 34", "١٢٣٤", "12\u{0}4", "12\n"] {
            #expect(throws: Code.FormError.notVisibleASCII) { try Code(bad) }
        }
        #expect(try Code("0482913") != Code("482913"))
        #expect(try Code("482913") == Code("482913"))
    }
}
