import OTP
import Testing

@testable import Twilio

/// Callbacks as they arrive. A span cannot pass through a macro, hence `refusal` and `receipt`.
struct CallbackReaderTests {
    static let token = Secret("12345")
    static let sid = "SM" + String(repeating: "0a", count: 16)
    static let url = "https://sms.example.com/status"
    static let query = "?reference=42.3"

    private func outcome(
        _ body: String, as format: CallbackReader.Format = .form, url: String = url, query: String = query,
        signature: String? = nil, token: Secret = token
    ) -> Result<Receipt, CallbackReader.Rejection> {
        let reader = CallbackReader(publicURL: url, authToken: token)
        let signature = signature ?? Self.sign(body, format, url + query)
        do throws(CallbackReader.Rejection) {
            return .success(try reader.read(body.utf8.span, as: format, query: query, signature: signature))
        } catch {
            return .failure(error)
        }
    }

    /// Signs as Twilio does.
    private static func sign(_ body: String, _ format: CallbackReader.Format, _ url: String) -> String {
        var parameters: [(name: String, value: String)] = []
        if format == .form { parameters = FormFields.decode(body.utf8.span) ?? [] }
        return Signature(authToken: token).make(url: url, parameters: parameters)
    }

    // MARK: The vectors of Twilio's SDKs: their signatures are valid, but they report no message's status.

    static let parameters =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"
    static let repeated = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"
    static let json = "{\"property\": \"value\", \"boolean\": true}"
    static let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"

    @Test(arguments: [
        // The URL as configured, the query as requested, the body, the signature.
        ("https://mycompany.com/myapp.php", "?foo=1&bar=2", parameters, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php", "?foo=1&bar=2", parameters, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:80/myapp.php", "?foo=1&bar=2", parameters, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        // Twilio is inconsistent about the default port.
        ("https://mycompany.com:443/myapp.php", "?foo=1&bar=2", parameters, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com/myapp.php", "?foo=1&bar=2", parameters, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com/myapp.php", "?foo=1&bar=2", parameters, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ("https://mycompany.com/myapp.php", "?foo=1&bar=2", repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (
            "https://mycompany.com/myapp.php", "?foo=1&bar=2&Body=It's+amazing", parameters,
            "dsq4Ehbj6cs+KdTkpF5sSSplOWw="
        ),
    ])
    func vectors(url: String, query: String, body: String, signature: String) {
        #expect(outcome(body, url: url, query: query, signature: signature) == .failure(.notStatus))
        for other in [query + "&", "", "?bar=2&foo=1"] {
            #expect(outcome(body, url: url, query: other, signature: signature) == .failure(.signature))
        }
        #expect(outcome(body + "&x=1", url: url, query: query, signature: signature) == .failure(.signature))
        #expect(
            outcome(body, url: url, query: query, signature: signature, token: Secret("12346"))
                == .failure(.signature))
    }

    @Test func jsonVector() {
        let url = "https://mycompany.com/myapp.php"
        let query = "?foo=1&bar=2&bodySHA256=" + Self.hash
        let signature = "a9nBmqA0ju/hNViExpshrM61xv4="
        #expect(outcome(Self.json, as: .json, url: url, query: query, signature: signature) == .failure(.notStatus))
        #expect(
            outcome(Self.json + " ", as: .json, url: url, query: query, signature: signature) == .failure(.signature))
        #expect(
            outcome(Self.json, as: .json, url: url, query: "?foo=1&bar=2", signature: signature)
                == .failure(.signature))
        // As a form it would have another signature.
        #expect(outcome(Self.json, url: url, query: query, signature: signature) == .failure(.signature))
    }

    // MARK: What is read

    private func receipt(_ status: String, error: Int32? = nil, _ attempt: String? = "42.3") -> Receipt? {
        Receipt(
            sid: MessageSID(Self.sid)!, status: MessageStatus(rawValue: status), errorCode: error,
            attempt: attempt.flatMap { AttemptReference($0) })
    }

