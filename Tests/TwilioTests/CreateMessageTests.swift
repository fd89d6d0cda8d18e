import OTP
import TestSupport
import Testing

@testable import Twilio

/// Decodes a form as a server does, for round trips.
func decodeForm(_ bytes: [UInt8]) -> [(String, [UInt8])] {
    func decode(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            switch text[index] {
            case UInt8(ascii: "+"): decoded.append(0x20)
            case UInt8(ascii: "%"):
                decoded.append(UInt8(String(decoding: text[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)!)
                index += 2
            default: decoded.append(text[index])
            }
            index += 1
        }
        return decoded
    }
    return bytes.split(separator: UInt8(ascii: "&")).map { field in
        let equals = field.firstIndex(of: UInt8(ascii: "="))!
        return (String(decoding: decode(field[..<equals]), as: UTF8.self), decode(field[(equals + 1)...]))
    }
}

struct CreateMessageTests {
    static let number = try! PhoneNumber(e164: "+966501234567")

    func form(
        _ create: CreateMessage, body: String = "Your code is 1234.", life: Duration = .seconds(299),
        job: Int64 = 1, attempt: Int32 = 1
    ) -> (Bool, [UInt8]) {
        var buffer: [UInt8] = Array("old contents".utf8)
        let written = create.write(
            into: &buffer, to: CreateMessageTests.number, body: body.utf8.span, lifeLeft: life, job: job,
            attempt: attempt)
        return (written, buffer)
    }

    @Test func theWholeForm() throws {
        let (written, bytes) = form(CreateMessage(sender: try Sender(from: "+15005550006"), statusCallback: nil))
        #expect(written)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "To=%2B966501234567&From=%2B15005550006&ValidityPeriod=299&Body=Your+code+is+1234.")
    }

    @Test func messagingServiceAndCallback() throws {
        let service = "MG0123456789abcdef0123456789abcdef"
        for (url, expected) in [
            ("https://example.com/cb", "https://example.com/cb?reference=9223372036854775807.12"),
            ("https://example.com/cb?x=1", "https://example.com/cb?x=1&reference=9223372036854775807.12"),
        ] {
            let create = CreateMessage(sender: try Sender(messagingService: service), statusCallback: url)
            let fields = Dictionary(
                uniqueKeysWithValues: decodeForm(form(create, job: .max, attempt: 12).1).map {
                    ($0.0, String(decoding: $0.1, as: UTF8.self))
                })
            #expect(fields["MessagingServiceSid"] == service && fields["From"] == nil)
            #expect(fields["StatusCallback"] == expected)
            #expect(fields["To"] == "+966501234567" && fields.count == 5)
        }
    }

    @Test(
        arguments: [
            (0.0, nil), (0.999, nil), (-5.0, nil), (1.0, 1), (1.9, 1), (299.99, 299), (36_000.0, 36_000),
            (90_000.0, 36_000),
        ] as [(Double, Int?)])
    func validityIsTheLifeLeft(_ life: Double, _ period: Int?) throws {
        let (written, bytes) = form(
            CreateMessage(sender: try Sender(from: "Mgask"), statusCallback: nil), life: .seconds(life))
        #expect(written == (period != nil))
        if let period {
            #expect(String(decoding: bytes, as: UTF8.self).contains("&ValidityPeriod=\(period)&"))
        } else {
            #expect(bytes.isEmpty)
        }
    }

    /// All bytes come out as they went in, and only plain ASCII is sent.
    @Test func percentEncodingRoundTrip() throws {
        var random = SeededGenerator(21)
        for round in 0..<400 {
            let bytes: [UInt8] =
                round == 0
                ? Array(0...255)
                : (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            var encoded: [UInt8] = []
            FormEncoding.append(bytes.span, to: &encoded)
            #expect(
                encoded.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "&") && $0 != UInt8(ascii: "=") })
            #expect(decodeForm(Array("k=".utf8) + encoded).first?.1 ?? [] == bytes)
        }
    }

    @Test func theBufferIsReused() throws {
        let create = CreateMessage(sender: try Sender(from: "+15005550006"), statusCallback: nil)
        var buffer: [UInt8] = []
        buffer.reserveCapacity(4_096)
        let before = buffer.capacity
        for _ in 0..<100 {
            _ = create.write(
                into: &buffer, to: CreateMessageTests.number, body: "رمز التحقق 1234".utf8.span, lifeLeft: .seconds(60),
                job: 1, attempt: 1)
        }
        #expect(buffer.capacity == before)
    }
}

