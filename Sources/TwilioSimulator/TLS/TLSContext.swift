import CSSL

/// A certificate with its key, for servers. It owns the `SSL_CTX`. Used only on the event loop.
@safe final class TLSContext {
    private let context: OpaquePointer

    /// Reads PEM files.
    convenience init(certificate: String, key: String) throws(TLSFailure) {
        try self.init()
        guard unsafe SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw .openSSL("cannot read the certificate in \(certificate)")
        }
        guard unsafe SSL_CTX_use_PrivateKey_file(context, key, X509_FILETYPE_PEM) == 1 else {
            throw .openSSL("cannot read the key in \(key), or it is not the certificate's")
        }
    }

    /// Makes a certificate for `localhost` and 127.0.0.1, and writes it to a file, for clients to trust.
    convenience init(selfSignedIn path: String) throws(TLSFailure) {
        try self.init()
        let pair = try SelfSignedCertificate()
        try pair.write(to: path)
        guard unsafe SSL_CTX_use_certificate(context, pair.certificate) == 1,
            unsafe SSL_CTX_use_PrivateKey(context, pair.key) == 1
        else { throw .openSSL("cannot use the new certificate") }
    }

    private init() throws(TLSFailure) {
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw .openSSL("cannot start TLS") }
        unsafe self.context = context
        // All members are set, so a throw here runs deinit.
        guard unsafe tls_require_1_2(context) == 1 else { throw .openSSL("cannot require TLS 1.2") }
    }

    deinit { unsafe SSL_CTX_free(context) }

    /// One connection's state, which the caller frees.
    func makeConnection() -> OpaquePointer? { unsafe SSL_new(context) }
}
