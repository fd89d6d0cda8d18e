import Testing

@testable import HTTP

@Suite("URLs that may be used")
struct URLPartsTests {
    @Test(
        "https anywhere and http to this machine are taken",
        arguments: [
            ("https://api.twilio.com", "https://api.twilio.com"),
            ("https://api.dublin.ie1.twilio.com/", "https://api.dublin.ie1.twilio.com"),
            ("https://proxy.example:8443/twilio/", "https://proxy.example:8443"),
            ("http://localhost:8080", "http://localhost:8080"), ("http://127.0.0.1:1/", "http://127.0.0.1:1"),
            ("http://127.1.2.3", "http://127.1.2.3"), ("http://[::1]:99", "http://[::1]:99"),
        ])
    func taken(text: String, origin: String) throws {
        #expect(try URLParts(text).origin == origin)
    }

    @Test(
        "plain http to another machine is refused, however it is spelled",
        arguments: [
            "http://api.twilio.com", "HTTP://api.twilio.com", "http://127.0.0.1.example.com",
            "http://localhost.example",
            "http://128.0.0.1", "http://10.0.0.1", "http://[::2]", "http://127.0.0.x", "http://0x80000001/",
        ])
    func insecure(text: String) {
        let error = #expect(throws: HTTPError.self) { try URLParts(text) }
        #expect(error?.reason == .insecureURL)
    }

    @Test(
        "where it is allowed, plain http reaches every host but Twilio's own",
        arguments: [
            ("http://simulator:4010", true), ("http://10.0.0.1", true), ("http://127.0.0.1:1", true),
            ("http://nottwilio.com", true), ("http://twilio.com.example", true), ("https://api.twilio.com", true),
            ("http://api.twilio.com", false), ("HTTP://API.Twilio.COM:80/", false), ("http://twilio.com", false),
            ("http://api.dublin.ie1.twilio.com", false), ("http://api.twilio.com.", false),
        ])
    func plainHTTP(text: String, isAllowed: Bool) {
        do throws(HTTPError) {
            _ = try URLParts(text, plainHTTP: .toAnyHostButTwilio)
            #expect(isAllowed)
        } catch {
            #expect(!isAllowed && error.reason == .insecureURL)
        }
    }

    @Test(
        "what is no URL, or carries what does not belong there, is refused with the reason",
        arguments: [
            "", "api.twilio.com", "ftp://localhost/", "file:///etc/passwd", "https://", "https://a b/",
            "https://a\r\n/",
            "https://user:secret@api.twilio.com", "https://api.twilio.com/#x",
            "https://api.twilio.com:99999",
        ])
    func invalid(text: String) {
        let error = #expect(throws: HTTPError.self) { try URLParts(text) }
        guard case .invalidURL(let why) = error?.reason else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!why.isEmpty)
        #expect(error?.description.contains("secret") == false)
    }

    @Test(
        "what is asked for is apart from where",
        arguments: [
            ("https://api.twilio.com", "https://api.twilio.com/", "/"),
            ("https://proxy.example:8443/a/../b%20c/?x=1&y=?", "https://proxy.example:8443/", "/b%20c/?x=1&y=?"),
            ("http://[::1]:99?q", "http://[::1]:99/", "/?q"),
        ])
    func target(text: String, root: String, target: String) throws {
        let parts = try URLParts(text)
        #expect(parts.root == root)
        #expect(parts.target == target)
    }

    @Test(
        "this machine by its very form",
        arguments: [
            ("localhost", true), ("127.0.0.1", true), ("127.255.255.255", true), ("::1", true), ("[::1]", true),
            ("", false), ("128.0.0.1", false), ("127.0.0", false), ("127.0.0.256", false), ("127.+0.0.1", false),
            ("127.-0.0.1", false), ("127.0.0.0001", false), ("127.0.0.1.", false), ("localhost.", false),
            ("::2", false),
        ])
    func loopback(host: String, isLoopback: Bool) { #expect(Loopback.contains(host) == isLoopback) }

    @Test("an endpoint shows its origin alone")
    func redacted() throws {
        let endpoint = try Endpoint(
            url: "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json",
            headers: [.init("Authorization", "Basic c2VjcmV0")])
        #expect("\(endpoint)" == "https://api.twilio.com:443" || "\(endpoint)" == "https://api.twilio.com")
    }
}
