internal import EventLoop

/// One statement from its submission to its reply. Belongs to its connection, on the loop.
final class Call {
    typealias Reply = Result<[QueryResult], PostgresError>

    let statement: Statement
    let parameters: Parameters
    let deadline: Instant
    let onDeadline: OnDeadline
    let onCancellation: OnCancellation
    var continuation: CheckedContinuation<Reply, Never>?
    var timer: TimerID?
    var results: [QueryResult] = []
    var notices: [ServerError] = []
    var refusal: ServerError?
    /// The refusal of the execution before the retry.
    var firstRefusal: ServerError?

    init(
        statement: Statement, parameters: Parameters, deadline: Instant, onDeadline: OnDeadline,
        onCancellation: OnCancellation
    ) {
        self.statement = statement
        self.parameters = parameters
        self.deadline = deadline
        self.onDeadline = onDeadline
        self.onCancellation = onCancellation
    }

    /// Resets the call for another execution.
    func forget() {
        firstRefusal = refusal
        refusal = nil
        results = []
    }

    /// The server's refusal. An aborted transaction block (25P02), or a copy of the statement that exists after all
    /// (42P05), tells less than the refusal before it. So that earlier one is returned.
    var finalRefusal: ServerError {
        if let firstRefusal,
            refusal?.sqlstate == "25P02" || refusal?.sqlstate == "42P05"
        {
            return firstRefusal
        }
        return refusal ?? ServerError(severity: "ERROR", sqlstate: "", message: "the server gave no reason")
    }
}
