/// How `otpd` ends, after sysexits(3).
enum ExitCode: Int32, Sendable {
    /// Done.
    case done = 0
    /// EX_USAGE: the command line was wrong. (ArgumentParser ends with this one by itself.)
    case usage = 64
    /// EX_DATAERR: what was given as input was wrong: a phone number that cannot be one, an unknown locale.
    case invalidInput = 65
    /// EX_UNAVAILABLE: a needed service, the database or Twilio, is unreachable. Worth trying again.
    case unavailable = 69
    /// EX_SOFTWARE: a mistake in otpd itself.
    case internalError = 70
    /// EX_IOERR: standard output could not be written. What the command had to do is done.
    case outputFailed = 74
    /// EX_NOPERM: refused by privileges: a database role, a file's mode.
    case refused = 77
    /// EX_CONFIG: the configuration, or the schema that it points at, is wrong. Trying again does not help.
    case configuration = 78
}
