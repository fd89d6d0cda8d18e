// swift-tools-version: 6.2
import PackageDescription

#if compiler(<6.3.1)
    // Seen with 6.2.3 in `otpd doctor`. It is https://github.com/swiftlang/swift/issues/88750, which 6.3.1 mends.
    #error("otpd needs Swift 6.3.1 or newer. Programs of earlier versions crash where they use `async let`.")
#endif

/// `make fuzz` sets this variable (Tests/fuzz/run). Without it there are no fuzz targets, and nothing below changes.
let isFuzzing = Context.environment["OTPD_FUZZING"] == "1"

/// The settings of every target: Swift 6 mode, the upcoming features, and warnings as errors.
let strict: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .treatAllWarnings(as: .error),
    ] + (isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : [])

/// For targets that use C: every unsafe expression is marked.
let strictMemory: [SwiftSetting] = strict + [.strictMemorySafety()]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
/// NIO without a framework. The simulator's faults and the servers' limits need the raw socket.
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

/// The products of the packages that only NIO uses, and that this manifest pins. SwiftPM warns of a dependency that no target
/// has.
let pinnedOnly: [Target.Dependency] = [
    .product(name: "Atomics", package: "swift-atomics"),
    .product(name: "SystemPackage", package: "swift-system"),
]

let package = Package(
    name: "otpd",
    products: [
        .executable(name: "otpd", targets: ["otpd"]),
        .executable(name: "twilio-simulator", targets: ["TwilioSimulator"]),
        .executable(name: "otpd-bench", targets: ["OTPDBench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        // NIO's own, named so that every build has these versions. Package.resolved is not in the repository: it also
        // names revisions, and a mirror of these packages may have other ones.
        .package(url: "https://github.com/apple/swift-atomics", exact: "1.3.0"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
    ],
    targets: [
        // C libraries as modules.
        .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CIDN2", pkgConfig: "libidn2", providers: [.apt(["libidn2-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSSL", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "CMigrations"),
        .target(name: "CDashboard", exclude: ["pages"]),

        // The base: one thread, and two wrappers of C libraries.
        .target(name: "EventLoop", dependencies: ["CLinux"], swiftSettings: strictMemory),
        .target(name: "Postgres", dependencies: ["EventLoop", "CLibpq", deque], swiftSettings: strictMemory),
        .target(name: "HTTP", dependencies: ["EventLoop", "CCurl"], swiftSettings: strictMemory),

        // The domain, pure.
        .target(name: "OTP", swiftSettings: strictMemory),
        .target(name: "Twilio", dependencies: ["OTP", "CCrypto"], swiftSettings: strictMemory),

        // Traces: spans, and when they are exported; pure but for the clock.
        .target(name: "Tracing", dependencies: ["EventLoop", "OTP"], swiftSettings: strict),

        // Mails: contents, and SMTP over libcurl's connections.
        .target(
            name: "Mail", dependencies: ["EventLoop", "HTTP", "OTP", "CCurl", "CIDN2"], swiftSettings: strictMemory),

        // The servers: limits of bytes and time, over NIO.
        .target(name: "HTTPServer", dependencies: ["EventLoop", logging] + nio, swiftSettings: strict),

        // The queue in SQL, the loops that use it, and the program.
        .target(
            name: "Queue", dependencies: ["CCrypto", "CMigrations", "EventLoop", "OTP", "Postgres", "Tracing"],
            swiftSettings: strictMemory),
        .target(
            name: "Runtime", dependencies: ["EventLoop", "Postgres", "Queue", logging], swiftSettings: strict),
        .target(
            name: "Worker",
            dependencies: [
                "EventLoop", "HTTP", "Mail", "OTP", "Postgres", "Queue", "Runtime", "Tracing", "Twilio", logging,
            ],
            swiftSettings: strict),
        .target(
            name: "Callbacks",
            dependencies: [
                "EventLoop", "HTTPServer", "OTP", "Postgres", "Queue", "Runtime", "Tracing", "Twilio", logging,
            ]
                + nio,
            swiftSettings: strict),
        .executableTarget(
            name: "otpd",
            dependencies: [
                "CDashboard", "CLinux", "Callbacks", "EventLoop", "HTTP", "HTTPServer", "Mail", "OTP", "Postgres",
                "Queue", "Runtime", "Tracing", "Twilio", "Worker",
                argumentParser, logging,
            ],
            swiftSettings: strictMemory),

        // Tools, which are not a part of otpd.
        .executableTarget(
            name: "TwilioSimulator", dependencies: ["CCrypto", "CSSL", argumentParser] + nio,
            swiftSettings: strictMemory),
        .executableTarget(
            name: "OTPDBench", dependencies: ["EventLoop", "Postgres", argumentParser], swiftSettings: strict),

        // Shared by the tests alone: sockets, programs, waiting.
        .target(
            name: "TestSupport", dependencies: pinnedOnly, path: "Tests/TestSupport", swiftSettings: strict),

        // Unit tests without a server, then integration tests with real ones.
        .testTarget(
            name: "EventLoopTests", dependencies: ["TestSupport", "EventLoop", "CLinux"], swiftSettings: strict),
        .testTarget(
            name: "PostgresTests", dependencies: ["TestSupport", "Postgres", "EventLoop"], swiftSettings: strict),
        .testTarget(name: "HTTPTests", dependencies: ["TestSupport", "HTTP", "EventLoop"], swiftSettings: strict),
        .testTarget(
            name: "MailTests", dependencies: ["TestSupport", "Mail", "EventLoop", "OTP"],
            exclude: ["Support/tls_server.py"], swiftSettings: strict),
        .testTarget(name: "OTPTests", dependencies: ["TestSupport", "OTP"], swiftSettings: strict),
        .testTarget(
            name: "TracingTests", dependencies: ["EventLoop", "OTP", "Tracing", "TestSupport"], swiftSettings: strict),
        // Optimized in every configuration, because it visits millions of states. (No package depends on this one.)
        .testTarget(
            name: "ModelTests", dependencies: ["OTP"], swiftSettings: strict + [.unsafeFlags(["-O"])]),
        .testTarget(name: "TwilioTests", dependencies: ["TestSupport", "Twilio", "OTP"], swiftSettings: strict),
        .testTarget(name: "QueueTests", dependencies: ["Postgres", "Queue", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "RuntimeTests", dependencies: ["EventLoop", "Postgres", "Runtime", logging], swiftSettings: strict),
        .testTarget(
            name: "WorkerTests",
            dependencies: [
                "EventLoop", "HTTP", "OTP", "Postgres", "Queue", "Runtime", "TestSupport", "Tracing", "Twilio",
                "Worker",
                logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HTTPServerTests",
            dependencies: [
                "HTTPServer", logging,
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CallbacksTests",
            dependencies: [
                "Callbacks", "EventLoop", "HTTPServer", "OTP", "Postgres", "TestSupport", "Twilio", logging,
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OtpdTests",
            dependencies: [
                "TestSupport", "otpd", "EventLoop", "HTTP", "HTTPServer", "OTP", "Postgres", "Queue", "Tracing",
                "Twilio",
                argumentParser, logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TwilioSimulatorTests", dependencies: ["TestSupport", "TwilioSimulator"], exclude: ["sdk_check.py"],
            swiftSettings: strict),
        .testTarget(name: "OTPDBenchTests", dependencies: ["OTPDBench"], swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["TestSupport", "EventLoop", "HTTP", "OTP", "Postgres", "Queue", "Twilio"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

if isFuzzing {
    package.products = [.executable(name: "otpd-fuzz", targets: ["OTPDFuzz"])]
    package.targets.removeAll { $0.type == .test || $0.type == .executable || $0.name == "TestSupport" }
    package.targets += [
        // The part of otpd that reads settings, as a library, because a program cannot be linked into another.
        .target(
            name: "otpd",
            dependencies: [
                "HTTP", "HTTPServer", "Mail", "OTP", "Postgres", "Queue", "Tracing", "Twilio", "Worker", logging,
            ],
            sources: [
                "Settings", "Support/ExitCode.swift", "Support/Failure.swift", "Support/Output",
                "Support/SystemError.swift",
            ], swiftSettings: strictMemory),
        .systemLibrary(name: "CLibFuzzer", path: "Tests/fuzz/CLibFuzzer"),
        .executableTarget(
            name: "OTPDFuzz",
            dependencies: [
                "CCrypto", "CLibFuzzer", "CLibpq", "HTTP", "HTTPServer", "OTP", "Postgres", "Queue", "Twilio", "otpd",
            ],
            path: "Tests/fuzz/OTPDFuzz", swiftSettings: strict,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
    ]
}
