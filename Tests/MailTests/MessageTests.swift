import TestSupport
import Testing

@testable import Mail

/// A mail's head and parts, as a receiver reads them. Understands just enough, and refuses what the rules forbid.
struct ReadMail {
    var headers: [(name: String, value: String)] = []
    var parts: [(headers: String, text: [UInt8])] = []

    subscript(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    init(_ bytes: [UInt8]) throws {
        let whole = String(decoding: bytes, as: UTF8.self)
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
            throw Trouble("no end of the head: \(whole)")
        }
        for line in Self.lines(bytes[..<(end.lowerBound + 2)]) {
            if line.first == " " || line.first == "\t" {
                guard !headers.isEmpty, line.contains(where: { $0 != " " && $0 != "\t" }) else {
                    throw Trouble("an empty folded line")
                }
                headers[headers.count - 1].value += "\r\n" + line
            } else {
                guard let colon = line.firstIndex(of: ":") else { throw Trouble("no header: \(line)") }
                headers.append((String(line[..<colon]), String(line[line.index(colon, offsetBy: 2)...])))
            }
        }
        for part in Self.split(Array(bytes[end.upperBound...]), at: Array("--=_otpd".utf8)) {
            guard let end = part.firstRange(of: Array("\r\n\r\n".utf8)) else {
                throw Trouble("a part without a head: \(whole)")
            }
            parts.append(
                (
                    String(decoding: part[..<end.lowerBound], as: UTF8.self),
                    try Self.decoded(Array(part[end.upperBound...]))
                ))
        }
    }

    private static func lines(_ bytes: ArraySlice<UInt8>) -> [String] {
        split(Array(bytes), at: [13, 10]).dropLast().map { String(decoding: $0, as: UTF8.self) }
    }

    /// The pieces between the boundaries, and for lines all pieces.
    private static func split(_ bytes: [UInt8], at mark: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = [[]]
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: mark) {
                pieces.append([])
                index += mark.count
            } else {
                pieces[pieces.count - 1].append(bytes[index])
                index += 1
            }
        }
        return mark.count == 2
            ? pieces
            : pieces.dropFirst().dropLast()
                .map { Array($0) }
    }

    private static func decoded(_ bytes: [UInt8]) throws -> [UInt8] {
        var text: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "=") else {
                text.append(bytes[index])
                index += 1
                continue
            }
            if bytes[(index + 1)...].starts(with: [13, 10]) {
                index += 3
                continue
            }
            guard index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            else { throw Trouble("bad quoted-printable") }
            text.append(value)
            index += 3
        }
        return text
    }

    /// The text behind encoded words.
    static func decodedHeader(_ value: String) throws -> String {
        guard value.hasPrefix("=?UTF-8?B?") else { return value }
        var bytes: [UInt8] = []
        for word in value.split(separator: "\r\n ") {
            guard word.utf8.count <= 75, word.hasPrefix("=?UTF-8?B?"), word.hasSuffix("?=") else {
                throw Trouble("bad word: \(word)")
            }
            let part = try base64(word.dropFirst(10).dropLast(2))
            guard String(validating: part, as: UTF8.self) != nil else { throw Trouble("a character is split") }
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func base64(_ text: Substring) throws -> [UInt8] {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var (bits, count, bytes) = (0, 0, [UInt8]())
        for character in text where character != "=" {
            guard let digit = digits.firstIndex(of: character) else { throw Trouble("bad base64") }
            (bits, count) = (bits << 6 | digit, count + 6)
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(bits >> count & 255))
            }
        }
        return bytes
    }
}

@Suite("MailMessage")
struct MessageTests {
    private static let id = MailMessageID(local: "otpd-17-abc", domain: "Example.com")!

    private func write(
        _ subject: String, _ text: String, locale: String = "en", name: String = "Café", to: String = "user@example.org"
    ) throws -> [UInt8] {
        let message = MailMessage(
            from: MailSender(name: name, address: try MailAddress("app@example.com")), to: try MailAddress(to),
            messageID: Self.id, date: 1_796_000_000, locale: locale)
        var buffer: [UInt8] = []
        message.write(subject: subject.utf8.span, text: text.utf8.span, into: &buffer)
        return buffer
    }

