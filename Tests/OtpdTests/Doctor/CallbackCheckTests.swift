import Testing

@testable import HTTP
@testable import otpd

@Suite struct CallbackCheckTests {
    private func finding(
        _ status: Int, _ body: String = "", hasReceiver: Bool = true,
        url: String = "https://sms.example.com/twilio/status"
    ) throws -> Finding {
        CallbackCheck.finding(
            try WebAddress(url), .response(status: status, body: Array(body.utf8)), hasReceiver: hasReceiver)
    }

    private let refusal = "The signature is missing, or does not match the configured URL and auth token.\n"

    @Test func theReceiversOwnRefusalProvesTheWay() throws {
        let finding = try finding(403, refusal)
        #expect(finding.verdict == .pass)
        #expect(finding.found.contains("tried from this host"))
        #expect(try self.finding(403, refusal, url: "http://127.0.0.1:8080/x").found.contains("it is for a simulator"))
    }

    @Test(arguments: [
        (403, true, Finding.Verdict.warn, "firewall"), (403, false, .pass, ""), (400, false, .pass, ""),
        (200, true, .fail(.configuration), "OTPD_CALLBACK_PUBLIC_URL"), (204, false, .warn, "X-Twilio-Signature"),
        (301, true, .fail(.configuration), "curl"), (401, true, .fail(.configuration), "password"),
        (404, true, .fail(.configuration), "whole path"), (405, true, .fail(.configuration), "POST /twilio/status"),
        (502, true, .fail(.unreachable), "OTPD_CALLBACK_LISTEN"), (503, false, .fail(.unreachable), "backend"),
        (500, true, .fail(.unreachable), "curl"), (400, true, .fail(.unreachable), "curl"),
    ])
    func others(status: Int, hasReceiver: Bool, verdict: Finding.Verdict, remedy: String) throws {
        let finding = try finding(status, "<html>403 Forbidden</html>", hasReceiver: hasReceiver)
        #expect(finding.verdict == verdict, "\(finding.found)")
        #expect(
            remedy.isEmpty ? finding.remedy == nil : finding.remedy?.contains(remedy) == true, "\(finding.remedy ?? "")"
        )
    }

    private func finding(_ reason: HTTPError.Reason, _ url: String = "https://sms.example.com/x") throws -> Finding {
        CallbackCheck.finding(try WebAddress(url), .failure(HTTPError(reason, origin: url)), hasReceiver: true)
    }

    @Test func noAnswer() throws {
        #expect(try finding(.notSent(.tlsFailed("expired"))).verdict == .fail(.configuration))
        #expect(try finding(.notSent(.nameLookupFailed)).verdict == .fail(.configuration))
        // Some networks do not lead back to their own public address.
        #expect(try finding(.notSent(.connectTimedOut)).verdict == .warn)
        #expect(try finding(.notSent(.connectFailed(errno: 111))).verdict == .warn)
        #expect(
            try finding(.notSent(.connectFailed(errno: 111)), "http://127.0.0.1:1/x").verdict == .fail(.unreachable))
    }
}
