import Testing
import Twilio

@testable import HTTP
@testable import otpd

@Suite struct TwilioChecksTests {
    private let token = TwilioChecks.Context(baseURL: "https://api.twilio.com", usesKey: false)
    private let key = TwilioChecks.Context(baseURL: "https://api.twilio.com", usesKey: true)
    private let good = HTTPAnswer.response(status: 200, body: Array(#"{"messages": [], "next_page_uri": null}"#.utf8))

    private func answer(_ status: Int, _ body: String = "") -> HTTPAnswer {
        .response(status: status, body: Array(body.utf8))
    }
    private func refusal(_ status: Int, _ code: Int, _ message: String = "Words") -> HTTPAnswer {
        answer(status, #"{"code": \#(code), "message": "\#(message)", "status": \#(status)}"#)
    }
    private func failure(_ reason: HTTPError.Reason) -> HTTPAnswer {
        .failure(HTTPError(reason, origin: "https://api.twilio.com"))
    }
    private func account(_ status: String, _ type: String) -> HTTPAnswer {
        answer(200, #"{"sid": "AC1", "auth_token": "t0ken", "status": "\#(status)", "type": "\#(type)"}"#)
    }

    @Test(arguments: [
        ("active", "Full", Finding.Verdict.pass), ("active", "Trial", .warn), ("suspended", "Full", .fail(.privileges)),
        ("closed", "Trial", .fail(.privileges)), ("active", "Later", .pass),
    ])
    func theAccount(status: String, type: String, verdict: Finding.Verdict) {
        let finding = TwilioChecks.account(account(status, type), messages: good, token)
        #expect(finding.verdict == verdict)
        #expect(!finding.found.contains("t0ken"))
    }

    @Test func aTrialNamesItsRemedy() {
        let finding = TwilioChecks.account(account("active", "Trial"), messages: good, token)
        #expect(finding.remedy?.contains("Verified Caller IDs") == true)
    }

    /// It may send; only the account is closed to it.
    @Test func aStandardKeyMayNotReadTheAccount() {
        #expect(TwilioChecks.account(refusal(401, 20003), messages: good, key).verdict == .skip)
        #expect(TwilioChecks.account(refusal(403, 20403), messages: good, key).verdict == .skip)
        #expect(
            TwilioChecks.account(refusal(401, 20003), messages: refusal(401, 20003), key).verdict == .fail(.privileges))
        // With the token it is a refusal.
        #expect(TwilioChecks.account(refusal(401, 20003), messages: good, token).verdict == .fail(.privileges))
    }

    @Test func messagesCanBeListed() {
        #expect(TwilioChecks.messages(good, token).verdict == .pass)
        #expect(TwilioChecks.messages(answer(200, "<html>"), token).verdict == .fail(.configuration))
    }

    @Test(arguments: [
        (401, 20003, Finding.Verdict.fail(.privileges), "TWILIO_AUTH_TOKEN"),
        (403, 20005, .fail(.privileges), "Billing"),
        (401, 10001, .fail(.privileges), "Billing"), (403, 20008, .fail(.privileges), "live account"),
        (403, 20403, .fail(.privileges), "API keys"), (404, 20404, .fail(.configuration), "TWILIO_ACCOUNT_SID"),
        (429, 20429, .warn, "otpd doctor"), (500, 20500, .fail(.unreachable), "status.twilio.com"),
        (503, 0, .fail(.unreachable), "status.twilio.com"), (400, 20001, .fail(.configuration), "docs/api/errors"),
        (302, 0, .fail(.configuration), "TWILIO_API_BASE_URL"), (401, 0, .fail(.configuration), "a proxy"),
        (403, 0, .fail(.configuration), "a proxy"), (404, 0, .fail(.configuration), "TWILIO_API_BASE_URL"),
        (407, 0, .fail(.configuration), "a proxy"), (429, 0, .warn, "otpd doctor"),
        (201, 0, .fail(.configuration), "docs/api/errors"),
    ])
    func refusals(status: Int, code: Int, verdict: Finding.Verdict, remedy: String) {
        let answer = code == 0 ? answer(status, "<html>") : refusal(status, code)
        for finding in [
            TwilioChecks.messages(answer, token),
            TwilioChecks.sender(.number("+15005550006"), answer, countries: [], token),
        ] {
            #expect(finding.verdict == verdict, "\(finding.found)")
            #expect(finding.remedy?.contains(remedy) == true, "\(finding.remedy ?? "")")
        }
    }

    @Test func theKeyIsNamedWhereItIsUsed() {
        let finding = TwilioChecks.messages(refusal(401, 20003), key)
        #expect(finding.remedy?.contains("TWILIO_API_KEY_SECRET") == true)
        #expect(finding.remedy?.contains("TWILIO_AUTH_TOKEN") == false)
    }

    @Test(arguments: [
        (HTTPError.Reason.notSent(.nameLookupFailed), Finding.Severity.unreachable, "getent hosts api.twilio.com"),
        (.notSent(.tlsFailed("self-signed certificate")), .unreachable, "OTPD_CA_FILE"),
        (.notSent(.certificatesUnreadable), .configuration, "ca-certificates"),
        (.notSent(.connectTimedOut), .unreachable, "firewall"), (.unknown(.timedOut), .unreachable, "firewall"),
        (.notSent(.connectFailed(errno: 111)), .unreachable, "curl"), (.unknown(.garbled), .unreachable, "curl"),
        (.insecureURL, .configuration, "TWILIO_API_BASE_URL"),
    ])
    func noAnswer(reason: HTTPError.Reason, harm: Finding.Severity, remedy: String) {
        let finding = TwilioChecks.messages(failure(reason), token)
        #expect(finding.verdict == .fail(harm))
        #expect(finding.remedy?.contains(remedy) == true, "\(finding.remedy ?? "")")
    }

    // MARK: Senders

    private func numbers(_ entries: String) -> HTTPAnswer {
        answer(200, #"{"incoming_phone_numbers": [\#(entries)]}"#)
    }

    @Test func aNumber() {
        let lookup = TwilioChecks.Lookup.number("+15005550006")
        func verdict(_ answer: HTTPAnswer?, _ countries: [String] = ["AE"]) -> Finding.Verdict {
            TwilioChecks.sender(lookup, answer, countries: countries, token).verdict
        }
        let can = numbers(#"{"phone_number": "+15005550006", "capabilities": {"sms": true}}"#)
        #expect(verdict(can) == .pass)
        #expect(verdict(can, []) == .pass)
        #expect(verdict(can, ["AE", "SA"]) == .warn)
        #expect(
            verdict(numbers(#"{"phone_number": "+15005550006", "capabilities": {"sms": false}}"#))
                == .fail(.configuration))
        #expect(
            verdict(numbers(#"{"phone_number": "+150055500061", "capabilities": {"sms": true}}"#))
                == .fail(.configuration))
        #expect(verdict(numbers("")) == .fail(.configuration))
        #expect(verdict(numbers(#"{"phone_number": "+15005550006"}"#)) == .pass)
        #expect(verdict(nil) == .skip)
        #expect(TwilioChecks.sender(lookup, refusal(401, 20003), countries: [], key).verdict == .skip)
        #expect(verdict(refusal(401, 20003)) == .fail(.privileges))
    }

    @Test func noWholeNumberIsShown() {
        let number = "+966501234567"
        for answer in [numbers(""), numbers(#"{"phone_number": "\#(number)", "capabilities": {"sms": true}}"#), nil] {
            let finding = TwilioChecks.sender(.number(number), answer, countries: ["SA"], token)
            #expect(!"\(finding)".contains("501234567"))
            #expect(finding.found.contains("+9665"))
        }
    }

    @Test func shortCodes() {
        let has = answer(200, #"{"short_codes": [{"short_code": "12345"}]}"#)
        #expect(TwilioChecks.sender(.shortCode("12345"), has, countries: [], token).verdict == .pass)
        #expect(TwilioChecks.sender(.shortCode("1234"), has, countries: [], token).verdict == .fail(.configuration))
    }

    @Test func whatCannotBeAskedSaysSo() {
        let name = TwilioChecks.sender(.name("Mgask"), nil, countries: ["AE", "SA"], token)
        #expect(name.verdict == .skip)
        #expect(name.remedy?.contains("twilio.com/guidelines/sa") == true)
        #expect(TwilioChecks.sender(.name("Mgask"), nil, countries: ["AE"], token).remedy?.contains("Saudi") == false)
        #expect(TwilioChecks.sender(.service, nil, countries: [], token).verdict == .skip)
    }

    @Test func whereASenderIsLookedUp() throws {
        let endpoint = Endpoint(accountSID: "AC1")
        #expect(TwilioChecks.Lookup(try Sender(from: "+15005550006")).path(endpoint)?.contains("IncomingPhone") == true)
        #expect(TwilioChecks.Lookup(try Sender(from: "12345")).path(endpoint)?.contains("ShortCodes") == true)
        #expect(TwilioChecks.Lookup(try Sender(from: "Mgask 1")).path(endpoint) == nil)
        let service = "MG" + Fixture.sid
        #expect(TwilioChecks.Lookup(try Sender(messagingService: service)).path(endpoint) == nil)
    }
}