    @Test("a whole mail, byte by byte")
    func whole() throws {
        let text = String(
            decoding: try write("Your code is 123456", "Hello,\n\n123456 is = your <code>.\nBye"), as: UTF8.self)
        #expect(
            text.replacing("\r\n", with: "\n") == """
                From: =?UTF-8?B?Q2Fmw6k=?=
                 <app@example.com>
                To: <user@example.org>
                Subject: Your code is 123456
                Date: Mon, 30 Nov 2026 00:53:20 +0000
                Message-ID: <otpd-17-abc@example.com>
                Auto-Submitted: auto-generated
                MIME-Version: 1.0
                Content-Type: multipart/alternative; boundary="=_otpd"

                --=_otpd
                Content-Type: text/plain; charset=UTF-8
                Content-Transfer-Encoding: quoted-printable

                Hello,

                123456 is =3D your <code>.
                Bye
                --=_otpd
                Content-Type: text/html; charset=UTF-8
                Content-Transfer-Encoding: quoted-printable

                <!DOCTYPE html>
                <html lang=3D"en"><head><meta charset=3D"utf-8"></head><body>
                <p>Hello,</p>
                <p>123456 is =3D your &lt;code&gt;.<br>
                Bye</p>
                </body></html>
                --=_otpd--

                """)
    }

    @Test(
        "languages from right to left",
        arguments: [
            ("ar", "lang=\"ar\" dir=\"rtl\""), ("ar_SA", "lang=\"ar-SA\" dir=\"rtl\""),
            ("he", "lang=\"he\" dir=\"rtl\""),
            ("fa-IR", "lang=\"fa-IR\" dir=\"rtl\""), ("UR", "lang=\"UR\" dir=\"rtl\""), ("en", "lang=\"en\">"),
            ("arn", "lang=\"arn\">"),
            ("\"><script>", "<html>"), ("", "<html>"),
        ])
    func direction(locale: String, tag: String) throws {
        let mail = try ReadMail(try write("x", "رمزك 123456", locale: locale))
        #expect(String(decoding: mail.parts[1].text, as: UTF8.self).contains(tag))
        #expect(!String(decoding: mail.parts[1].text, as: UTF8.self).contains("<script"))
        #expect(String(decoding: mail.parts[0].text, as: UTF8.self) == "رمزك 123456\r\n")
    }

    @Test("HTML is escaped")
    func escaped() throws {
        let mail = try ReadMail(try write("x", "<img src=x onerror='a()'> & \"b\"</p></body>"))
        #expect(
            String(decoding: mail.parts[1].text, as: UTF8.self).contains(
                "<p>&lt;img src=x onerror=&#39;a()&#39;&gt; &amp; &quot;b&quot;&lt;/p&gt;&lt;/body&gt;</p>"))
    }

    @Test(
        "a line that begins with a dot or with From, or that ends with a space, arrives as it is",
        arguments: [
            ".", "..", ".hidden\n.\nMAIL FROM:<a@example.com>", "From here\nFrom", "a \nb\t\n c", "a  ", "--=_otpd--",
            "=20",
            String(repeating: "x", count: 74) + ".y", String(repeating: "x", count: 75) + "From",
            String(repeating: "é", count: 200),
        ])
    func lines(text: String) throws {
        let bytes = try write("x", text)
        let mail = try ReadMail(bytes)
        #expect(String(decoding: mail.parts[0].text, as: UTF8.self) == text.replacing("\n", with: "\r\n") + "\r\n")
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { $0.utf8.count <= 76 && !$0.hasPrefix(".") && !$0.hasPrefix("From ") })
        #expect(lines.drop { !$0.isEmpty }.allSatisfy { $0.last != " " && $0.last != "\t" })
        // Nothing is left for the transport to do.
        var stuffed = bytes
        DotStuffing.apply(to: &stuffed)
        #expect(stuffed == bytes)
    }

    @Test(
        "subjects: what arrives",
        arguments: [
            ("Your code", "Your code"), ("", ""), ("  a \t b  ", "a b"),
            ("a\r\nBcc: x@example.com", "a Bcc: x@example.com"),
            ("a\nb", "a b"), ("a\rb", "a b"), ("a\0b", "a b"),
            ("a\u{2028}b\u{2029}c\u{85}d\u{0B}e\u{0C}f", "a b c d e f"), ("\r\n\r\nbody", "body"),
            ("=?UTF-8?B?Qg==?=", "=?UTF-8?B?Qg==?="), ("=?utf-8?q?=0d=0aBcc:_x?=", "=?utf-8?q?=0d=0aBcc:_x?="),
            ("a =? b", "a =? b"),
            ("رمزك هو 123456", "رمزك هو 123456"), ("a\u{202E}b", "a b"), ("\u{FEFF}a", "a"), ("می‌خواهم", "می‌خواهم"),
            ("👨‍👩‍👧‍👦 family", "👨‍👩‍👧‍👦 family"),
            (String(repeating: "long ", count: 50), String(repeating: "long ", count: 50).dropLast().description),
            (String(repeating: "é漢👍", count: 60), String(repeating: "é漢👍", count: 60)),
            (String(repeating: "x", count: 2000), String(repeating: "x", count: 2000)),
        ])
    func subjects(subject: String, wanted: String) throws {
        let mail = try ReadMail(try write(subject, "x"))
        #expect(try ReadMail.decodedHeader(try #require(mail["Subject"])) == wanted)
        #expect(mail.headers.count == 8)
    }

    @Test(
        "names of the sender",
        arguments: [
            ("App", "\"App\"\r\n <app@example.com>"), ("", "<app@example.com>"),
            ("A \"b\" \\c", "\"A \\\"b\\\" \\\\c\"\r\n <app@example.com>"),
            ("A, B <c@example.com>", "\"A, B <c@example.com>\"\r\n <app@example.com>"),
            ("A\r\nBcc: x", "\"A Bcc: x\"\r\n <app@example.com>"),
        ])
    func names(name: String, wanted: String) throws {
        #expect(try ReadMail(try write("x", "x", name: name))["From"] == wanted)
    }

    @Test(
        "whatever subject, name, text and locale have in them: eight headers, two parts, short lines, ASCII",
        arguments: 0..<20)
    func injection(seed: Int) throws {
        var random = SeededGenerator(seed)
        let pieces = [
            "\r", "\n", "\r\n", "\0", "\u{2028}", "\u{2029}", "\u{85}", "\u{0B}", "\t", " ", "  ", ".", "\r\n.\r\n",
            "--=_otpd", "--=_otpd--", "=", "=?",
            "?=", "=?UTF-8?B?", "=?utf-8?Q?=0D=0A?=", "Bcc: x@example.com", "Content-Type: text/html", "\"", "\\", "<",
            ">", "a", "é", "漢", "👍", "رمز",
            "\u{202E}", "\u{FEFF}", "{code}", String(repeating: "w", count: 80), "From ", ":", ",", ";", "&lt;", "</p>",
        ]
        func text() -> String {
            (0..<Int.random(in: 0...14, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined()
        }
        for _ in 0..<40 {
            let (subject, body) = (text(), text())
            let bytes = try write(subject, body, locale: text(), name: text())
            #expect(bytes.allSatisfy { ($0 >= 0x20 && $0 < 0x7F) || $0 == 13 || $0 == 10 || $0 == 9 })
            #expect(!zip(bytes, bytes.dropFirst()).contains { ($0 == 13) != ($1 == 10) })
            let mail = try ReadMail(bytes)
            #expect(
                mail.headers.map(\.name) == [
                    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
                ])
            #expect(mail.parts.count == 2)
            let lines = String(decoding: bytes, as: UTF8.self).split(
                separator: "\r\n", omittingEmptySubsequences: false)
            #expect(lines.allSatisfy { $0.utf8.count <= 140 && !$0.hasPrefix(".") })
            // The text arrives, but for line breaks and controls.
            let arrived = String(decoding: mail.parts[0].text, as: UTF8.self)
            let kept = body.replacing("\0", with: "").replacing("\u{0B}", with: "").replacing("\r\n", with: "\n")
                .replacing("\r", with: "\n")
            #expect(
                arrived.unicodeScalars.filter { $0 != "\r" && $0 != "\n" }.elementsEqual(
                    kept.unicodeScalars.filter { $0 != "\r" && $0 != "\n" }))
        }
    }

    @Test("bytes that are no UTF-8 make no header and no line", arguments: 0..<10)
    func invalidBytes(seed: Int) throws {
        var random = SeededGenerator(seed)
        let message = MailMessage(
            from: MailSender(address: try MailAddress("app@example.com")), to: try MailAddress("user@example.org"),
            messageID: Self.id, date: 0, locale: "en")
        for _ in 0..<50 {
            let noise = (0..<40).map { _ in UInt8.random(in: 0...255, using: &random) }
            var buffer: [UInt8] = []
            message.write(subject: noise.span, text: noise.span, into: &buffer)
            let mail = try ReadMail(buffer)
            #expect(mail.headers.count == 8)
            #expect(buffer.allSatisfy { $0 < 0x80 })
        }
    }

    @Test("the buffer grows once, before the code is written", arguments: ["a\n\n", "\"", "é", "a", " \n"])
    func reserves(piece: String) throws {
        let message = MailMessage(
            from: MailSender(name: "Café", address: try MailAddress("app@example.com")),
            to: try MailAddress("user@example.org"),
            messageID: Self.id, date: 0, locale: "ar")
        let text = String(repeating: piece, count: 3000)
        var buffer: [UInt8] = []
        buffer.reserveCapacity(2048 + 4 * text.utf8.count + 25 * text.utf8.count)
        let address = buffer.withUnsafeBufferPointer { $0.baseAddress }
        message.write(subject: text.utf8.span, text: text.utf8.span, into: &buffer)
        #expect(buffer.withUnsafeBufferPointer { $0.baseAddress } == address)
    }

    @Test("a recipient with SMTPUTF8 is in the head as it is")
    func international() throws {
        let mail = try ReadMail(try write("x", "x", to: "почта@bücher.example"))
        #expect(mail["To"] == "<почта@xn--bcher-kva.example>")
    }
}

