internal import HTTP
internal import OTP
internal import Tracing

/// Where traces go, and which are recorded. The variables are those of OpenTelemetry's specification, which other programs
/// read too. As it asks for, an unknown sampler or a wrong number is reported and left out. An endpoint or headers that
/// cannot be used are errors: without them no trace would arrive.
struct TraceSettings: Equatable, Sendable {
    /// The whole URL of the collector.
    let endpoint: String
    /// May hold a secret.
    let headers: OTLPHeaders
    let serviceName: String
    let sampler: Sampler

    /// Any host, because spans hold no secret and collectors are often near.
    static let plainHTTP = PlainHTTP.toAnyHostButTwilio

    /// Reads the settings. Nil if no endpoint is set, if `OTEL_SDK_DISABLED` is `true`, or if a problem was reported.
    static func read(_ reader: inout SettingsReader) -> TraceSettings? {
        let isDisabled = readDisabled(&reader)
        let endpoint = readEndpoint(&reader)
        let headers =
            reader.parse(.otlpHeaders) { (text: String) throws(InvalidValue) -> OTLPHeaders in
                do throws(OTLPHeaders.FormError) {
                    return try OTLPHeaders(text)
                } catch {
                    throw InvalidValue("is no list of headers: \(error.reason). Write name=value,name=value.")
                }
            } ?? OTLPHeaders()
        let serviceName = reader.find(.serviceName).value ?? "otpd"
        let sampler = readSampler(&reader)
        guard !isDisabled, let endpoint else { return nil }
        if !headers.list.isEmpty, endpoint.isReadableOnTheWay {
            reader.warn(
                "OTEL_EXPORTER_OTLP_HEADERS crosses the network without encryption. Use https for the endpoint.")
        }
        return TraceSettings(
            endpoint: endpoint.text, headers: headers, serviceName: serviceName, sampler: sampler)
    }

    /// The specification counts any other value as false.
    private static func readDisabled(_ reader: inout SettingsReader) -> Bool {
        guard let text = reader.find(.sdkDisabled).value?.lowercased() else { return false }
        if text != "true", text != "false" {
            reader.warn("OTEL_SDK_DISABLED is neither true nor false, and counts as false.")
        }
        return text == "true"
    }

    private struct Endpoint {
        var text: String
        var isReadableOnTheWay: Bool
    }

    /// The endpoint of traces as it is; otherwise `/v1/traces` below the endpoint of everything.
    private static func readEndpoint(_ reader: inout SettingsReader) -> Endpoint? {
        let own = reader.find(.otlpTracesEndpoint)
        let base = reader.find(.otlpEndpoint)
        func parse(_ text: String, _ name: SettingName) -> (text: String, address: WebAddress)? {
            reader.parse(text, name) { (text: String) throws(InvalidValue) in
                (text, try WebAddress(text, plainHTTP: plainHTTP))
            }
        }
        // Both are checked, so that no mistake waits for a change of the other.
        let common = base.value.flatMap { parse($0, .otlpEndpoint) }
        if let text = own.value {
            return parse(text, .otlpTracesEndpoint).map {
                Endpoint(text: $0.text, isReadableOnTheWay: $0.address.isReadableOnTheWay)
            }
        }
        guard own.isAbsent else { return nil }
        return common.map {
            Endpoint(text: "\($0.address)/v1/traces", isReadableOnTheWay: $0.address.isReadableOnTheWay)
        }
    }

    private static func readSampler(_ reader: inout SettingsReader) -> Sampler {
        let argument = reader.find(.tracesSamplerArgument).value
        guard let name = reader.find(.tracesSampler).value else { return .standard }
        var wrongRatio = false
        let sampler = Sampler(name: name) {
            guard let argument else { return 1 }
            // Swift reads hexadecimal numbers, infinity and NaN too.
            guard
                argument.utf8.allSatisfy({
                    $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                }),
                let ratio = Double(argument), (0...1).contains(ratio)
            else {
                wrongRatio = true
                return 1
            }
            return ratio
        }
        if wrongRatio {
            reader.warn("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1 and is ignored: every trace is recorded.")
        }
        guard let sampler else {
            reader.warn(
                "OTEL_TRACES_SAMPLER names no sampler that otpd knows and is ignored: parentbased_always_on is used.")
            return .standard
        }
        return sampler
    }
}
