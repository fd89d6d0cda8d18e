import CSSL

/// A new certificate and its key, valid for ten years on this machine alone. It frees both.
@safe final class SelfSignedCertificate {
    let certificate: OpaquePointer
    let key: OpaquePointer

    init() throws(TLSFailure) {
        guard let key = unsafe Self.makeKey() else { throw .openSSL("cannot make a key") }
        guard let certificate = unsafe X509_new() else {
            unsafe EVP_PKEY_free(key)
            throw .openSSL("cannot make a certificate")
        }
        unsafe self.key = key
        unsafe self.certificate = certificate
        guard unsafe Self.fill(certificate, key) else { throw .openSSL("cannot sign a certificate") }
    }

    deinit {
        unsafe X509_free(certificate)
        unsafe EVP_PKEY_free(key)
    }

    /// Writes the certificate as PEM.
    func write(to path: String) throws(TLSFailure) {
        guard let file = unsafe BIO_new_file(path, "w") else { throw .openSSL("cannot write \(path)") }
        defer { unsafe BIO_free_all(file) }
        guard unsafe PEM_write_bio_X509(file, certificate) == 1 else { throw .openSSL("cannot write \(path)") }
    }

    private static func makeKey() -> OpaquePointer? {
        guard let context = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { return nil }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard unsafe EVP_PKEY_keygen_init(context) == 1,
            unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
            unsafe EVP_PKEY_keygen(context, &key) == 1
        else { return nil }
        return unsafe key
    }

    private static func fill(_ certificate: OpaquePointer, _ key: OpaquePointer) -> Bool {
        let tenYears = 10 * 365 * 86400
        guard unsafe X509_set_version(certificate, 2) == 1,
            unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), UInt64.random(in: 1 ... .max)) == 1,
            // Clocks may differ a little.
            unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != nil,
            unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), tenYears) != nil,
            unsafe X509_set_pubkey(certificate, key) == 1,
            let name = unsafe X509_get_subject_name(certificate),
            unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, "twilio-simulator", -1, -1, 0) == 1,
            unsafe X509_set_issuer_name(certificate, name) == 1,
            unsafe add(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1", to: certificate),
            unsafe add(NID_basic_constraints, "critical,CA:TRUE", to: certificate)
        else { return false }
        return unsafe X509_sign(certificate, key, EVP_sha256()) > 0
    }

    private static func add(_ kind: Int32, _ value: String, to certificate: OpaquePointer) -> Bool {
        guard let part = unsafe X509V3_EXT_conf_nid(nil, nil, kind, value) else { return false }
        defer { unsafe X509_EXTENSION_free(part) }
        return unsafe X509_add_ext(certificate, part, -1) == 1
    }
}
