/// The keys of log metadata: one name for one thing, in every line.
enum LogKeys {
    // What it is about.
    static let sendJob = "send_job_id"
    static let verification = "verification_id"
    static let attempt = "attempt"
    static let messageSID = "message_sid"
    static let jobState = "job_state"
    static let messageStatus = "message_status"
    static let country = "country"
    static let scope = "scope"

    // What happened.
    static let reason = "reason"
    static let remedy = "remedy"
    static let error = "error"
    static let errorCode = "error_code"
    static let sqlState = "sqlstate"
    static let httpStatus = "http_status"
    static let signal = "signal"

    // How much, how long.
    static let count = "count"
    static let inFlight = "in_flight"
    static let queued = "queued"
    static let duration = "duration_ms"
    static let delay = "delay_ms"

    // Who and where.
    static let worker = "worker"
    static let version = "version"
    static let processID = "pid"
    static let address = "address"
    static let database = "database"
    static let schema = "schema"
    static let setting = "setting"
    static let state = "state"
}
