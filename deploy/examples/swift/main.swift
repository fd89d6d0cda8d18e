import Glibc

/// Asks for a phone number and a code, as the snippets do.
func ask(_ what: String) -> String {
    print(what, terminator: ": ")
    fflush(nil)
    return readLine() ?? ""
}

do {
    let otpd = try Otpd(secret: getenv("OTPD_SECRET").map { String(cString: $0) } ?? "")
    _ = try otpd.request(subject: "user:1", phoneNumber: ask("Phone number"), locale: "ar")
    print(try otpd.verify(subject: "user:1", code: ask("Code")) ? "verified" : "invalid or expired")
} catch {
    _ = "\(error.sqlstate) \(error.message)\n".withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(1)
}
