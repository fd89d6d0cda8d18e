import Testing

@testable import TwilioSimulator

@Suite struct FormTests {
    @Test(arguments: [
        ("a=1&b=2", [("a", "1"), ("b", "2")]), ("a=1+2%2B3", [("a", "1 2+3")]), ("a==b", [("a", "=b")]),
        ("a&b=", [("a", ""), ("b", "")]), ("&&a=1&", [("a", "1")]), ("=x", [("", "x")]), ("", []),
        ("a=%zz%4&b=%", [("a", "%zz%4"), ("b", "%")]), ("DateSent%3C=2024-01-01", [("DateSent<", "2024-01-01")]),
        ("DateSent<=2024-01-01", [("DateSent<", "2024-01-01")]), ("a=%D8%B1%00", [("a", "ر\0")]),
    ])
    func parses(text: String, fields: [(String, String)]) {
        let parsed = Form(text.utf8).fields.map { (String(utf8: $0.name), String(utf8: $0.value)) }
        #expect(parsed.map(\.0) == fields.map(\.0))
        #expect(parsed.map(\.1) == fields.map(\.1))
    }

    @Test func everyByteSurvivesTheRoundTrip() {
        let all = [UInt8](0...255)
        var body = Array("x=".utf8)
        PercentEncoding.append(all, to: &body)
        #expect(Form(body)["x"] == all)
    }

    @Test func theFirstOfARepeatedNameCounts() {
        #expect(Form("a=1&a=2".utf8).text("a") == "1")
        #expect(Form("a=1".utf8)["b"] == nil)
    }
}

@Suite struct JSONTests {
    private func escaped(_ text: String, ascii: Bool) -> String {
        var output: [UInt8] = []
        JSON.append(string: text, ascii: ascii, to: &output)
        return String(utf8: output)
    }

    @Test func escapesAsTwilioDoes() {
        #expect(escaped("plain", ascii: true) == "\"plain\"")
        #expect(escaped("a\"\\\n\r\t\u{1}\u{7F}", ascii: true) == "\"a\\\"\\\\\\n\\r\\t\\u0001\\u007f\"")
        #expect(escaped("رمز", ascii: true) == "\"\\u0631\\u0645\\u0632\"")
        #expect(escaped("👍", ascii: true) == "\"\\ud83d\\udc4d\"")
        #expect(escaped("رمز👍\0", ascii: false) == "\"رمز👍\\u0000\"")
    }

    @Test func bytesThatAreNotUTF8AreReplaced() {
        var output: [UInt8] = []
        JSON.append(string: [0x61, 0xFF] as [UInt8], to: &output)
        #expect(String(utf8: output) == "\"a\\ufffd\"")
    }
}

@Suite struct SIDTests {
    private let codec = SIDCodec(key: 0x1234_5678_9ABC_DEF0, checkKey: 42)

    @Test(arguments: [0, 1, 2, 8191, 8192, 1_000_000, Int.max])
    func decodesWhatItMade(sequence: Int) {
        let sid = codec.sid(sequence)
        #expect(sid.count == 34)
        #expect(codec.sequence(of: sid) == sequence)
    }

    @Test func refusesStrangers() {
        var sid = codec.sid(5)
        sid[33] ^= 1
        #expect(codec.sequence(of: sid) == nil)
        #expect(codec.sequence(of: "SM".utf8) == nil)
        #expect(codec.sequence(of: Array(("SM" + String(repeating: "g", count: 32)).utf8)) == nil)
        #expect(SIDCodec(key: 1, checkKey: 2).sequence(of: codec.sid(5)) == nil)
    }
}

@Suite struct DateTests {
    @Test func printsRFC2822() {
        #expect(Dates.rfc2822(seconds: 0) == "Thu, 01 Jan 1970 00:00:00 +0000")
        #expect(Dates.rfc2822(seconds: 1_692_853_305) == "Thu, 24 Aug 2023 05:01:45 +0000")
        #expect(Dates.rfc2822(seconds: 1_709_251_199) == "Thu, 29 Feb 2024 23:59:59 +0000")
    }

    @Test func parsesDatesAndInstants() {
        #expect(Dates.parse("2023-08-24") == 1_692_835_200...1_692_921_599)
        #expect(Dates.parse("2023-08-24T05:01:45Z") == 1_692_853_305...1_692_853_305)
        #expect(Dates.parse("2024-02-29T23:59:59") == 1_709_251_199...1_709_251_199)
        for bad in [
            "", "2023", "2023-13-01", "2023-08-24T", "2023-08-24T25:00:00Z", "20x3-08-24", "2023-08-24T05:01:45+03:00",
        ] {
            #expect(Dates.parse(bad) == nil, "\(bad)")
        }
    }
}

@Suite struct SegmentTests {
    @Test(arguments: [
        ("", 1), (String(repeating: "a", count: 160), 1), (String(repeating: "a", count: 161), 2),
        (String(repeating: "a", count: 306), 2), (String(repeating: "a", count: 307), 3),
        (String(repeating: "€", count: 80), 1), (String(repeating: "€", count: 81), 2),
        // 76 two-unit characters fit in a segment: the 77th does not fit into 153 units.
        (String(repeating: "€", count: 153), 3), (String(repeating: "ر", count: 70), 1),
        (String(repeating: "ر", count: 71), 2), (String(repeating: "ر", count: 134), 2),
        (String(repeating: "ر", count: 135), 3), (String(repeating: "👍", count: 35), 1),
        (String(repeating: "👍", count: 36), 2), (String(repeating: "👍", count: 67), 3), ("`", 1),
        (String(repeating: "`", count: 71), 2), (String(repeating: "@$_é\n", count: 32), 1),
    ])
    func counts(text: String, segments: Int) {
        #expect(Segments.count(text) == segments)
    }
}

@Suite struct SignatureTests {
    private static let url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    private static let parameters = [
        ("Digits", "1234"), ("CallSid", "CA1234567890ABCDE"), ("Caller", "+14158675309"), ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]

    @Test(arguments: [
        (url, parameters, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", parameters, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:80/myapp.php?foo=1&bar=2", parameters, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (
            url,
            [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")],
            "IK+Dwps556ElfBT0I3Rgjkr1wJU="
        ),
        (
            url + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620", [],
            "a9nBmqA0ju/hNViExpshrM61xv4="
        ),
        (url + "&Body=It's+amazing", parameters, "dsq4Ehbj6cs+KdTkpF5sSSplOWw="),
    ])
    func publishedVectors(url: String, parameters: [(String, String)], signature: String) {
        let named = parameters.map { (name: $0.0, value: $0.1) }
        #expect(Signature.sign(url: url, parameters: named, authToken: "12345") == signature)
    }

    @Test func base64() {
        #expect(Base64.encode([]) == "")
        #expect(Base64.encode(Array("Aladdin:open sesame".utf8)) == "QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    }
}

@Suite struct CallbackURLTests {
    @Test func splits() throws {
        let url = try #require(CallbackURL("http://127.0.0.1:8080/cb?ref=a%20b"))
        #expect((url.host, url.port, url.target) == ("127.0.0.1", 8080, "/cb?ref=a%20b"))
        #expect(CallbackURL("http://host?x=1")?.target == "/?x=1")
        for bad in ["https://host/", "http://", "http://h:0/", "http://h:x/", "http://h/\r\nX: 1", "ftp://h"] {
            #expect(CallbackURL(bad) == nil, "\(bad)")
        }
    }
}
