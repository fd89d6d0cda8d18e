import OTP
import TestSupport
import Testing

@testable import Twilio

/// Every request of otpd's agrees with Twilio's own description.
struct MessagesAPITests {
    static let account = "AC0123456789abcdefABCDEF0123456789"
    static let service = "MG0123456789abcdefABCDEF0123456789"

    /// Why `value` is invalid for `parameter`; nil if it is valid.
    static func problem(_ value: String, _ parameter: MessagesAPI.Parameter) -> String? {
        let count = value.unicodeScalars.count
        if let length = parameter.length, !length.contains(count) { return "length \(count)" }
        if let pattern = parameter.pattern, !matches(value, pattern) { return "not like \(pattern)" }
        if !parameter.words.isEmpty, !parameter.words.contains(value) { return "not one of \(parameter.words)" }
        switch parameter.kind {
        case .integer:
            guard let number = Int(value), "\(number)" == value else { return "no integer" }
            if let minimum = parameter.minimum, number < minimum { return "below \(minimum)" }
            if let maximum = parameter.maximum, number > maximum { return "above \(maximum)" }
        case .boolean: if value != "true", value != "false" { return "no boolean" }
        case .number: if Double(value) == nil { return "no number" }
        case .string, .list: break
        }
        switch parameter.format {
        // Senders may be short codes and names too, as the description says beside the format.
        case "phone-number":
            let isNumber = matches(value, "^[+][1-9][0-9]{6,14}$")
            let isSender = matches(value, "^[0-9]{3,8}$|^(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}$")
            if !isNumber, parameter.name != "From" || !isSender { return "no phone number" }
        case "uri": if !matches(value, "^https?://[A-Za-z0-9.-]+(:[0-9]+)?([/?][^ ]*)?$") { return "no URL" }
        default: break
        }
        return nil
    }

    static func matches(_ value: String, _ pattern: String) -> Bool {
        guard let regex = try? Regex(pattern) else { return false }
        return (try? regex.wholeMatch(in: value)) != nil && value.wholeMatch(of: regex) != nil
    }

    /// Why these fields are invalid for `operation`; empty if they are valid.
    static func problems(_ fields: [(String, String)], _ operation: MessagesAPI.Operation) -> [String] {
        var problems: [String] = []
        for (name, value) in fields {
            guard let parameter = operation.parameters.first(where: { $0.name == name }) else {
                problems.append("\(name): unknown")
                continue
            }
            if let problem = problem(value, parameter) { problems.append("\(name): \(problem)") }
            if fields.count(where: { $0.0 == name }) > 1, parameter.kind != .list { problems.append("\(name): twice") }
        }
        for parameter in operation.parameters where parameter.isRequired {
            if !fields.contains(where: { $0.0 == parameter.name }) { problems.append("\(parameter.name): missing") }
        }
        return problems
    }