    @Test(
        arguments: [
            ("MessageStatus=delivered&MessageSid=\(sid)", "delivered", nil),
            // All of Twilio's fields, with a possible addition.
            (
                "ErrorCode=30003&SmsSid=\(sid)&SmsStatus=undelivered&MessageStatus=undelivered&To=%2B966501234567&"
                    + "MessageSid=\(sid)&AccountSid=AC1&From=%2B15005550006&ApiVersion=2010-04-01&New=%F0%9F%99%82&Empty=",
                "undelivered", Int32(30003)
            ),
            ("MessageSid=\(sid)&MessageStatus=sent&ErrorCode=", "sent", nil),
            ("MessageSid=\(sid)&MessageStatus=sent&ErrorCode=0", "sent", nil),
            ("MessageSid=\(sid)&MessageStatus=sent&ErrorCode=99999999999", "sent", nil),
            ("MessageSid=\(sid)&MessageStatus=a_new-word", "a_new-word", nil),
            // Of repeated fields the first counts.
            ("MessageSid=\(sid)&MessageStatus=sent&MessageStatus=queued&MessageSid=x", "sent", nil),
            ("&&MessageSid=\(sid)&=&MessageStatus=sent&", "sent", nil),
        ] as [(String, String, Int32?)])
    func statuses(body: String, status: String, error: Int32?) throws {
        let expected = try #require(receipt(status, error: error))
        #expect(outcome(body) == .success(expected))
    }

    static let call = "CA" + String(repeating: "0a", count: 16)

    /// Twilio reports the event `answered` as `in-progress`, and a call that could not be placed with the network's
    /// answer. Callbacks may come in any order: each is read alone.
    @Test(
        arguments: [
            ("CallSid=\(call)&CallStatus=completed&CallDuration=27&Duration=1", "completed", nil, nil),
            ("CallStatus=in-progress&CallSid=\(call)&AnsweredBy=machine_start", "in-progress", nil, nil),
            ("CallSid=\(call)&CallStatus=initiated&SequenceNumber=0", "initiated", nil, nil),
            ("CallSid=\(call)&CallStatus=no-answer&SipResponseCode=487", "no-answer", nil, Int32(487)),
            (
                "CallSid=\(call)&CallStatus=failed&SipResponseCode=404&ErrorCode=13224", "failed", Int32(13224),
                Int32(404)
            ),
            ("CallSid=\(call)&CallStatus=busy&SipResponseCode=&ErrorCode=0", "busy", nil, nil),
        ] as [(String, String, Int32?, Int32?)])
    func calls(body: String, status: String, error: Int32?, sip: Int32?) throws {
        let expected = Receipt(
            sid: try #require(MessageSID(Self.call)), status: MessageStatus(rawValue: status), errorCode: error,
            sipCode: sip, attempt: AttemptReference("42.3"))
        #expect(outcome(body) == .success(try #require(expected)))
    }

    @Test func jsonCalls() throws {
        let body = "{\"CallSid\": \"\(Self.call)\", \"CallStatus\": \"failed\", \"SipResponseCode\": \"503\"}"
        let query = "\(Self.query)&bodySHA256=" + Self.hexadecimal(Digest.sha256(body.utf8.span))
        let expected = Receipt(
            sid: try #require(MessageSID(Self.call)), status: .failed, errorCode: nil, sipCode: 503,
            attempt: AttemptReference("42.3"))
        #expect(outcome(body, as: .json, query: query) == .success(try #require(expected)))
    }

    @Test(arguments: [
        "CallStatus=completed", "CallSid=\(call)", "CallSid=\(call)&CallStatus=", "CallSid=\(call)&MessageStatus=sent",
        "CallSid=\(sid)&CallStatus=completed", "CallSid=CA1&CallStatus=completed",
        "MessageSid=\(call)&MessageStatus=sent&CallSid=\(call)&CallStatus=completed",
        "MessageStatus=sent", "MessageSid=\(sid)", "MessageSid=\(sid)&MessageStatus=", "",
        "MessageSid=\(sid)&MessageStatus=Sent", "MessageSid=\(sid)&MessageStatus=s%20t",
        "MessageSid=\(sid)&MessageStatus=" + String(repeating: "a", count: 41),
        "MessageSid=CA\(sid.dropFirst(2))&MessageStatus=sent", "MessageSid=\(sid)0&MessageStatus=sent",
        "MessageSid=%00&MessageStatus=sent", "messagesid=\(sid)&messagestatus=sent",
    ])
    func signedAndNoStatus(body: String) {
        #expect(outcome(body) == .failure(.notStatus))
    }

