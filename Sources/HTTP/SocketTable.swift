/// The state of each descriptor that libcurl watches. Pure bookkeeping, by descriptor.
///
/// libcurl withdraws its interest in a connection at the end of each request and restores it at the next. A connection
/// that idles in between keeps its registration. That saves an `epoll_ctl` a request. If the server closes the
/// connection meanwhile, the loop is told once and unregisters it.
struct SocketTable {
    enum State {
        /// Not opened by this client: unknown, or one of libcurl's own (its resolver's), which libcurl closes without
        /// notice.
        case foreign
        /// A connection in use by a request.
        case active
        /// A connection between two requests.
        case idle
    }

    private var states: [State] = []
    /// By descriptor: whether written bytes wait until they are pushed.
    private var corked: [Bool] = []

    /// How many connections are open.
    private(set) var open = 0

    func state(_ descriptor: Int32) -> State {
        let index = Int(descriptor)
        return index < states.count ? states[index] : .foreign
    }

    mutating func opened(_ descriptor: Int32) {
        let index = Int(descriptor)
        while states.count <= index {
            states.append(.foreign)
            corked.append(false)
        }
        if states[index] == .foreign { open += 1 }
        states[index] = .idle
        corked[index] = false
    }

    func isCorked(_ descriptor: Int32) -> Bool {
        let index = Int(descriptor)
        return index < corked.count && corked[index]
    }

    mutating func cork(_ descriptor: Int32) {
        if state(descriptor) != .foreign { corked[Int(descriptor)] = true }
    }

    mutating func closed(_ descriptor: Int32) {
        guard state(descriptor) != .foreign else { return }
        states[Int(descriptor)] = .foreign
        corked[Int(descriptor)] = false
        open -= 1
    }

    /// Records whether a request uses the connection. Does nothing for a foreign descriptor.
    mutating func use(_ descriptor: Int32, _ isUsed: Bool) {
        guard state(descriptor) != .foreign else { return }
        states[Int(descriptor)] = isUsed ? .active : .idle
    }
}
