/// The key under which a client's address is counted.
public enum ClientAddress {
    /// An IPv4 address stands for itself. An IPv6 address stands for its /64, because one client has all of that.
    ///
    /// - Parameter address: as the system prints it, without a port.
    public static func key(_ address: String) -> String {
        guard address.contains(":"), !address.contains(".") else { return address }
        let halves = address.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false).map {
            $0.split(separator: ":")
        }
        guard halves.count == 2 else { return halves[0].prefix(4).joined(separator: ":") }
        let zeros = [Substring](repeating: "0", count: max(0, 8 - halves[0].count - halves[1].count))
        return (halves[0] + zeros + halves[1]).prefix(4).joined(separator: ":")
    }
}