@Suite("The small parts of a mail")
struct PartsTests {
    @Test(
        arguments: [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000"), (1_709_251_200, "Fri, 1 Mar 2024 00:00:00 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 +0000"),
            (Int64.max, "Fri, 31 Dec 9999 23:59:59 +0000"), (-1, "Thu, 1 Jan 1970 00:00:00 +0000"),
        ] as [(Int64, String)])
    func dates(seconds: Int64, text: String) { #expect(MailDate.text(seconds) == text) }

    @Test(
        "Message-IDs",
        arguments: [
            ("otpd-1-a", "example.com", "otpd-1-a@example.com"), ("a.b_c", "EXAMPLE.com", "a.b_c@example.com"),
            ("", "example.com", nil),
            (".a", "example.com", nil), ("a.", "example.com", nil), ("a..b", "example.com", nil),
            ("a b", "example.com", nil), ("a>\r\nBcc: x", "example.com", nil),
            ("a", "bücher.example", nil), ("a", "", nil), ("a", "example.com\r\n", nil), ("a@b", "example.com", nil),
            (String(repeating: "a", count: 65), "example.com", nil),
        ])
    func messageIDs(local: String, domain: String, text: String?) {
        #expect(MailMessageID(local: local, domain: domain)?.text == text)
    }

    @Test(
        "senders",
        arguments: [
            ("app@example.com", "", "app@example.com"), ("App <app@example.com>", "App", "app@example.com"),
            ("\"A, B\" <a@example.com>", "A, B", "a@example.com"),
            (" Café  Zürich  <a@example.com> ", "Café  Zürich", "a@example.com"),
            ("<a@example.com>", "", "a@example.com"), ("A <b> <a@example.com>", "A <b>", "a@example.com"),
        ])
    func senders(text: String, name: String, address: String) throws {
        let sender = try MailSender(text)
        #expect(sender.name == name)
        #expect(sender.address.text == address)
    }

    @Test(
        "refused senders",
        arguments: [
            "", "App", "App <app>", "App <a@example.com", "a@example.com>", "App <a@example.com> x",
            String(repeating: "a", count: 2000),
        ])
    func refusedSenders(text: String) { #expect(throws: MailAddress.FormError.self) { try MailSender(text) } }
}
