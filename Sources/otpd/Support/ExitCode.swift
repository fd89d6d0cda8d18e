/// The exit codes of `otpd`, as in sysexits(3).
enum ExitCode: Int32, Sendable {
    /// The command has done its work.
    case done = 0
    /// EX_USAGE: the command line was wrong. ArgumentParser uses this code itself.
    case usage = 64
    /// EX_DATAERR: the input was wrong, such as an invalid phone number or an unknown locale.
    case invalidInput = 65
    /// EX_UNAVAILABLE: a needed service is unreachable: the database or Twilio. A later attempt may succeed.
    case unavailable = 69
    /// EX_SOFTWARE: an error in otpd itself.
    case internalError = 70
    /// EX_IOERR: standard output could not be written. The command has done its work.
    case outputFailed = 74
    /// EX_NOPERM: refused by privileges, such as those of a database role or a file.
    case refused = 77
    /// EX_CONFIG: the configuration, or the schema that it points at, is wrong. Another attempt does not help.
    case configuration = 78
}
