import CLibFuzzer
import Glibc

/// Runs one fuzz target of `Targets`, chosen by FUZZ_TARGET. libFuzzer uses the arguments itself, and passes them to the
/// processes that it starts.
@main
enum OTPDFuzz {
    static func main() {
        let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = Target(rawValue: name) else {
            let names = Target.allCases.map(\.rawValue).joined(separator: " ")
            print("otpd-fuzz: FUZZ_TARGET is \"\(name)\"; set it to one of: \(names)")
            exit(64)
        }
        chosen = target.body
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            withUnsafeMutablePointer(to: &arguments) { arguments in
                LLVMFuzzerRunDriver(&count, arguments) { data, size in
                    OTPDFuzz.chosen(data.map { [UInt8](UnsafeBufferPointer(start: $0, count: size)) } ?? [])
                    return 0
                }
            })
    }

    /// Set once, before libFuzzer's first call. libFuzzer calls only on this thread.
    nonisolated(unsafe) private static var chosen: ([UInt8]) -> Void = { _ in }
}

/// The fuzz targets. The raw value is the name of the corpus folder.
enum Target: String, CaseIterable {
    case account, created, message
    case errorBody = "error-body"
    case date, callback, form, number, template, settings
    case webAddress = "web-address"
    case answerHead = "answer-head"
    case values, conninfo, seal

    var body: ([UInt8]) -> Void {
        switch self {
        case .account: fuzzAccount
        case .created: fuzzCreatedMessage
        case .message: fuzzMessage
        case .errorBody: fuzzErrorBody
        case .date: fuzzInternetDate
        case .callback: fuzzCallback
        case .form: fuzzForm
        case .number: fuzzNumber
        case .template: fuzzTemplate
        case .settings: fuzzSettings
        case .webAddress: fuzzWebAddress
        case .answerHead: fuzzAnswerHead
        case .values: fuzzValues
        case .conninfo: fuzzConninfo
        case .seal: fuzzSeal
        }
    }
}
