/// What a connection has to do with an answer.
struct Reply: Equatable {
    enum Delivery: Equatable {
        /// Send all of it.
        case whole
        /// Close without a byte.
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
    /// What the request sets off, counted from now.
    var callbacks: [ScheduledCallback] = []
}
