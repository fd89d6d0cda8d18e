import OTP
import TestSupport
import Testing

@testable import Mail

@Suite("MailAddress")
struct AddressTests {
    @Test(
        "addresses, and the form in which they are sent",
        arguments: [
            ("user@example.com", "user@example.com"), ("User.Name+tag@Example.COM", "User.Name+tag@example.com"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"), ("1@1.example", "1@1.example"),
            ("user@bücher.example", "user@xn--bcher-kva.example"),
            ("user@BÜCHER.example", "user@xn--bcher-kva.example"),
            ("user@bu\u{308}cher.example", "user@xn--bcher-kva.example"),
            ("user@例え.テスト", "user@xn--r8jz45g.xn--zckzah"),
            ("user@مثال.إختبار", "user@xn--mgbh0fb.xn--kgbechtv"), ("user@ｅｘａｍｐｌｅ.com", "user@example.com"),
            ("user@faß.example", "user@xn--fa-hia.example"), ("user@example。com", "user@example.com"),
            ("почта@пример.example", "почта@xn--e1afmkfd.example"), ("پست@example.com", "پست@example.com"),
            ("用户@example.com", "用户@example.com"), ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ])
    func accepted(text: String, sent: String) throws {
        let address = try MailAddress(text)
        #expect(address.text == sent)
        #expect(try MailAddress(utf8: text.utf8.span) == address)
        // What is sent can be read again.
        #expect(try MailAddress(address.text) == address)
    }

    @Test(
        "what is no address",
        arguments: [
            ("", .empty), ("user", .noAt), ("@example.com", .badLocalPart), ("user@", .badDomain),
            ("a@b@example.com", .badLocalPart),
            (".a@example.com", .badLocalPart), ("a.@example.com", .badLocalPart), ("a..b@example.com", .badLocalPart),
            ("\"a b\"@example.com", .quoted), ("\"a\"@example.com", .quoted), ("a b@example.com", .badLocalPart),
            ("a@example", .noDot), ("a@localhost", .noDot), ("a@[127.0.0.1]", .addressLiteral),
            ("a@127.0.0.1", .addressLiteral),
            ("a@[IPv6:::1]", .addressLiteral), ("a@.example.com", .badDomain), ("a@example.com.", .badDomain),
            ("a@example..com", .badDomain),
            ("a@-example.com", .badDomain), ("a@example-.com", .badDomain), ("a@exa_mple.com", .badDomain),
            ("a@exam ple.com", .badDomain),
            ("<a@example.com>", .badLocalPart), ("a@example.com>", .badDomain),
            ("a@example.com\r\nRCPT TO:<b@example.com>", .badLocalPart),
            ("a\r\nb@example.com", .badLocalPart), ("a@example.com\n", .badDomain), ("\na@example.com", .badLocalPart),
            ("a\0@example.com", .badLocalPart), ("a@example.com\0", .badDomain),
            ("a\u{2028}b@example.com", .badLocalPart),
            ("a\u{85}b@example.com", .badLocalPart), ("a\u{202E}b@example.com", .badLocalPart),
            ("a\u{FEFF}@example.com", .badLocalPart),
            ("a\u{A0}b@example.com", .badLocalPart), ("a\u{E000}@example.com", .badLocalPart),
            ("a,b@example.com", .badLocalPart),
            ("a;b@example.com", .badLocalPart), ("a:b@example.com", .badLocalPart), ("a(b)@example.com", .badLocalPart),
            ("a\\b@example.com", .badLocalPart),
            ("a<b>@example.com", .badLocalPart), ("a@b.example.com SIZE=1", .badDomain),
            ("a@bü/cher.example", .badDomain), ("a@bü\u{0}.example", .badDomain), ("a@\u{301}b.example", .badDomain),
            ("a@ex\u{AD}\u{2F}ample.com", .badDomain),
            ("a@bü?cher.example", .badDomain), ("a@bü@cher.example", .badLocalPart), ("a@bü:80.example", .badDomain),
            ("a@b%C3%BC.example", .badDomain),
            ("a@bü%2e.example", .badDomain), ("a@\u{202E}.example", .badDomain), ("a@ü", .noDot),
            ("a@ex\u{2028}ample.com", .badDomain),
        ] as [(String, MailAddress.FormError)])
    func refused(text: String, error: MailAddress.FormError) {
        #expect(throws: error) { try MailAddress(text) }
        #expect(throws: error) { try MailAddress(utf8: text.utf8.span) }
    }

    @Test("the limits of RFC 5321, in bytes")
    func limits() throws {
        let local = String(repeating: "a", count: 64)
        let label = String(repeating: "b", count: 63)
        #expect(try MailAddress("\(local)@example.com").local.utf8.count == 64)
        #expect(throws: MailAddress.FormError.tooLong) { try MailAddress("\(local)a@example.com") }
        #expect(throws: MailAddress.FormError.tooLong) {
            try MailAddress(String(repeating: "ü", count: 33) + "@example.com")
        }
        let domain = "\(label).\(label).\(String(repeating: "c", count: 61))"
        #expect(try MailAddress("\(local)@\(domain)").text.utf8.count == 254)
        #expect(throws: MailAddress.FormError.tooLong) { try MailAddress("\(local)@\(domain)d") }
        #expect(throws: MailAddress.FormError.badDomain) { try MailAddress("a@\(label)b.example") }
    }

