import HTTPServer
import Testing

@testable import HTTP
@testable import otpd

/// The address that `otpd probe` asks, and what an answer means.
@Suite struct ProbeTests {
    private func url(_ listen: String?, _ question: Probe.Question = .alive) throws -> String {
        var environment = ["OTPD_SECRET": "wrong", "TWILIO_AUTH_TOKEN": " "]
        environment["OTPD_DASHBOARD_LISTEN"] = listen
        let address = try Settings.probe(environment: environment, readFile: Fixture.reader([:])).get()
        return Probe(listen: address, question: question).url
    }

    @Test(
        arguments: [
            (nil, "127.0.0.1:9464"), ("127.0.0.1:1", "127.0.0.1:1"), ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"), ("[::0]:9464", "[::1]:9464"), ("[0:0:0:0:0:0:0:0]:1", "[::1]:1"),
            ("[::1]:2", "[::1]:2"), ("localhost:3", "localhost:3"), ("10.0.0.1:4", "10.0.0.1:4"),
            ("otpd:5", "otpd:5"), ("10.0.0.0:6", "10.0.0.0:6"),
        ] as [(String?, String)])
    func theAddress(listen: String?, address: String) throws {
        #expect(try url(listen) == "http://\(address)/healthz")
        #expect(try url(listen, .ready) == "http://\(address)/readyz")
    }

    /// The token and every other setting are not read.
    @Test func onlyTheAddressCanBeWrong() throws {
        #expect(try url("0.0.0.0:1") == "http://127.0.0.1:1/healthz")
        let result = Settings.probe(
            environment: ["OTPD_DASHBOARD_LISTEN": "9464"], readFile: Fixture.reader([:]))
        guard case .failure(let problems) = result else {
            Issue.record("an address without a host passed")
            return
        }
        #expect(problems.lines.count == 1)
        #expect(problems.lines.first?.hasPrefix("OTPD_DASHBOARD_LISTEN is not an address to listen on") == true)
    }

    private static let alive = "otpd is not alive: "
    private static let ready = "otpd is not ready: "
    private static let other = "Check that OTPD_DASHBOARD_LISTEN is the address of otpd, and of no other program."
    private static let start = "Set OTPD_DASHBOARD_LISTEN, start otpd run or otpd dashboard, and read its log."

    private static let cases: [(Probe.Question, HTTPAnswer, String?)] = [
        (.alive, .response(status: 200, body: []), nil),
        (.ready, .response(status: 200, body: Array("ready".utf8)), nil),
        (
            .alive, .response(status: 503, body: []),
            alive + "http://127.0.0.1:1/healthz answers with the HTTP status 503. " + other
        ),
        (
            .ready, .response(status: 404, body: []),
            ready + "http://127.0.0.1:1/readyz answers with the HTTP status 404. " + other
        ),
        (
            .ready, .response(status: 503, body: Array("not ready\n".utf8)),
            ready + "the database does not answer, or the worker claims no jobs. For more, run otpd status, and "
                + "read the log."
        ),
        (
            .ready, .response(status: 503, body: Array("Cannot read the database: timeout\n\u{1B}[31m".utf8)),
            ready + "Cannot read the database: timeout. For more, run otpd status, and read the log."
        ),
        (
            .alive, .failure(HTTPError(.notSent(.connectFailed(errno: 111)), origin: "http://127.0.0.1:1")),
            alive + "http://127.0.0.1:1/healthz does not answer: could not connect, Connection refused. " + start
        ),
        (
            .ready, .failure(HTTPError(.unknown(.timedOut), origin: "http://127.0.0.1:1")),
            ready + "http://127.0.0.1:1/readyz does not answer: no complete answer came in time. " + start
        ),
    ]

    @Test(arguments: Self.cases)
    func theFailure(question: Probe.Question, answer: HTTPAnswer, line: String?) {
        let probe = Probe(listen: ListenAddress(host: "127.0.0.1", port: 1), question: question)
        let failure = probe.failure(answer)
        #expect(failure?.description == line)
        #expect(failure == nil || failure?.exitCode == .unavailable)
    }
}
