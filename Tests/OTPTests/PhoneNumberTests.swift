import Testing

@testable import OTP

/// The daemon's own check, of the form alone. SQL decides which numbers exist (Tests/sql/phone_numbers.py).
struct PhoneNumberTests {
    @Test(arguments: [
        "+966501234567", "+6835123", "+12025550123", "+123456789012345", "+999501234567", "+966112345678",
    ])
    func anE164NumberIsTakenAsItIs(_ text: String) throws {
        let number = try PhoneNumber(e164: text)
        #expect(number.e164 == text)
        let isWritten = number.isWritten(text.utf8.span)
        #expect(isWritten)
        var bytes: [UInt8] = []
        number.append(to: &bytes)
        #expect(bytes == Array(text.utf8))
        bytes = []
        number.appendDigits(to: &bytes)
        #expect(bytes == Array(text.utf8.dropFirst()))
    }

    @Test(arguments: [
        "", "+", "+1", "+123456", "966501234567", "0501234567", "+0966501234567", "+1234567890123456", "++966501234567",
        "+966 50 1234567", "+96650123456a", "+966501234567+", " +966501234567", "+966501234567\n", "+٩٦٦٥٠١٢٣٤٥٦٧",
        "\u{200E}+966501234567", "+9665\u{0}1234567", "\u{FF0B}966501234567",
    ])
    func anythingElseIsRefused(_ text: String) {
        #expect(throws: PhoneNumber.FormError.notE164) { try PhoneNumber(e164: text) }
    }

    @Test func bytesThatAreNotTextAreRefused() {
        for bytes: [UInt8] in [[0xFF], Array("+96650123456".utf8) + [0xC0], [0x2B] + Array(repeating: 0xFF, count: 12)]
        {
            #expect(throws: PhoneNumber.FormError.notE164) { try PhoneNumber(e164: bytes.span) }
        }
    }

    @Test func tenMegabytesCostNothing() {
        let long = "+" + String(repeating: "5", count: 10_000_000)
        let took = ContinuousClock().measure {
            for _ in 0..<10_000 {
                #expect(throws: PhoneNumber.FormError.notE164) { try PhoneNumber(e164: long) }
            }
        }
        // Reading ten megabytes ten thousand times would take most of a minute.
        #expect(took < .seconds(15))
    }

    @Test func aNumberIsWrittenInOneWayAlone() throws {
        let number = try PhoneNumber(e164: "+966501234567")
        for other in ["+966501234568", "+96650123456", "966501234567", "+0966501234567", "", "+", "+9665012345678901"] {
            let isWritten = number.isWritten(other.utf8.span)
            #expect(!isWritten, "\(other)")
        }
    }

    @Test func theRefusalSaysWhatToDoAndNotTheNumber() {
        #expect("\(PhoneNumber.FormError.notE164)".contains("otp.verifications.e164"))
    }

    @Test func regionsAreTwoLettersOr001() throws {
        for (text, code) in [("SA", "SA"), ("sa", "SA"), ("Gb", "GB"), ("001", "001")] {
            #expect(Region(text)?.code == code)
        }
        for bad in ["", "S", "SAU", "ف", "S1", "12", "1", "0", "00", "0011", "s\u{301}a"] {
            #expect(Region(bad) == nil, "\(bad)")
        }
    }
}