    @Test("a huge text is refused before it is read")
    func huge() {
        for text in [
            String(repeating: "a", count: 300_000), "a@" + String(repeating: "ü", count: 150_000),
            String(repeating: "@", count: 300_000),
        ] {
            #expect(throws: MailAddress.FormError.tooLong) { try MailAddress(text) }
        }
    }

    @Test(
        "bytes that are no UTF-8 are refused",
        arguments: [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]])
    func invalidBytes(bytes: [UInt8]) {
        let inLocal = bytes + Array("@example.com".utf8)
        let inDomain = Array("a@".utf8) + bytes + Array(".example".utf8)
        #expect(throws: MailAddress.FormError.badLocalPart) { try MailAddress(utf8: inLocal.span) }
        #expect(throws: MailAddress.FormError.badDomain) { try MailAddress(utf8: inDomain.span) }
    }

    @Test("it prints itself masked")
    func masked() throws {
        let address = try MailAddress("some.one@example.com")
        #expect("\(address)" == "s•••@example.com")
        #expect(String(reflecting: address) == "s•••@example.com")
        #expect(!String(describing: Optional(address)).contains("some"))
        #expect(try "\(MailAddress("a@example.com"))" == "•••@example.com")
    }

    @Test("whatever is accepted is one word without control characters", arguments: 0..<10)
    func random(seed: Int) {
        var random = SeededGenerator(seed)
        let alphabet = Array("ab.@ü-<> \r\n\0\"\\,;:%[]\u{2028}\u{85}例".unicodeScalars)
        for _ in 0..<1000 {
            var text = ""
            for _ in 0..<Int.random(in: 3...14, using: &random) {
                text.unicodeScalars.append(alphabet.randomElement(using: &random)!)
            }
            guard let address = try? MailAddress(text) else { continue }
            #expect(address.text.utf8.count { $0 == UInt8(ascii: "@") } == 1)
            #expect(address.text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"<>\"\\,;:[]()".utf8.contains($0) })
            #expect(address.domain.utf8.allSatisfy { $0 < 0x80 })
        }
    }
}

@Suite("MailServer")
struct MailServerTests {
    @Test(
        "URLs",
        arguments: [
            ("smtps://mail.example.com", "smtps://mail.example.com:465", MailServer.Security.tls),
            ("smtp://mail.example.com", "smtp://mail.example.com:587", .startTLS),
            ("smtp://Mail.Example.com:25/", "smtp://mail.example.com:25", .startTLS),
            ("smtp://localhost", "smtp://localhost:587", .plain),
            ("smtp://127.0.0.1:1025", "smtp://127.0.0.1:1025", .plain),
            ("smtp://[::1]:25", "smtp://[::1]:25", .plain), ("smtps://localhost", "smtps://localhost:465", .tls),
            ("smtp://127.0.0.1.example.com", "smtp://127.0.0.1.example.com:587", .startTLS),
            ("SMTPS://h.example", "smtps://h.example:465", .tls),
        ])
    func accepted(url: String, origin: String, security: MailServer.Security) throws {
        let server = try MailServer(url: url)
        #expect(server.origin == origin)
        #expect(server.security == security)
    }

    @Test("TLS can be required to this machine too")
    func required() throws { #expect(try MailServer(url: "smtp://localhost", requiresTLS: true).security == .startTLS) }

    @Test(
        "refused URLs",
        arguments: [
            "", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://user@mail.example.com",
            "smtp://u:p@mail.example.com",
            "smtp://;AUTH=NTLM@mail.example.com", "smtp://mail.example.com/x", "smtp://mail.example.com/?a",
            "smtp://mail.example.com/#a",
            "smtp://mail example.com", "smtp://mail.example.com\r\nRSET", "smtp://mail.example.com:0x19",
            "smtp://mail.example.com:99999",
            "lmtp://mail.example.com", "smtp://" + String(repeating: "a", count: 2000),
        ])
    func refused(url: String) { #expect(throws: MailError.self) { try MailServer(url: url) } }

    @Test("user name and password come together, and never print themselves")
    func login() throws {
        #expect(throws: MailError.self) { try MailServer(url: "smtp://localhost", username: .init("a")) }
        #expect(throws: MailError.self) { try MailServer(url: "smtp://localhost", password: .init("a")) }
        #expect(throws: MailError.self) {
            try MailServer(url: "smtp://localhost", username: .init("a\0"), password: .init("b"))
        }
        let server = try MailServer(url: "smtp://localhost", username: .init("name"), password: .init("hidden"))
        #expect("\(server)" == "smtp://localhost:587")
        var dumped = ""
        dump(server, to: &dumped)
        #expect(!dumped.contains("hidden"))
    }
}
