internal import Glibc

/// The result of `getaddrinfo` for one name.
enum Resolution: Sendable, Equatable {
    /// Numeric addresses, in the order to try them.
    case addresses([String])
    case failed(String)
}

/// Resolves names with the system's resolver.
enum HostResolver {
    /// Resolves `host`. Blocks, so call it on a helper thread.
    static func resolve(_ host: String) -> Resolution {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_family = AF_UNSPEC
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else {
            return .failed("cannot resolve the name: \(unsafe String(cString: gai_strerror(code)))")
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [String] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { name in
                let size = socklen_t(NI_MAXHOST)
                let code = unsafe getnameinfo(
                    entry.pointee.ai_addr, entry.pointee.ai_addrlen, name.baseAddress, size, nil, 0, NI_NUMERICHOST)
                // The buffer is not empty, so it has a base address.
                guard code == 0, let start = name.baseAddress else { return }
                let address = unsafe String(cString: start)
                if !addresses.contains(address) { addresses.append(address) }
            }
            unsafe next = unsafe entry.pointee.ai_next
        }
        return addresses.isEmpty ? .failed("the name has no address") : .addresses(addresses)
    }
}

/// Whether `host` is a numeric address already.
func isNumeric(_ host: String) -> Bool {
    var address = in6_addr()
    return unsafe inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
}