struct CredentialsTests {
    static let account = "AC0123456789abcdef0123456789abcdef"

    func text(_ secret: Secret) -> String {
        secret.withBytes { span in
            var bytes: [UInt8] = []
            for index in span.indices { bytes.append(span[index]) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    @Test func basicAuthorization() throws {
        let credentials = try Credentials(accountSID: CredentialsTests.account, authToken: Secret("token"))
        #expect(
            text(credentials.authorization)
                == "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0b2tlbg==")
        let keyed = try Credentials(
            accountSID: CredentialsTests.account, keySID: "SK" + CredentialsTests.account.dropFirst(2),
            keySecret: Secret("s3"))
        #expect(
            text(keyed.authorization) == "Basic U0swMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpzMw==")
        var dumped = ""
        dump(credentials, to: &dumped)
        #expect(!"\(credentials) \(dumped)".contains("token") && !dumped.contains("QUMw"))
    }

    /// The test vectors of RFC 4648.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64(_ plain: String, _ encoded: String) {
        var buffer: [UInt8] = []
        Base64.append(plain.utf8.span, to: &buffer)
        #expect(String(decoding: buffer, as: UTF8.self) == encoded)
    }

    @Test func problemsNameTheSettingAndNeverTheValue() {
        let account = CredentialsTests.account
        #expect(throws: SettingProblem.notAccountSID) { try Credentials(accountSID: "AC12", authToken: Secret("t")) }
        #expect(throws: SettingProblem.surroundingSpaces("TWILIO_ACCOUNT_SID")) {
            try Credentials(accountSID: account + " ", authToken: Secret("t"))
        }
        #expect(throws: SettingProblem.emptySecret("TWILIO_AUTH_TOKEN")) {
            try Credentials(accountSID: account, authToken: Secret(""))
        }
        for secret in [" hunter2", "hunter2\n", "\thunter2"] {
            let problem = #expect(throws: SettingProblem.surroundingSpaces("TWILIO_AUTH_TOKEN")) {
                try Credentials(accountSID: account, authToken: Secret(secret))
            }
            #expect(problem?.description.contains("hunter2") == false)
        }
        #expect(throws: SettingProblem.notKeySID) {
            try Credentials(accountSID: account, keySID: account, keySecret: Secret("t"))
        }
    }

    @Test func senders() throws {
        for good in ["+15005550006", "12345", "123", "12345678", "Mgask", "My App", "A1", "123a"] {
            #expect(try Sender(from: good) == .from(good))
        }
        for bad in [
            "", "+", "+1500555x", "123456789", "12", "1234 567", "TwelveLetters", "Ünï", "+12345678901234567",
            "+0966501234",
            "+123456", "My-App",
        ] {
            #expect(throws: SettingProblem.notASender) { try Sender(from: bad) }
        }
        #expect(throws: SettingProblem.surroundingSpaces("TWILIO_PHONE_NUMBER")) { try Sender(from: " +15005550006") }
        #expect(throws: SettingProblem.notASender) { try Sender(messagingService: "MG1") }
    }

    @Test func paths() throws {
        let endpoint = Endpoint(accountSID: CredentialsTests.account)
        let base = "/2010-04-01/Accounts/\(CredentialsTests.account)/Messages"
        #expect(endpoint.messages == base + ".json")
        let sid = try #require(MessageSID("SM0123456789abcdef0123456789abcdef"))
        #expect(endpoint.message(sid) == base + "/SM0123456789abcdef0123456789abcdef.json")
        #expect(
            endpoint.messages(to: CreateMessageTests.number, pageSize: 5_000)
                == base + ".json?To=%2B966501234567&PageSize=1000")
    }
}
