public import HTTP
public import Mail
public import Queue

/// Why a worker could not begin.
public enum WorkerFailure: Error, CustomStringConvertible {
    /// The base URL or libcurl can't be used.
    case http(HTTPError)
    /// The mail server's address or libcurl can't be used.
    case mail(MailError)
    /// The database's schema is not the one this program knows.
    case schema(SchemaState)

    public var description: String {
        switch self {
        case .http(let error): "\(error)"
        case .mail(let error): "\(error)"
        case .schema(let state): state.message
        }
    }
}
