/// The machine's events and actions.
extension PipelineMachine {
    enum Kind: Equatable {
        /// A prepared statement, by name.
        case execute(String)
        case simple
    }

    struct Request: Equatable {
        var id: RequestID
        var kind: Kind
        /// Whether it may be canceled after it was sent. Then nothing is sent behind it.
        var isCancellable: Bool
        var wasRetried = false
    }

    /// The change to the server's copy of a statement before its execution.
    enum Preparation: Equatable {
        case none
        case prepare
        /// There is a copy, and it is stale.
        case replace
    }

    /// Why a request is given up.
    enum Interruption: Equatable { case deadline, cancellation }

    enum Refusal: Equatable {
        /// The server has no prepared statement of this name.
        case unknownStatement
        /// The server has a prepared statement of this name that this machine does not know (42P05).
        case duplicateStatement
        /// "cached plan must not change result type".
        case stalePlan
        /// SQLSTATE 57014.
        case canceled
        case other
    }

    /// The result of one `PQgetResult`.
    enum Answer: Equatable {
        case success
        case refused(Refusal)
        /// Skipped, because something earlier in the same pipeline segment failed.
        case skipped
        /// NULL: the end of one command's results.
        case end
        /// The sync of a statement.
        case sync
        /// COPY and other modes that this module does not support.
        case unsupported
    }

    enum Event: Equatable {
        case submit(Request)
        case answer(Answer)
        case interrupt(RequestID, Interruption, drop: Bool)
        /// The thread that sent the cancel has ended.
        case cancelEnded
        /// The time that a canceled statement had for its answer is over.
        case graceOver(RequestID)
        case lost
    }

    enum Failure: Equatable {
        /// The server refused; the refusal was kept.
        case server
        case interrupted(Interruption, StatementFate)
        case lost(StatementFate)
        case unsupported
    }

    enum DropReason: Equatable {
        case interrupted(Interruption)
        case unsupported
        case outOfStep
    }

    enum Action: Equatable {
        case send(RequestID, Preparation)
        case sendSimple(RequestID)
        /// The result just received belongs to this request.
        case keep(RequestID)
        /// The refusal just received belongs to this request.
        case keepRefusal(RequestID)
        /// Discard the kept result, because the request is executed again.
        case forget(RequestID)
        case succeed(RequestID)
        case fail(RequestID, Failure)
        /// Ask the server to cancel, then report `cancelEnded`.
        case cancel
        /// Start the time that this request has for its answer. At its end, report `graceOver`.
        case startGrace(RequestID)
        /// Drop the connection.
        case drop(DropReason)
    }
}
