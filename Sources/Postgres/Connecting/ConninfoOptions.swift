internal import CLibpq

/// The options of a connection string, as this libpq knows them.
enum ConninfoOptions {
    /// Where a connection string comes from.
    static let variable = "DATABASE_URL"
    /// What must not be shown of a connection.
    static let secrets: Set<String> = ["password", "sslpassword"]
    /// Every option of this libpq, with the variable that sets it too.
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
