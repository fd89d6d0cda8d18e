// swift-tools-version: 6.2
import PackageDescription

/// `make fuzz` alone sets it (Tests/fuzz/run): without, there are no fuzz targets, and nothing below differs.
let isFuzzing = Context.environment["OTPD_FUZZING"] == "1"

/// What every target is built with: Swift 6 mode, the upcoming features, and no warning left standing.
let strict: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .treatAllWarnings(as: .error),
    ] + (isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : [])

/// For the targets that touch C: every unsafe expression says so.
let strictMemory: [SwiftSetting] = strict + [.strictMemorySafety()]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
/// Hummingbird's server without its router: the simulator's faults and the limits of what listens want the raw
/// socket.
let server: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let services: [Target.Dependency] = [
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "UnixSignals", package: "swift-service-lifecycle"),
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
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        // C, as modules.
        .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "CMigrations"),
        .target(name: "CDashboard", exclude: ["pages"]),

        // The floor: one thread, two wrappers.
        .target(name: "EventLoop", dependencies: ["CLinux"], swiftSettings: strictMemory),
        .target(name: "Postgres", dependencies: ["EventLoop", "CLibpq"], swiftSettings: strictMemory),
        .target(name: "HTTP", dependencies: ["EventLoop", "CCurl"], swiftSettings: strictMemory),

        // The domain, pure.
        .target(name: "OTP", swiftSettings: strictMemory),
        .target(name: "Twilio", dependencies: ["OTP", "CCrypto"], swiftSettings: strictMemory),

        // Who listens: limits of bytes and time, over Hummingbird's server.
        .target(name: "HTTPServer", dependencies: [logging] + server, swiftSettings: strict),

        // The queue in SQL, the loops on top, the program.
        .target(
            name: "Queue", dependencies: ["CCrypto", "CMigrations", "EventLoop", "OTP", "Postgres"],
            swiftSettings: strictMemory),
        .target(
            name: "Worker",
            dependencies: ["EventLoop", "HTTP", "OTP", "Postgres", "Queue", "Twilio", logging],
            swiftSettings: strict),
        .target(
            name: "Callbacks",
            dependencies: ["EventLoop", "HTTPServer", "OTP", "Postgres", "Queue", "Twilio", logging] + server,
            swiftSettings: strict),
        .executableTarget(
            name: "otpd",
            dependencies: [
                "CDashboard", "CLinux", "Callbacks", "EventLoop", "HTTP", "HTTPServer", "OTP", "Postgres", "Queue",
                "Twilio", "Worker",
                argumentParser, logging,
            ],
            swiftSettings: strictMemory),

        // Tools: never part of otpd.
        .executableTarget(
            name: "TwilioSimulator", dependencies: ["CCrypto", argumentParser, logging] + server + services,
            swiftSettings: strictMemory),
        .executableTarget(
            name: "OTPDBench", dependencies: ["EventLoop", "Postgres", argumentParser], swiftSettings: strict),

        // Machines and codecs, with no server; then everything, with real ones.
        .testTarget(name: "EventLoopTests", dependencies: ["EventLoop", "CLinux"], swiftSettings: strict),
        .testTarget(name: "PostgresTests", dependencies: ["Postgres", "EventLoop"], swiftSettings: strict),
        .testTarget(name: "HTTPTests", dependencies: ["HTTP", "EventLoop"], swiftSettings: strict),
        .testTarget(name: "OTPTests", dependencies: ["OTP"], swiftSettings: strict),
        // Optimized in every configuration: it visits millions of states. (No package depends on this one.)
        .testTarget(
            name: "ModelTests", dependencies: ["OTP"], swiftSettings: strict + [.unsafeFlags(["-O"])]),
        .testTarget(name: "TwilioTests", dependencies: ["Twilio", "OTP"], swiftSettings: strict),
        .testTarget(name: "QueueTests", dependencies: ["Postgres", "Queue"], swiftSettings: strict),
        .testTarget(name: "WorkerTests", dependencies: ["EventLoop", "Worker"], swiftSettings: strict),
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
                "Callbacks", "EventLoop", "HTTPServer", "OTP", "Postgres", "Twilio", logging,
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OtpdTests",
            dependencies: ["otpd", "EventLoop", "HTTP", "HTTPServer", "OTP", "Postgres", "Queue", "Twilio", logging],
            swiftSettings: strict),
        .testTarget(name: "TwilioSimulatorTests", dependencies: ["TwilioSimulator"], swiftSettings: strict),
        .testTarget(name: "OTPDBenchTests", dependencies: ["OTPDBench"], swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["EventLoop", "HTTP", "OTP", "Postgres", "Queue", "Twilio"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

if isFuzzing {
    package.products = [.executable(name: "otpd-fuzz", targets: ["OTPDFuzz"])]
    package.targets.removeAll { $0.type == .test || $0.type == .executable }
    package.targets += [
        // Of otpd, what reads settings, as a library: a program cannot be linked into another.
        .target(
            name: "otpd", dependencies: ["HTTP", "OTP", "Queue", "Twilio", logging],
            sources: ["ExitCode.swift", "Output", "Settings", "SystemError.swift"], swiftSettings: strictMemory),
        .systemLibrary(name: "CLibFuzzer", path: "Tests/fuzz/CLibFuzzer"),
        .executableTarget(
            name: "OTPDFuzz",
            dependencies: [
                "CCrypto", "CLibFuzzer", "CLibpq", "HTTP", "OTP", "Postgres", "Queue", "Twilio", "otpd",
            ],
            path: "Tests/fuzz/OTPDFuzz", swiftSettings: strict,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
    ]
}