    @Test func everyMessageIsCreatedAsDescribed() throws {
        var random = SeededGenerator(31)
        let numbers = try ["+966501234567", "+201001234567", "+12025550123", "+4915112345678"].map {
            try PhoneNumber(e164: $0)
        }
        let senders = try [
            Sender(from: "+15005550006"), Sender(from: "12345"), Sender(from: "My App"), Sender(from: "Mgask"),
            Sender(messagingService: Self.service), Sender(country: Self.service), Sender(country: "A1"),
        ]
        let callbacks = [nil, "https://example.com/cb", "https://example.com:8443/a/b?x=1&y=%20", "http://a-b.example"]
        let pieces = [
            "482913", "رمز التحقق", "😀", " ", "\n", "&To=+1", "=", "%2B", "+", "#", "\u{301}", "é", "@a.example",
        ]
        var buffer: [UInt8] = []
        for _ in 0..<2_000 {
            let create = CreateMessage(
                sender: senders.randomElement(using: &random)!, statusCallback: callbacks.randomElement(using: &random)!
            )
            let body = (0...Int.random(in: 0...40, using: &random))
                .map { _ in pieces.randomElement(using: &random)! }.joined()
            let life = Duration.milliseconds(Int64.random(in: 1_000...90_000_000, using: &random))
            let number = numbers.randomElement(using: &random)!
            try #require(
                create.write(
                    into: &buffer, to: number, body: body.utf8.span, lifeLeft: life,
                    job: .random(in: 1...(.max), using: &random), attempt: .random(in: 1...(.max), using: &random)))
            let fields = decodeForm(buffer).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) }
            let problems = Self.problems(fields, MessagesAPI.create)
            try #require(problems.isEmpty, "\(problems) in \(String(decoding: buffer, as: UTF8.self))")
            // Rules that the description gives in prose: one sender, and a text.
            let names = Set(fields.map(\.0))
            #expect(names.contains("From") != names.contains("MessagingServiceSid"))
            #expect(fields.first { $0.0 == "Body" }?.1 == body)
        }
    }

    @Test func everyWhatsAppMessageIsCreatedAsDescribed() throws {
        var random = SeededGenerator(32)
        let content = try #require(ContentSID("HX0123456789abcdefABCDEF0123456789"))
        let senders = try ["+15005550006", "whatsapp:+15005550006", Self.service].map {
            try WhatsAppSender($0, setting: "SENDER")
        }
        let characters = Array("0123456789ABCxyz\"\\&=")
        var buffer: [UInt8] = []
        for _ in 0..<500 {
            let code = String(
                (0..<Int.random(in: 1...16, using: &random)).map { _ in
                    characters.randomElement(using: &random)!
                })
            let create = CreateWhatsAppMessage(
                sender: senders.randomElement(using: &random)!, statusCallback: "https://example.com/cb")
            try #require(
                create.write(
                    into: &buffer, to: CreateMessageTests.number, content: content, code: try Code(code),
                    lifeLeft: .seconds(60), job: 1, attempt: 1))
            var fields = decodeForm(buffer).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) }
            // The description's format is that of a number; the prefix of the channel is in its prose.
            for index in fields.indices where ["To", "From"].contains(fields[index].0) {
                try #require(fields[index].1.hasPrefix("whatsapp:+"))
                fields[index].1.removeFirst(9)
            }
            let problems = Self.problems(fields, MessagesAPI.create)
            try #require(problems.isEmpty, "\(problems) in \(String(decoding: buffer, as: UTF8.self))")
            let names = Set(fields.map(\.0))
            #expect(names.contains("From") != names.contains("MessagingServiceSid"))
            #expect(!names.contains("Body") && names.contains("ContentSid") && names.contains("ContentVariables"))
        }
    }

    @Test func theCheckFindsWhatIsWrong() {
        let right = [("To", "+966501234567"), ("From", "+15005550006"), ("Body", "x"), ("ValidityPeriod", "60")]
        #expect(Self.problems(right, MessagesAPI.create).isEmpty)
        for (name, value) in [
            ("To", "966501234567"), ("To", "Mgask"), ("From", "Twelve-Letters"), ("ValidityPeriod", "0"),
            ("ValidityPeriod", "36001"), ("ValidityPeriod", "1.5"), ("Body", String(repeating: "x", count: 1_601)),
        ] {
            let wrong = right.map { $0.0 == name ? (name, value) : $0 }
            #expect(Self.problems(wrong, MessagesAPI.create).count == 1, "\(name) \(value)")
        }
        for field in [
            ("to", "+966501234567"), ("MessagingServiceSID", Self.service), ("MessagingServiceSid", "MG12"),
            ("StatusCallback", "example.com"), ("StatusCallback", "https://a_b.example/"), ("RiskCheck", "off"),
            ("SmartEncoded", "1"),
        ] {
            #expect(Self.problems(right + [field], MessagesAPI.create).count == 1, "\(field)")
        }
        #expect(Self.problems(right + [("Body", "y")], MessagesAPI.create) == ["Body: twice", "Body: twice"])
        #expect(Self.problems([("Body", "x")], MessagesAPI.create) == ["To: missing"])
    }

    @Test func theLimitsAreTwilios() throws {
        func parameter(_ name: String, _ operation: MessagesAPI.Operation) throws -> MessagesAPI.Parameter {
            try #require(operation.parameters.first { $0.name == name })
        }
        let validity = try parameter("ValidityPeriod", MessagesAPI.create)
        #expect(CreateMessage.validityPeriods == (validity.minimum ?? 0)...(validity.maximum ?? 0))
        // The longest text that otp.templates accepts, with the longest last line for WebOTP.
        let host = String(repeating: "abcdefg.", count: 30) + "abcde.example"
        let text = String(repeating: "x", count: 1_000 - 6) + "{code}"
        var message: [UInt8] = []
        try Template(text, webOTPHost: host).render(
            into: &message, app: [], code: Code("123456789012"), minutes: 10)
        #expect(
            Self.problem(String(decoding: message, as: UTF8.self), try parameter("Body", MessagesAPI.create)) == nil)
    }

    @Test func pathsAreAsDescribed() throws {
        let endpoint = Endpoint(accountSID: Self.account)
        let sid = "SM0123456789abcdef0123456789abcdef"
        func filled(_ operation: MessagesAPI.Operation) throws -> String {
            var path = operation.path
            for (name, value) in [("AccountSid", Self.account), ("Sid", sid)] {
                guard let range = path.firstRange(of: "{\(name)}") else { continue }
                let parameter = try #require(operation.inPath.first { $0.name == name })
                #expect(Self.problem(value, parameter) == nil)
                path.replaceSubrange(range, with: value)
            }
            return path
        }
        #expect(endpoint.messages == (try filled(MessagesAPI.create)))
        #expect(endpoint.message(try #require(MessageSID(sid))) == (try filled(MessagesAPI.fetch)))
        for size in [1, 20, 50, 1_000, 5_000] {
            let parts = endpoint.messages(to: CreateMessageTests.number, pageSize: size).split(separator: "?")
            #expect(String(parts[0]) == (try filled(MessagesAPI.list)))
            let fields = decodeForm(Array(parts[1].utf8)).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) }
            #expect(fields.map(\.0) == ["To", "PageSize"])
            #expect(Self.problems(fields, MessagesAPI.list).isEmpty)
        }
    }

    @Test func aTextIsEmptiedAsDescribed() throws {
        let fields = decodeForm(Endpoint.redaction).map { ($0.0, String(decoding: $0.1, as: UTF8.self)) }
        #expect(fields.map(\.0) == ["Body"])
        #expect(fields.map(\.1) == [""])
        #expect(Self.problems(fields, MessagesAPI.update).isEmpty)
        #expect(MessagesAPI.update.path == MessagesAPI.fetch.path)
        #expect(Self.problems(fields + [("Status", "deleted")], MessagesAPI.update).count == 1)
    }

    /// Settings and rows count as identifiers exactly if Twilio's patterns match them.
    @Test func identifiersAreTwilios() throws {
        let account = try #require(MessagesAPI.create.inPath.first)
        let service = try #require(MessagesAPI.create.parameters.first { $0.name == "MessagingServiceSid" })
        let message = try #require(MessagesAPI.fetch.inPath.first { $0.name == "Sid" })
        var random = SeededGenerator(32)
        let alphabet = Array("0123456789abcdefABCDEFgG \né")
        for _ in 0..<3_000 {
            let prefix = ["AC", "MG", "SM", "MM", "ac", "SK", ""].randomElement(using: &random)!
            let limit = Bool.random(using: &random) ? 22 : alphabet.count
            let digits = String(
                (0..<[31, 32, 32, 32, 33].randomElement(using: &random)!)
                    .map { _ in alphabet[Int.random(in: 0..<limit, using: &random)] })
            let text = prefix + digits
            #expect(Identifier.isValid(text, prefix: "AC") == (Self.problem(text, account) == nil), "\(text)")
            #expect(Identifier.isValid(text, prefix: "MG") == (Self.problem(text, service) == nil), "\(text)")
            #expect((MessageSID(text) != nil) == (Self.problem(text, message) == nil), "\(text)")
        }
    }
}
