import Testing

@testable import TwilioSimulator

/// Which requests the simulator accepts, and where it sends callbacks.
struct AccessTests {
    @Test(
        arguments: [
            (nil, true), ("127.0.0.1:4010", true), ("127.0.0.1", true), ("127.8.9.1:1", true), ("localhost:4010", true),
            ("LOCALHOST", true), ("api.localhost:4010", true), ("[::1]:4010", true), ("[::1]", true),
            ("attacker.example:4010", false), ("127.0.0.1.attacker.example", false),
            ("localhost.attacker.example", false),
            ("127.0.0.1@attacker.example", false), ("10.0.0.1:4010", false), ("0.0.0.0:4010", false), ("", false),
            ("127.0.0", false), ("127.0.0.256", false), ("127.0.0.+1", false), ("2130706433", false),
            ("[::ffff:10.0.0.1]:1", false), ("[::2]", false),
        ] as [(String?, Bool)])
    func hostsOnLoopback(host: String?, isAnswered: Bool) throws {
        let simulator = try Simulator(settings())
        for path in ["/_sim/inbox", "/_sim/stats", "/healthz"] {
            var request = Request(method: .get, target: path)
            request.host = host
            #expect((simulator.respond(to: request, at: epoch).answer.status == 200) == isAnswered, "\(path)")
        }
    }

    /// If it listens for other machines, they use its name, and control needs the token.
    @Test(
        arguments: [
            (nil, 401), ("", 401), ("Bearer", 401), ("Bearer secret", 401), ("Bearer a-secret-token!", 401),
            ("Basic a-secret-token", 401), ("Bearer a-secret-token", 200),
        ] as [(String?, Int)])
    func controlElsewhere(authorization: String?, status: Int) throws {
        let simulator = try Simulator(
            settings {
                $0.host = "0.0.0.0"
                $0.controlToken = "a-secret-token"
            })
        for path in ["/_sim/inbox", "/_sim/stats", "/_sim/nothing"] {
            var request = Request(method: .get, target: path, authorization: authorization)
            request.host = "simulator.example:4010"
            let expected = path == "/_sim/nothing" && status == 200 ? 404 : status
            #expect(simulator.respond(to: request, at: epoch).answer.status == expected, "\(path)")
        }
        var health = Request(method: .get, target: "/healthz")
        health.host = "simulator.example"
        #expect(simulator.respond(to: health, at: epoch).answer.status == 200)
        #expect(simulator.create().answer.status == 201, "the API has credentials of its own")
    }

    @Test(arguments: [
        ("http://127.0.0.1:8080/status", false, true), ("http://localhost/status", false, true),
        ("http://169.254.169.254/latest/meta-data", false, false), ("http://10.0.0.1/", false, false),
        ("http://attacker.example/", false, false), ("http://127.0.0.1.attacker.example/", false, false),
        ("http://127.0.0.1@attacker.example/", false, false), ("http://0.0.0.0:8080/", false, false),
        ("http://sms.example.com/status", true, true),
    ])
    func whereCallbacksGo(url: String, allowsRemote: Bool, isPosted: Bool) throws {
        let simulator = try Simulator(settings { $0.allowsRemoteCallbacks = allowsRemote })
        let reply = simulator.create(more: [("StatusCallback", url)])
        #expect(reply.answer.status == 201)
        #expect(reply.callbacks.isEmpty != isPosted)
        #expect(simulator.statistics.callbacksRefused == (isPosted ? 0 : 1))
    }
}
