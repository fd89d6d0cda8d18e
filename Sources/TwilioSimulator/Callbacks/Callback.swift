/// A callback to be sent.
struct Callback: Equatable, Sendable {
    enum Event: Equatable, Sendable {
        case message(MessageEvent)
        case call(CallEvent)
    }

    var url: CallbackURL
    var event: Event

    /// The form fields that Twilio sends.
    var parameters: [(name: String, value: String)] {
        switch event {
        case .message(let event): event.parameters
        case .call(let event): event.parameters
        }
    }

    /// The status that it reports.
    var status: String {
        switch event {
        case .message(let event): event.status.rawValue
        case .call(let event): event.status.rawValue
        }
    }
}

/// A callback and when it is due, counted from the request that caused it.
struct ScheduledCallback: Equatable, Sendable {
    var callback: Callback
    var afterMilliseconds: Int
}
