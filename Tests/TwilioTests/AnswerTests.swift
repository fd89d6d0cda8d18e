import OTP
import Testing

@testable import Twilio

struct AnswerTests {
    func classify(_ status: Int, _ body: String, retryAfter: Duration? = nil) -> Outcome {
        .classify(httpStatus: status, retryAfter: retryAfter, body: body.utf8.span)
    }

    func text(_ secret: Secret?) -> String? {
        secret?.withBytes { span in
            var bytes: [UInt8] = []
            for index in span.indices { bytes.append(span[index]) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// A repeated answer leaves a kept connection one answer behind, so the next one names another recipient.
    @Test(arguments: [
        ("+966501234567", true), ("+966501234568", false), ("966501234567", false), ("", false),
        ("whatsapp:+966501234567", false), ("+0966501234567", false), ("+9665012345678901234567", false),
    ])
    func anAnswerIsOfItsRecipient(_ to: String, _ isOurs: Bool) throws {
        let recipient = try PhoneNumber(e164: "+966501234567")
        let text = "{\"sid\": \"SM0123456789abcdef0123456789abcdef\", \"status\": \"queued\", \"to\": \"\(to)\"}"
        let outcome = Outcome.classify(
            httpStatus: 201, retryAfter: nil, body: text.utf8.span, recipient: recipient)
        if isOurs {
            guard case .accepted = outcome else { return #expect(outcome == .unknown(.timeout)) }
        } else {
            #expect(outcome == .unknown(.foreignAnswer))
        }
    }

    /// WhatsApp's answers name the recipient with a prefix, and no others do. The prefix alone, twice or encoded is not a
    /// recipient.
    @Test(
        arguments: [
            (.whatsapp, "SM", "whatsapp:+966501234567", true), (.whatsapp, "MM", "whatsapp:+966501234567", true),
            (.whatsapp, "SM", "+966501234567", false), (.whatsapp, "SM", "whatsapp:+966501234568", false),
            (.whatsapp, "SM", "whatsapp:", false), (.whatsapp, "SM", "", false),
            (.whatsapp, "SM", "whatsapp:whatsapp:+966501234567", false),
            (.whatsapp, "SM", "whatsapp:%2B966501234567", false), (.whatsapp, "SM", "whatsapp: 966501234567", false),
            (.whatsapp, "SM", "WhatsApp:+966501234567", false), (.whatsapp, "CA", "whatsapp:+966501234567", false),
            (.call, "CA", "+966501234567", true), (.call, "CA", "+966501234568", false),
            (.call, "CA", "whatsapp:+966501234567", false),
            // The SMS before the call went to the same number, and its answer came twice.
            (.call, "SM", "+966501234567", false), (.sms, "CA", "+966501234567", false),
        ] as [(Channel, String, String, Bool)])
    func anAnswerIsOfItsChannel(_ channel: Channel, _ kind: String, _ to: String, _ isOurs: Bool) throws {
        let text = "{\"sid\": \"\(kind)0123456789abcdef0123456789abcdef\", \"status\": \"queued\", \"to\": \"\(to)\"}"
        let outcome = Outcome.classify(
            httpStatus: 201, retryAfter: nil, body: text.utf8.span, recipient: try PhoneNumber(e164: "+966501234567"),
            channel: channel)
        let sid = try #require(MessageSID("\(kind)0123456789abcdef0123456789abcdef"))
        #expect(outcome == (isOurs ? .accepted(sid, status: .queued) : .unknown(.foreignAnswer)))
    }

    /// The SID of a call is that of the top level, not one of `subresource_uris`.
    @Test func aCreatedCall() throws {
        let outcome = Outcome.classify(
            httpStatus: 201, retryAfter: nil, body: CallResourceTests.created.utf8.span,
            recipient: try PhoneNumber(e164: "+966501234567"), channel: .call)
        #expect(outcome == .accepted(try #require(MessageSID(CallResourceTests.sid)), status: .queued))
    }

    /// A SID is evidence even if the answer breaks off before it names the recipient.
    @Test func aCutAnswerIsEvidence() throws {
        let text = "{\"sid\": \"SM0123456789abcdef0123456789abcdef\", \"sta"
        let outcome = Outcome.classify(
            httpStatus: 201, retryAfter: nil, body: text.utf8.span, recipient: try PhoneNumber(e164: "+966501234567"))
        guard case .accepted = outcome else { return #expect(outcome == .unknown(.timeout)) }
    }

    @Test func created() throws {
        let sid = try #require(MessageSID(ScanTests.sid))
        #expect(classify(201, ScanTests.created) == .accepted(sid, status: .queued))
        for garbled in ["", "{}", "<html>", "{\"sid\":\"SM12\"}", String(ScanTests.created.prefix(100))] {
            #expect(classify(201, garbled) == .unknown(.unreadableAnswer(httpStatus: 201)))
        }
    }

    @Test(
        arguments: [
            (
                "{\"code\":21211,\"message\":\"The 'To' number is not valid\",\"more_info\":\"https://x\",\"status\":400}",
                21211,
                "The 'To' number is not valid"
            ),
            (
                "{\"type\":\"https://x\",\"title\":\"Bad\",\"status\":400,\"code\":21211,\"detail\":\"Why\"}", 21211,
                "Why"
            ),
            ("{\"type\":\"https://x\",\"title\":\"Bad\",\"status\":400,\"code\":21211}", 21211, "Bad"),
            ("{\"code\":\"21211\",\"message\":\"m\"}", 21211, "m"),
            ("{\"code\":20003,\"message\":\"\"}", 20003, ""),
        ] as [(String, Int, String)])
    func refused(_ body: String, _ code: Int, _ message: String) {
        #expect(ErrorBody(body.utf8.span)?.message == message)
        for status in [400, 401, 403, 404, 407, 408, 422, 499] {
            #expect(classify(status, body) == .refused(.init(httpStatus: status, code: code)))
        }
    }

    /// A refusal without the form of Twilio's errors comes from something on the way, so the request never reached
    /// Twilio.
    @Test(arguments: [
        "<html><body>Forbidden</body></html>", "", "null", "[]", "{}", "\u{1F}\u{8B}\u{8}", "error code: 1020",
        "451 Unavailable For Legal Reasons",
        // Answers of gateways: of Kong, AWS, gRPC, Cloudflare, and of a proxy that copies the status.
        #"{"message":"no Route matched with those values"}"#, #"{"message":"Forbidden"}"#,
        #"{"code":5,"message":"Not Found","details":[]}"#, #"{"code":403,"message":"Forbidden","status":403}"#,
        #"{"type":"https://developers.example/1020","title":"Error 1020: Access denied","status":403,"error_code":1020}"#,
        #"{"error":{"code":"AccessDenied","message":"m"}}"#, #"{"statusCode":401,"message":"m"}"#,
        #"{"code":null,"message":"m"}"#, #"{"code":[],"message":"m"}"#, #"{"code":21211}"#,
        #"{"code":-21211,"message":"m"}"#,
        #"{"code":"E21211","message":"m"}"#, #"{"code":99999999999999999999,"message":"m"}"#, #"{"code":2121"#,
        "<?xml version='1.0'?><TwilioResponse><RestException><Code>20003</Code></RestException></TwilioResponse>",
    ])
    func refusedOnTheWay(_ body: String) {
        for status in [
            400, 401, 402, 403, 404, 405, 407, 409, 410, 411, 413, 414, 415, 417, 421, 422, 425, 426, 431, 451,
        ] {
            #expect(
                classify(status, body) == .notSent(.blocked(Responder(httpStatus: status)), retryAfter: nil))
        }
        // A proxy that stopped waiting may have passed the request on.
        for status in [408, 499] {
            #expect(classify(status, body) == .unknown(.unexpectedStatus(httpStatus: status)))
        }
    }

    @Test func theResponderIsNamed() {
        let responder = Responder(
            httpStatus: 403, contentType: "text/html; charset=utf-8", server: "nginx", via: "1.1 squid")
        let outcome = Outcome.classify(
            httpStatus: 403, retryAfter: nil, body: "<html>".utf8.span, responder: responder)
        #expect(outcome == .notSent(.blocked(responder), retryAfter: nil))
    }

    @Test func longMessagesAreCut() {
        let body = "{\"code\":21211,\"message\":\"\(String(repeating: "x", count: 60_000))\"}"
        #expect(ErrorBody(body.utf8.span)?.message.count == ErrorBody.maximumMessage)
    }

    @Test func deepNestingDoesNotOverflow() {
        let deep = String(repeating: "[", count: 60_000)
        #expect(classify(400, deep) == .notSent(.blocked(Responder(httpStatus: 400)), retryAfter: nil))
        #expect(classify(201, "{\"a\":" + deep) == .unknown(.unreadableAnswer(httpStatus: 201)))
    }

    @Test func throttledIsNotSentWhateverItsBody() {
        for body in ["", "{\"code\":20429,\"message\":\"Too Many Requests\"}", "<html>"] {
            #expect(classify(429, body) == .notSent(.throttled, retryAfter: nil))
            #expect(classify(429, body, retryAfter: .seconds(2)) == .notSent(.throttled, retryAfter: .seconds(2)))
        }
    }

    /// Every 5xx is unknown, even with a code or a SID.
    @Test func serverErrorsAreUnknown() {
        for status in 500..<600 {
            for body in ["", "<html>503</html>", "{\"code\":20500,\"message\":\"m\"}", ScanTests.created] {
                #expect(classify(status, body) == .unknown(.serverError(httpStatus: status)))
            }
        }
    }

    @Test func otherStatusesAreUnknown() {
        for status in [0, 100, 200, 202, 204, 301, 302, 307, 308, 399, 600, 999, -1] {
            #expect(classify(status, ScanTests.created) == .unknown(.unexpectedStatus(httpStatus: status)))
        }
    }

    @Test func transportFailures() {
        for reason in [Outcome.NotSent.nameLookup, .connect, .tls, .bodyNotSent, .leaseTooShort, .throttled] {
            #expect(TransportFailure.neverSent(reason).outcome == .notSent(reason, retryAfter: nil))
        }
        #expect(TransportFailure.maybeSent(.timeout).outcome == .unknown(.timeout))
    }

    @Test(
        arguments: [
            ("Thu, 24 Aug 2023 05:01:45 +0000", 1_692_853_305), ("Thu, 01 Jan 1970 00:00:00 +0000", 0),
            ("Thu, 29 Feb 2024 23:59:59 +0300", 1_709_240_399), ("1 Mar 2000 00:00:00 -0130", 951_874_200),
            ("Fri, 31 Dec 1999 23:59:60 GMT", 946_684_800),
            ("2023-08-24T05:01:45Z", nil), ("Thu, 24 Aug 2023 25:01:45 +0000", nil), ("", nil), (",", nil),
            ("Thu, 24 Aug 2023 05:01 +0000", nil), ("Thu, 32 Aug 2023 05:01:45 +0000", nil),
            ("Fri, 31 Feb 2023 00:00:00 GMT", nil), ("Mon, 29 Feb 2100 00:00:00 GMT", nil),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800), ("Thu, 24 Aug 2023 05:01:45 +0099", nil),
            ("T:Thu, 24 Aug 2023 05:01:45 GMT", nil),
        ] as [(String, Int64?)])
    func dates(_ text: String, _ seconds: Int64?) {
        #expect(InternetDate.seconds(text) == seconds)
    }

    @Test func resource() throws {
        let json = """
            {"sid":"\(ScanTests.sid)","status":"undelivered","error_code":30003,"num_segments":"2","price":"-0.00750",
            "price_unit":"USD","date_created":"Thu, 24 Aug 2023 05:01:45 +0000","date_sent":null,"to":"+966501234567",
            "body":"code 482913","brand_new":{"x":[1]}}
            """
        let message = try MessageResource(json: json.utf8.span)
        #expect(message.status == .undelivered && message.errorCode == 30003 && message.segments == 2)
        #expect(message.price == "-0.00750" && message.priceUnit == "USD")
        #expect(message.createdAt == 1_692_853_305 && message.sentAt == nil)
        #expect(text(message.to) == "+966501234567" && text(message.body) == "code 482913")
        var dumped = ""
        dump(message, to: &dumped)
        dump([message], to: &dumped)
        let printed = "\(message) \(String(reflecting: message)) \(dumped)"
        #expect(!printed.contains("482913") && !printed.contains("501234567") && printed.contains(ScanTests.sid))
    }

    /// A messaging service comes before the number that it chose. A sender that no table could store counts as none.
    @Test(
        arguments: [
            (#""from":"+15005550006""#, "+15005550006"), (#""from":"Mgask","messaging_service_sid":null"#, "Mgask"),
            (#""from":null,"messaging_service_sid":"MG1""#, "MG1"),
            (#""from":"+15005550006","messaging_service_sid":"MG1""#, "MG1"), (#""from":null"#, nil), (#""x":1"#, nil),
            (#""from":"a\u0000b""#, nil), (#""from":"""#, nil), (#""from":"Ünï""#, nil),
        ] as [(String, String?)])
    func whomItCameFrom(_ member: String, _ sender: String?) throws {
        let json = "{\"sid\":\"\(ScanTests.sid)\",\"status\":\"sent\",\(member)}"
        #expect(try MessageResource(json: json.utf8.span).sender == sender)
    }

    @Test func resourceAtFirstAndWithNewWords() throws {
        let first = try MessageResource(json: ScanTests.created.utf8.span)
        #expect(first.errorCode == nil && first.price == nil && first.segments == 1 && first.status == .queued)
        let new = try MessageResource(json: "{\"sid\":\"\(ScanTests.sid)\",\"status\":\"buffered\"}".utf8.span)
        #expect(new.status.rawValue == "buffered" && new.body == nil && new.segments == nil)
        for bad in ["", "{}", "{\"sid\":\"x\",\"status\":\"sent\"}", "{\"sid\":\"\(ScanTests.sid)\"}", "[]", "<html>"] {
            #expect(throws: MessageResource.Problem.notMessage) { try MessageResource(json: bad.utf8.span) }
        }
    }

    @Test func pages() throws {
        let next = "/2010-04-01/Accounts/\(ScanTests.account)/Messages.json?PageSize=2&Page=1&PageToken=PASM1"
        let page = try MessagePage(
            json: "{\"messages\":[\(ScanTests.created),\(ScanTests.created)],\"next_page_uri\":\"\(next)\",\"page\":0}"
                .utf8.span)
        #expect(page.messages.count == 2 && page.nextPage == next)
        let last = try MessagePage(json: "{\"messages\":[],\"next_page_uri\":null}".utf8.span)
        #expect(last.messages.isEmpty && last.nextPage == nil)
        for bad in [
            "{}", "{\"messages\":null}", "{\"messages\":[{}]}", "{\"messages\":[{\"sid\":\"x\",\"status\":\"sent\"}]}",
            "{\"messages\":[],\"next_page_uri\":\"https://evil.example/2010-04-01/\"}",
            "{\"messages\":[],\"next_page_uri\":\"//evil.example\"}",
            "{\"messages\":[],\"next_page_uri\":\"/2010-04-01/ x\"}",
        ] {
            #expect(throws: MessageResource.Problem.notPage) { try MessagePage(json: bad.utf8.span) }
        }
    }
}
