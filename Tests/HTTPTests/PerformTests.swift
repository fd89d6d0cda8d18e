import EventLoop
import Glibc
import HTTP
import TestSupport
import Testing

@Suite("perform", .timeLimit(.minutes(10)))
struct PerformTests {
    private func soon() -> Instant { .now() + .seconds(10) }

    @Test("a GET brings status, headers and body; then a POST on the same connection brings its own")
    func getAndPost() async throws {
        try await withServer { peer in
            _ = peer.readRequest()
            peer.answer("200 OK", headers: ["Retry-After: 3", "X-Shenanigans: none"], "{\"sid\":\"SM1\"}")
            peer.answer("201 Created", peer.readRequest() ?? "")
        } _: { server in
            try await withPoster { poster in
                let fetched = try await poster.client.perform(
                    Request(.get, url: server.url + "?To=%2B9", headers: [.init("Authorization", "Basic eA==")]),
                    deadline: soon())
                #expect(fetched.status == 200)
                #expect(fetched.body == Array("{\"sid\":\"SM1\"}".utf8))
                #expect(fetched.retryAfter == 3)
                #expect(fetched.header("x-shenanigans") == "none")
                let posted = try await poster.client.perform(
                    Request(.post, url: server.url, body: Array("Status=canceled".utf8)), deadline: soon())
                #expect(posted.status == 201)
                #expect(posted.body == Array("Status=canceled".utf8))
            }
            #expect(server.accepted.count == 1)
            let text = server.accepted[0].text
            #expect(text.hasPrefix("GET /2010-04-01/Accounts/AC0/Messages.json?To=%2B9 HTTP/1.1\r\n"))
            #expect(text.contains("\r\nAuthorization: Basic eA==\r\n"))
        }
    }

    @Test("plain http to another host is sent only where the configuration allows it", arguments: [false, true])
    func plainHTTP(isAllowed: Bool) async throws {
        var configuration = HTTPConfiguration()
        if isAllowed { configuration.plainHTTP = .toAnyHostButTwilio }
        try await withServer { peer in
            _ = peer.readRequest()
            peer.answer("200 OK", "{}")
        } _: { server in
            // libcurl resolves names under localhost by itself, so the request stays on this machine.
            let url = server.url.replacing("127.0.0.1", with: "machine.localhost")
            try await withPoster(configuration) { poster in
                do throws(HTTPError) {
                    let response = try await poster.client.perform(Request(.get, url: url), deadline: soon())
                    #expect(isAllowed && response.status == 200)
                    let endpoint = try poster.client.endpoint(url: url, authorization: [])
                    #expect(endpoint.origin.hasPrefix("http://machine.localhost:"))
                } catch {
                    #expect(!isAllowed && error.reason == .insecureURL)
                    #expect(throws: HTTPError.self) { try poster.client.endpoint(url: url, authorization: []) }
                }
            }
            #expect(server.accepted.count == (isAllowed ? 1 : 0))
        }
    }

    @Test("redirects are not followed")
    func redirect() async throws {
        try await withServer { peer in
            _ = peer.readRequest()
            peer.answer("302 Found", headers: ["Location: http://127.0.0.1:1/"], "")
        } _: { server in
            try await withPoster { poster in
                let response = try await poster.client.perform(Request(.get, url: server.url), deadline: soon())
                #expect(response.status == 302)
            }
        }
    }

    @Test("errors carry reason and origin, and nothing of path, query, headers or body")
    func errors() async throws {
        let port = try Loopback.closedPort()
        try await withPoster { poster in
            let request = Request(
                .post, url: "http://127.0.0.1:\(port)/AC123/Messages.json?secret=1",
                headers: [.init("Authorization", "Basic c2VjcmV0")], body: Array("Body=432198".utf8))
            let error = await #expect(throws: HTTPError.self) {
                try await poster.client.perform(request, deadline: soon())
            }
            #expect(error?.reason == .notSent(.connectFailed(errno: ECONNREFUSED)))
            #expect(
                error?.description
                    == "the request was not sent (http://127.0.0.1:\(port)): could not connect, Connection "
                    + "refused. Check that the host is up and that a firewall lets this machine out.")
            #expect("\(request)" == "POST")
        }
    }

    @Test("a deadline ends it, and so does canceling its task; the client stays usable")
    func deadlineAndCancellation() async throws {
        let hasArrived = AsyncStream<Void>.makeStream()
        try await withServer { peer in
            if peer.readRequest() == "Body=quick" { return peer.answer() }
            hasArrived.continuation.yield()
            _ = peer.read()
        } _: { server in
            try await withPoster { poster in
                let request = Request(.get, url: server.url)
                let late = await #expect(throws: HTTPError.self) {
                    try await poster.client.perform(request, deadline: .now() + .milliseconds(100))
                }
                #expect(late?.reason == .unknown(.timedOut))
                var arrivals = hasArrived.stream.makeAsyncIterator()
                _ = await arrivals.next()

                let task = Task { try await poster.client.perform(request, deadline: soon()) }
                _ = await arrivals.next()
                task.cancel()
                let canceled = await #expect(throws: HTTPError.self) { try await task.value }
                #expect(canceled?.reason == .canceled)
                #expect(await poster.inFlight() == 0)
                try await poster.expect(.response(201, "{}"), server.url, "Body=quick")
            }
        }
    }

    @Test("a POST without a body, a header that breaks its line, and a closed client are refused")
    func refused() async throws {
        let loop = try EventLoop.start()
        defer { loop.stop() }
        let client = try HTTPClient(on: loop)
        await #expect(throws: HTTPError.self) {
            try await client.perform(Request(.post, url: "https://localhost/"), deadline: soon())
        }
        let broken = Request(.get, url: "https://localhost/", headers: [.init("Authorization", "a\r\nX: y")])
        let error = await #expect(throws: HTTPError.self) { try await client.perform(broken, deadline: soon()) }
        #expect(error?.reason == .invalidHeader("Authorization"))
        await client.close()
        await client.close()
        let late = await #expect(throws: HTTPError.self) {
            try await client.perform(Request(.get, url: "https://localhost/"), deadline: soon())
        }
        #expect(late?.reason == .notSent(.canceled))
    }
}