    @Test(
        arguments: [
            ("?reference=42.3", "42.3"), ("?a=b&reference=42.3&c", "42.3"), ("", nil), ("?", nil), ("?reference=", nil),
            ("?reference=42", nil), ("?reference=42.3.1", nil), ("?reference=-1.3", nil), ("?reference=0.1", nil),
            ("?reference=1.0", nil), ("?reference=x.1", nil), ("?reference=1.1234567890", nil),
            ("?reference=1234567890123456789.1", nil),
            ("?reference=123456789012345678.999999999", "123456789012345678.999999999"),
            ("?reference=42.3'--", nil), ("?reference=٤٢.٣", nil),
        ] as [(String, String?)])
    func references(query: String, attempt: String?) throws {
        let expected = try #require(receipt("sent", attempt))
        #expect(expected.attempt?.description == attempt)
        #expect(outcome("MessageSid=\(Self.sid)&MessageStatus=sent", query: query) == .success(expected))
    }

    @Test(arguments: ["30003", "\"30003\""])
    func jsonStatuses(code: String) throws {
        let body =
            "{\"MessageSid\": \"\(Self.sid)\", \"MessageStatus\": \"failed\", \"ErrorCode\": \(code), \"New\": [{}]}"
        let query = "\(Self.query)&bodySHA256=" + Self.hexadecimal(Digest.sha256(body.utf8.span))
        let expected = try #require(receipt("failed", error: 30003))
        #expect(outcome(body, as: .json, query: query) == .success(expected))
        #expect(outcome(body, as: .json, query: query.uppercased(), signature: "x") == .failure(.signature))
        // Signed, but with another body's hash.
        #expect(outcome(body + "\n", as: .json, query: query) == .failure(.signature))
    }

    @Test(arguments: ["", "[]", "{}", "{", "null", "{\"MessageSid\": 1, \"MessageStatus\": 2}"])
    func jsonThatIsNoStatus(body: String) {
        let query = "?bodySHA256=" + Self.hexadecimal(Digest.sha256(body.utf8.span))
        #expect(outcome(body, as: .json, query: query) == .failure(.notStatus))
    }

    /// Twilio may call a URL without a path with the path `/`, and may sign either form.
    @Test func noPath() throws {
        let body = "MessageSid=\(Self.sid)&MessageStatus=sent"
        let expected = try #require(receipt("sent"))
        for signed in ["https://a.b", "https://a.b/", "https://a.b:443", "https://a.b:443/"] {
            let signature = Self.sign(body, .form, signed + Self.query)
            #expect(outcome(body, url: "https://a.b", signature: signature) == .success(expected))
        }
        let signature = Self.sign(body, .form, "https://a.b/x/" + Self.query)
        #expect(outcome(body, url: "https://a.b/x", signature: signature) == .failure(.signature))
    }

    @Test(arguments: [
        ("https://a.b", "/"), ("https://a.b/", "/"), ("https://a.b:1/x/y", "/x/y"), ("https://[::1]:1/x?y/z", "/x"),
        ("https://a.b?x", "/"),
    ])
    func paths(url: String, path: String) {
        #expect(CallbackReader(publicURL: url, authToken: Self.token).path == path)
    }

    /// A request without a valid signature must not cause thousands of fields to be sorted.
    @Test func tooManyFields() {
        let fields = (0...FormFields.most).map { "a\($0)=b" }.joined(separator: "&")
        let decoded = FormFields.decode(fields.utf8.span)
        #expect(decoded == nil)
        #expect(outcome(fields) == .failure(.signature))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined()
    }
}

struct FormFieldsTests {
    @Test(arguments: [
        ("a=b&c=d", [("a", "b"), ("c", "d")]), ("", []), ("&&", []), ("a", [("a", "")]), ("=b", [("", "b")]),
        ("a=b=c", [("a", "b=c")]), ("a+b=%2B+%2b", [("a b", "+ +")]), ("a=%", [("a", "%")]), ("a=%4", [("a", "%4")]),
        ("a=%zz", [("a", "%zz")]), ("a=%D8%B1", [("a", "ر")]), ("a=%00", [("a", "\0")]), ("a=%FF", [("a", "\u{FFFD}")]),
        (" a = b ", [(" a ", " b ")]),
    ])
    func decodes(text: String, fields: [(String, String)]) {
        let decoded = FormFields.decode(text.utf8.span)
        #expect(decoded?.map { "\($0.name)→\($0.value)" } == fields.map { "\($0.0)→\($0.1)" })
    }
}
