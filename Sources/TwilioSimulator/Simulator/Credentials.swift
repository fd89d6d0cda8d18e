/// The HTTP Basic credentials that the simulator accepts: account SID with auth token, and an API key with its secret
/// if given.
///
/// The expected header values are made once, so a request costs a comparison.
struct Credentials {
    let accountSID: String
    var authToken: String { didSet { expected = Self.expected(self) } }
    private let apiKey: (sid: String, secret: String)?
    private var expected: [String] = []

    init(accountSID: String, authToken: String, apiKey: (sid: String, secret: String)? = nil) {
        self.accountSID = accountSID
        self.authToken = authToken
        self.apiKey = apiKey
        expected = Self.expected(self)
    }

    /// Whether an Authorization header is one of the accepted ones.
    func accept(_ header: String?) -> Bool {
        guard let header else { return false }
        if expected.contains(header) { return true }
        guard header.utf8.count > 6, header.prefix(6).lowercased() == "basic " else { return false }
        return expected.contains("Basic " + header.dropFirst(6).drop { $0 == " " })
    }

    /// Whether an accepted header is the API key's. It is a standard key, which may not read the account itself.
    func isStandardKey(_ header: String?) -> Bool {
        guard let apiKey, let header else { return false }
        return header.hasSuffix(Base64.encode(Array("\(apiKey.sid):\(apiKey.secret)".utf8)))
    }

    private static func expected(_ credentials: Credentials) -> [String] {
        var pairs = ["\(credentials.accountSID):\(credentials.authToken)"]
        if let key = credentials.apiKey { pairs.append("\(key.sid):\(key.secret)") }
        return pairs.map { "Basic " + Base64.encode(Array($0.utf8)) }
    }
}
