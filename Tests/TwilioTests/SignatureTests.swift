import OTP
import Testing

@testable import Twilio

/// The signatures that Twilio publishes with its SDKs, for the auth token `12345`.
struct SignatureTests {
    static let url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    static let parameters = [
        (name: "CallSid", value: "CA1234567890ABCDE"), (name: "Caller", value: "+14158675309"),
        (name: "Digits", value: "1234"), (name: "From", value: "+14158675309"), (name: "To", value: "+18005551212"),
    ]
    let signature = Signature(authToken: Secret("12345"))

    @Test(arguments: [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:80/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ("https://mycompany.com/myapp.php?foo=1&bar=2&Body=It's+amazing", "dsq4Ehbj6cs+KdTkpF5sSSplOWw="),
    ])
    func vectors(_ url: String, _ expected: String) {
        #expect(signature.make(url: url, parameters: SignatureTests.parameters) == expected)
        #expect(signature.isValid(expected, url: url, parameters: SignatureTests.parameters))
        #expect(signature.isValid(expected, url: url, parameters: SignatureTests.parameters.reversed()))
        #expect(!signature.isValid(expected, url: url + "&x=1", parameters: SignatureTests.parameters))
        #expect(!signature.isValid(expected, url: url, parameters: Array(SignatureTests.parameters.dropLast())))
        #expect(
            !Signature(authToken: Secret("12346")).isValid(expected, url: url, parameters: SignatureTests.parameters))
    }

    @Test func bothPortFormsCount() {
        let with = "https://mycompany.com:443/myapp.php?foo=1&bar=2"
        for url in [SignatureTests.url, with] {
            for expected in ["RSOYDt4T1cUTdK1PDd93/VVr8B8=", "kvajT1Ptam85bY51eRf/AJRuM3w="] {
                #expect(signature.isValid(expected, url: url, parameters: SignatureTests.parameters))
            }
        }
        let other = "https://mycompany.com:8443/myapp.php?foo=1&bar=2"
        #expect(!signature.isValid("RSOYDt4T1cUTdK1PDd93/VVr8B8=", url: other, parameters: SignatureTests.parameters))
    }

    @Test func repeatedNames() {
        let parameters = [
            (name: "Sid", value: "CA123"), (name: "SidAccount", value: "AC123"), (name: "Digits", value: "5678"),
            (name: "Digits", value: "1234"), (name: "Digits", value: "1234"),
        ]
        #expect(signature.isValid("IK+Dwps556ElfBT0I3Rgjkr1wJU=", url: SignatureTests.url, parameters: parameters))
    }

    /// A span cannot pass through a macro.
    func isValid(_ text: String, url: String, json: String) -> Bool {
        signature.isValid(text, url: url, json: json.utf8.span)
    }

    @Test func jsonBodies() {
        let url =
            SignatureTests.url + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
        let body = "{\"property\": \"value\", \"boolean\": true}"
        let expected = "a9nBmqA0ju/hNViExpshrM61xv4="
        #expect(isValid(expected, url: url, json: body))
        #expect(!isValid(expected, url: url, json: (body + " ")))
        #expect(!isValid(expected, url: url, json: ""))
        #expect(!isValid(expected, url: SignatureTests.url, json: body))
        #expect(!isValid("b" + expected.dropFirst(), url: url, json: body))
    }

    @Test(arguments: ["", " ", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T1cUTdK1PDd93/VVr8B8= ", "=", "رمز"])
    func notASignature(_ text: String) {
        #expect(!signature.isValid(text, url: SignatureTests.url, parameters: SignatureTests.parameters))
    }

    /// One changed bit anywhere makes a signature invalid.
    @Test func everyBitCounts() {
        let good = Array("RSOYDt4T1cUTdK1PDd93/VVr8B8=".utf8)
        for index in good.indices {
            for bit in 0..<7 {
                var bad = good
                bad[index] ^= 1 << UInt8(bit)
                let text = String(decoding: bad, as: UTF8.self)
                #expect(!signature.isValid(text, url: SignatureTests.url, parameters: SignatureTests.parameters))
            }
        }
    }

    @Test(arguments: [
        ("https://a", "https://a:443"), ("https://a/", "https://a:443/"), ("http://a?x", "http://a:80?x"),
        ("https://[::1]/x", "https://[::1]:443/x"), ("https://u:p@a/x", "https://u:p@a:443/x"),
        ("https://a/x:443", "https://a:443/x:443"),
    ])
    func portForms(_ without: String, _ with: String) {
        #expect(PublicURL.portForms(without) == [without, with])
        #expect(PublicURL.portForms(with) == [with, without])
    }

    @Test(arguments: ["https://a:8443/x", "http://a:443/", "ftp://a", "", "a/b"])
    func noOtherForm(_ url: String) {
        #expect(PublicURL.portForms(url) == [url])
    }
}
