public import HTTP
public import Queue

/// Why a worker could not begin.
public enum WorkerFailure: Error, CustomStringConvertible {
    /// The base URL or libcurl can't be used.
    case http(HTTPError)
    /// The database's schema is not the one this program knows.
    case schema(SchemaState)

    public var description: String {
        switch self {
        case .http(let error): "\(error)"
        case .schema(let state): state.message
        }
    }
}
