import OTP
import Testing

/// The last line for WebOTP, read as the specification says ("Origin-bound one-time codes delivered via SMS").
struct WebOTPTests {
    /// Host and code of a message, as a phone reads them; nil if it offers none.
    ///
    /// The last line is `@host #code`: one space, nothing after the code, no line break after the line.
    static func read(_ message: String) -> (host: String, code: String)? {
        let scalars = Array(message.unicodeScalars)
        let start = (scalars.lastIndex { $0 == "\n" || $0 == "\r" } ?? -1) + 1
        let line = scalars[start...]
        guard line.first == "@", let space = line.firstIndex(of: " ") else { return nil }
        let rest = line[(space + 1)...]
        guard rest.first == "#", rest.count > 1, !rest.contains(where: { $0.properties.isWhitespace }) else {
            return nil
        }
        func text(_ part: ArraySlice<Unicode.Scalar>) -> String {
            part.reduce(into: "") { $0.unicodeScalars.append($1) }
        }
        let host = text(line[(start + 1)..<space])
        return host.isEmpty ? nil : (host, text(rest.dropFirst()))
    }

    func render(_ text: String, host: String?, code: String = "482913") throws -> String {
        var buffer: [UInt8] = []
        try Template(text, webOTPHost: host)
            .render(into: &buffer, app: Array("Mgask".utf8), code: Code(code), minutes: 5)
        return String(decoding: buffer, as: UTF8.self)
    }

    @Test func theReaderOfThisTestIsStrict() {
        #expect(WebOTPTests.read("x\n@a.example #1")! == ("a.example", "1"))
        for bad in [
            "x\n@a.example #1\n", "x\n@a.example #1 ", "x @a.example #1", "x\n@a.example  #1",
            "x\n@a.example 1", "x\n@a.example #", "x\n @a.example #1", "x\n@a.example #1\nthanks", "x\n@ #1",
        ] {
            #expect(WebOTPTests.read(bad) == nil, "\(bad)")
        }
    }

    @Test func theWholeMessage() throws {
        #expect(
            try render(TemplateTests.english, host: "mgask.example")
                == "Your Mgask verification code is: 482913. Valid for 5 minutes.\n@mgask.example #482913")
        #expect(try render(TemplateTests.english, host: nil).contains("@") == false)
    }

    @Test(arguments: [
        "{code}", "{code}\n", "{code}\r\n", "{code} @other.example #1", "{code}\n@other.example #{code}",
        "😀{code}\u{301}",
        TemplateTests.english, TemplateTests.arabic,
    ])
    func aPhoneReadsHostAndCode(text: String) throws {
        for host in ["example.com", "a.b.c-d.example", "xn--mgba3a4f16a.xn--mgberp4a5d4ar", "1.example"] {
            for code in ["482913", "004321", "aB3z"] {
                let message = try render(text, host: host, code: code)
                let read = try #require(WebOTPTests.read(message), "\(message)")
                #expect(read == (host, code))
                #expect(message == (try render(text, host: nil, code: code)) + "\n@\(host) #\(code)")
            }
        }
    }

    @Test(arguments: [
        "", ".", "localhost", "example", "Example.com", "example.com.", ".example.com", "a..example", "example.com:443",
        "https://example.com", "example.com/", "exam ple.com", "example.com\n", "-a.example", "a-.example",
        "a_b.example",
        "127.0.0.1", "[::1]", "مثال.السعودية", "example.com #1", "@example.com", "user@example.com",
        String(repeating: "a", count: 64) + ".example", String(repeating: "abcdefg.", count: 31) + "example",
    ])
    func whatIsNoHost(host: String) {
        #expect(throws: Template.Problem.notAHost) { try Template("{code}", webOTPHost: host) }
    }

    @Test func theLongestHost() throws {
        let host = String(repeating: "abcdefg.", count: 30) + "abcdef.example"
        #expect(host.utf8.count == 254)
        #expect(throws: Template.Problem.notAHost) { try Template("{code}", webOTPHost: host) }
        #expect(try render("{code}", host: String(host.dropFirst())).hasSuffix("#482913"))
        #expect(try render("{code}", host: String(repeating: "a", count: 63) + ".example").hasSuffix("#482913"))
    }

    /// The code must be in the text itself too, for people without such a phone.
    @Test func theLineDoesNotStandForTheCode() {
        #expect(throws: Template.Problem.noCode) { try Template("Your code:", webOTPHost: "example.com") }
    }

    @Test func segmentsCountTheLine() throws {
        let english = SegmentCount(try render(TemplateTests.english, host: "mgask.example"))
        #expect(english == SegmentCount("\(try render(TemplateTests.english, host: nil))\n@mgask.example #482913"))
        #expect(english.encoding == .gsm7 && english.units == 61 + 1 + 22 && english.segments == 1)
        // In UCS-2 the line makes one segment into two.
        #expect(SegmentCount(try render(TemplateTests.arabic, host: nil)).segments == 1)
        let arabic = SegmentCount(try render(TemplateTests.arabic, host: "mgask.example"))
        #expect(arabic.encoding == .ucs2 && arabic.segments == 2)
    }

    @Test func aSlipInTheHostKeepsTheTextOfBefore() throws {
        let row = TemplateSet.Row(purpose: "b", locale: "en", text: "{code}", webOTPHost: "example.com")
        let set = TemplateSet([row])
        #expect(try set.template(purpose: "b", locale: "en") == Template("{code}", webOTPHost: "example.com"))
        let slip = TemplateSet(
            [.init(purpose: "b", locale: "en", text: "{code}", webOTPHost: "https://example.com")], keeping: set)
        #expect(slip.badRows.map(\.problem) == [.notAHost])
        #expect(try slip.template(purpose: "b", locale: "en") == Template("{code}", webOTPHost: "example.com"))
    }
}
