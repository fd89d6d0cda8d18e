/// The reply that a connection delivers.
struct Reply: Equatable {
    enum Delivery: Equatable {
        /// Send all of it.
        case whole
        /// Close without sending a byte.
        case closeUnanswered
        /// Send the head and half of the body, then close.
        case closeMidAnswer
        /// Send bytes that are not HTTP, then close.
        case garbage
        /// Send nothing and leave the connection open.
        case never
    }

    var answer: Answer
    var delivery: Delivery = .whole
    /// How long to wait before the delivery.
    var delayMilliseconds = 0
    /// The callbacks that the request causes, counted from now.
    var callbacks: [ScheduledCallback] = []
}
