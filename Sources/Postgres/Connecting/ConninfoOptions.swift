internal import CLibpq

/// The options of a connection string that this libpq knows.
enum ConninfoOptions {
    /// The variable with the connection string.
    static let variable = "DATABASE_URL"
    /// The options that are never shown.
    static let secrets: Set<String> = ["password", "sslpassword"]
    /// Every option of this libpq, with the variable that also sets it.
    static let keywords: [String: String?] = {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = unsafe PQconninfoParse("", &message) else { return [:] }
        defer { unsafe PQconninfoFree(options) }
        var keywords: [String: String?] = [:]
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            let variable = unsafe option.pointee.envvar.map { unsafe String(cString: $0) }
            unsafe keywords[String(cString: keyword)] = .some(variable)
            unsafe option += 1
        }
        return keywords
    }()
}
