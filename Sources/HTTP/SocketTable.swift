/// What becomes of each descriptor that libcurl watches: pure bookkeeping, by descriptor.
///
/// libcurl takes its interest in a connection back at the end of each request and gives it anew at the next. A
/// connection that idles in between keeps its registration: no `epoll_ctl` a request, and should the server close it
/// meanwhile, the loop hears of it once and lets go.
struct SocketTable {
    enum State {
        /// Not opened by us: unknown, or one of libcurl's own (its resolver's), which it closes without a word.
        case foreign
        /// A connection that a request uses.
        case active
        /// A connection that waits for its next request.
        case idle
    }

    private var states: [State] = []
    /// By descriptor: whether what is written waits until it is pushed.
    private var corked: [Bool] = []

    /// Connections open.
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

    /// Notes whether a request uses the connection; nothing for a foreign one.
    mutating func use(_ descriptor: Int32, _ isUsed: Bool) {
        guard state(descriptor) != .foreign else { return }
        states[Int(descriptor)] = isUsed ? .active : .idle
    }
}
