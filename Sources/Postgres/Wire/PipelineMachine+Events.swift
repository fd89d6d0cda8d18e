/// What the machine is told, and what it asks for.
extension PipelineMachine {
    enum Kind: Equatable {
        /// A prepared statement, by name.
        case execute(String)
        case simple
    }

    struct Request: Equatable {
        var id: RequestID
        var kind: Kind
        /// Whether its end in mid-flight is a cancel; nothing is then sent behind it.
        var isCancellable: Bool
        var wasRetried = false
    }

    /// What has to be done about the server's copy of a statement before it is executed.
    enum Preparation: Equatable {
        case none
        case prepare
        /// There is one, and it is stale.
        case replace
    }

    /// Why a request is given up.
    enum Interruption: Equatable { case deadline, cancellation }

    enum Refusal: Equatable {
        /// The server has no prepared statement of the name.
        case unknownStatement
        /// The server has a prepared statement of the name, which this machine does not know of (42P05).
        case duplicateStatement
        /// "cached plan must not change result type".
        case stalePlan
        /// SQLSTATE 57014.
        case canceled
        case other
    }

    /// What one `PQgetResult` brought.
    enum Answer: Equatable {
        case success
        case refused(Refusal)
        /// Skipped, since something before it in the same pipeline segment failed.
        case skipped
        /// NULL: the end of one command's results.
        case end
        /// The sync of a statement.
        case sync
        /// COPY and other modes that this module does not speak.
        case unsupported
    }

    enum Event: Equatable {
        case submit(Request)
        case answer(Answer)
        case interrupt(RequestID, Interruption, drop: Bool)
        /// The thread that sent the cancel has ended.
        case cancelEnded
        /// A canceled statement has had its time to answer.
        case graceOver(RequestID)
        case lost
    }

    enum Failure: Equatable {
        /// With the refusal that was kept.
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
        /// The result that was just received is this request's.
        case keep(RequestID)
        /// The refusal that was just received is this request's.
        case keepRefusal(RequestID)
        /// Throw away what was kept: it will be executed again.
        case forget(RequestID)
        case succeed(RequestID)
        case fail(RequestID, Failure)
        /// Ask the server to cancel; then report `cancelEnded`.
        case cancel
        /// From now on this request has only a grace to answer; then report `graceOver`.
        case startGrace(RequestID)
        /// Leave the connection.
        case drop(DropReason)
    }
}
