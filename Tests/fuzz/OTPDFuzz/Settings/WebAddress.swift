import HTTPServer

@testable import HTTP
@testable import otpd

/// An address in a setting. An accepted address is read back unchanged, and libcurl connects to the same host.
func fuzzWebAddress(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    if let address = try? WebAddress(text) {
        require((try? WebAddress(address.description)) == address, "it reads back the same")
        require(address.description.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "it is ASCII")
        require(address.scheme == .https || Loopback.contains(address.host), "plain http stays on this machine")
        require(address.port != 0 && (address.path.isEmpty || address.path.hasPrefix("/")), "its parts are sound")
        // A host that libcurl reads as another one (127.1, 0x7f.1) is either refused there, or is written as numbers.
        let parts: URLParts
        do {
            parts = try URLParts(address.description)
        } catch {
            return
        }
        let origin = "\(address.scheme.rawValue)://\(address.host)" + (address.port.map { ":\($0)" } ?? "")
        let isNumber = address.host.utf8.first.map { (0x30...0x39).contains($0) || $0 == UInt8(ascii: "[") } ?? false
        require(isNumber || parts.origin == origin, "libcurl goes to the same host and port")
        require(
            address.scheme == .https || parts.origin.hasPrefix("http://127.") || parts.origin == origin,
            "plain http stays on this machine to libcurl too")
    }
    if let base = try? WebAddress.base(text) {
        require(base.path.isEmpty && (try? WebAddress(text)) == base, "a base is an address without a path")
    }
    if let listen = try? ListenAddress(text) {
        require((try? ListenAddress(listen.description)) == listen, "an address to listen on reads back the same")
        require(listen.host.utf8.allSatisfy { (0x21...0x7E).contains($0) } && listen.port > 0, "it is ASCII")
        require(!listen.host.contains("["), "its host has no brackets")
    }
}
