import CSSL

/// The server's side of one TLS connection, without a socket: bytes from the network go in, plain bytes come out, and the
/// other way round. It owns the `SSL`, which owns both buffers. Used only on the event loop.
@safe final class TLSState {
    /// What a step gave.
    struct Output: Equatable {
        /// For the application.
        var plain: [UInt8] = []
        /// For the network.
        var encrypted: [UInt8] = []
        /// Whether the client said goodbye, or broke the protocol.
        var hasEnded = false
    }

    private let ssl: OpaquePointer
    private let fromNetwork: OpaquePointer
    private let toNetwork: OpaquePointer
    /// Plain bytes that wait for the handshake.
    private var waiting: [UInt8] = []

    init(_ context: TLSContext) throws(TLSFailure) {
        guard let ssl = unsafe context.makeConnection() else { throw .openSSL("cannot start a TLS connection") }
        guard let input = unsafe BIO_new(BIO_s_mem()), let output = unsafe BIO_new(BIO_s_mem()) else {
            unsafe SSL_free(ssl)
            throw .openSSL("no memory for a TLS connection")
        }
        unsafe self.ssl = ssl
        unsafe fromNetwork = input
        unsafe toNetwork = output
        unsafe SSL_set_bio(ssl, input, output)
        unsafe SSL_set_accept_state(ssl)
    }

    deinit { unsafe SSL_free(ssl) }

    /// Bytes from the network.
    func receive(_ bytes: [UInt8]) -> Output {
        // A memory buffer takes everything. The pointer is valid during this call alone.
        _ = unsafe bytes.withUnsafeBytes { unsafe BIO_write(fromNetwork, $0.baseAddress, Int32($0.count)) }
        var output = Output()
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            ERR_clear_error()
            let count = unsafe SSL_read(ssl, &buffer, Int32(buffer.count))
            if count > 0 {
                output.plain.append(contentsOf: buffer.prefix(Int(count)))
                continue
            }
            output.hasEnded = unsafe SSL_get_error(ssl, count) != SSL_ERROR_WANT_READ
            break
        }
        if !waiting.isEmpty, unsafe SSL_is_init_finished(ssl) == 1 {
            write(waiting)
            waiting = []
        }
        output.encrypted = drain()
        return output
    }

    /// Plain bytes for the client. They wait while the handshake goes on.
    func send(_ bytes: [UInt8]) -> [UInt8] {
        if unsafe SSL_is_init_finished(ssl) == 1 { write(bytes) } else { waiting.append(contentsOf: bytes) }
        return drain()
    }

    /// The goodbye.
    func close() -> [UInt8] {
        if unsafe SSL_is_init_finished(ssl) == 1 { _ = unsafe SSL_shutdown(ssl) }
        return drain()
    }

    private func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        // The buffer behind it takes everything, so the write is complete or the connection is broken. The pointer is valid
        // during this call alone.
        _ = unsafe bytes.withUnsafeBytes { unsafe SSL_write(ssl, $0.baseAddress, Int32($0.count)) }
    }

    private func drain() -> [UInt8] {
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = unsafe BIO_read(toNetwork, &buffer, Int32(buffer.count))
            guard count > 0 else { return output }
            output.append(contentsOf: buffer.prefix(Int(count)))
        }
    }
}
