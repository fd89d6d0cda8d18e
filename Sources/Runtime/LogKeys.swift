/// The keys of log metadata: one name for one thing, in every line of the program. No value is a code or a whole phone
/// number.
public enum LogKeys {
    // What it is about.
    public static let sendJob = "send_job_id"
    public static let attempt = "attempt"
    public static let outcome = "outcome"
    /// OpenTelemetry's names, by which its tools join a line to a span.
    public static let traceID = "trace_id"
    public static let spanID = "span_id"

    // What happened.
    public static let reason = "reason"
    public static let remedy = "remedy"
    public static let error = "error"
    public static let errorCode = "error_code"
    public static let pause = "pause"
    public static let signal = "signal"
    public static let variables = "variables"

    // How much, how long.
    public static let count = "count"
    public static let seconds = "seconds"
    public static let waiting = "waiting"

    // Status callbacks since the start.
    public static let received = "received"
    public static let refused = "refused"
    public static let malformed = "malformed"
    public static let dropped = "dropped"
    public static let written = "written"
    public static let unknown = "unknown"

    // The program and its surroundings.
    public static let version = "version"
    public static let address = "address"
    public static let database = "database"
    public static let state = "state"
    public static let worker = "worker"
}
