/// Values that a setting takes, and values that it does not, each with its variable.
enum SettingValues {
    static let good = pairs(goodByName)
    static let bad = pairs(badByName)

    private static func pairs(_ values: [String: [String]]) -> [(String, String)] {
        values.sorted { $0.key < $1.key }.flatMap { name, values in values.map { (name, $0) } }
    }

    private static let long = String(repeating: "01234567", count: 5)

    private static let goodByName: [String: [String]] = [
        "OTPD_DASHBOARD_LISTEN": ["127.0.0.1:9464", "[::1]:80", "localhost:1", "127.1.2.3:65535"],
        "OTPD_DASHBOARD_TOKEN": [String(repeating: "tokenABC", count: 4)],
        "TWILIO_ACCOUNT_SID": [
            "AC" + Fixture.sid, "AC" + Fixture.sid.uppercased(),
        ],
        "TWILIO_AUTH_TOKEN": [
            "any-visible~ASCII!"
        ],
        "TWILIO_PHONE_NUMBER": [
            "+966501234567", "+2901234", "+123456789012345", "Mgask", "A", "My App 2 Go", "123a", "12345",
        ],
        "OTPD_SECRET": [
            String(repeating: "abcdefgh", count: 4), "AZaz09-_" + String(repeating: "x", count: 500),
        ],
        "TWILIO_API_BASE_URL": [
            "https://api.dublin.ie1.twilio.com", "https://api.twilio.com/", "http://127.0.0.1:8081",
            "http://localhost:1", "http://[::1]:65535", "HTTPS://API.TWILIO.COM", "http://127.8.9.1",
            "https://[2001:db8::1]",
        ],
        "OTPD_APP_NAME": [
            "مقاسك", "A & B", String(repeating: "é", count: 64),
        ],
        "OTPD_MAX_IN_FLIGHT": [
            "1", "10000", "0064",
        ],
        "OTPD_RATE_PER_SECOND": [
            "0.1", "100", "12.5",
        ],
        "OTPD_RESEND_UNKNOWN": [
            "after-grace", "never",
        ],
        "OTPD_PLAIN_HTTP_TO_TWILIO": ["yes", "no"],
        "OTPD_LOG_FORMAT": [
            "json", "text",
        ],
        "OTEL_EXPORTER_OTLP_ENDPOINT": [
            "http://127.0.0.1:4318", "http://otel-collector:4318/", "https://otel.example.com/base", "HTTPS://A.B",
        ],
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ["https://otel.example.com/v1/traces"],
        "OTEL_EXPORTER_OTLP_HEADERS": ["a=b", "Authorization=Basic%20QQ==,x-y=1"],
        "OTEL_SERVICE_NAME": ["codes"],
        // As the specification has it, these are never errors.
        "OTEL_TRACES_SAMPLER": ["always_on", "parentbased_traceidratio", "jaeger_remote"],
        "OTEL_TRACES_SAMPLER_ARG": ["0.5", "1", "no number"],
        "OTEL_SDK_DISABLED": ["true", "FALSE", "1"],
        "DATABASE_URL": [
            "postgres://otpd@db", "postgresql://a,b/x?target_session_attrs=read-write", "host=db dbname=app",
            "postgresql:///app?host=/run/postgresql",
        ],
        "OTPD_CALLBACK_PUBLIC_URL": [
            "https://sms.example.com/otp/status", "http://127.0.0.1:9/cb",
        ],
    ]

    private static let badByName: [String: [String]] = [
        // Not this machine alone, and no token.
        "OTPD_DASHBOARD_LISTEN": [
            "9464", "0.0.0.0:9464", "[::]:9464", "10.0.0.1:1", "otpd:9464", "127.0.0.1.example.com:1", "128.0.0.1:1",
        ],
        "OTPD_DASHBOARD_TOKEN": [String(long.prefix(31)), String(repeating: "a", count: 40), long + "!"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": [
            "127.0.0.1:4318", "grpc://otel:4317", "https://user@otel.example.com", "https://a.b/c?d",
            "http://twilio.com",
        ],
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ["otel.example.com", "https://"],
        "OTEL_EXPORTER_OTLP_HEADERS": ["no header", "a b=c", "=c", "a=%0a"],
        "TWILIO_ACCOUNT_SID": [
            "AC123", "ac" + Fixture.sid, "AC" + Fixture.sid + "0", "AC" + Fixture.sid.dropLast() + "g",
            "SK" + Fixture.sid, "AC" + Fixture.sid.dropLast() + "٠",
        ],
        "TWILIO_AUTH_TOKEN": [
            "with space", "non-ascii-é", "a\u{0}b", "'quoted'",
        ],
        "TWILIO_PHONE_NUMBER": [
            "0501234567", "966501234567", "+", "+0966501234", "+966 50 123 4567", "+1234567890123456", "+123456",
            "+٩٦٦٥٠١٢٣٤٥٦٧", "LongerThan11", "My-App", "مقاسك", "MG" + Fixture.sid, "1234 567",
        ],
        "OTPD_SECRET": [
            String(long.prefix(31)), String(repeating: "0", count: 32), String(repeating: "abcdefg", count: 9),
            "change-me-change-me-0123456789-abcdef", "CHANGE_ME_0123456789_0123456789_abcdef", long + "+", long + "=",
            String(repeating: "é", count: 40),
        ],
        "OTPD_SECRET_PREVIOUS": [
            "short"
        ],
        "TWILIO_API_BASE_URL": [
            "api.twilio.com", "http://api.twilio.com", "http://127.0.0.1.example.com", "http://localhost.example.com",
            "https://api.twilio.com/2010-04-01", "https://a.b?x=1", "https://a.b#x", "https://user:pw@a.b",
            "https://", "https://:443", "https://a.b:0", "https://a.b:65536", "https://a.b:", "https://a.b:+1",
            "https://a..b", "https://-a.b", "https://a_b", "https://[::1", "https://[x]", "https://a b", "ftp://a.b",
            "https://مثال.sa", "http://127.0.0.1@evil.example", "https://a.b\\@evil.example", "http://127.+0.0.1",
            "http://0.0.0.0:1",
        ],
        "OTPD_APP_NAME": [
            "{code}", "a}", String(repeating: "x", count: 65), "a\nb", "a\u{202E}b", "a\u{FFFD}",
        ],
        "OTPD_MAX_IN_FLIGHT": [
            "0", "10001", "-1", "+5", "1.5", "64k", "99999999999999999999", "٦٤",
        ],
        "OTPD_RATE_PER_SECOND": [
            "0", "0.0", "-1", "nan", "inf", "1e3", ".", "1.2.3", "ten", String(repeating: "9", count: 400),
        ],
        "OTPD_RESEND_UNKNOWN": [
            "always", "Never",
        ],
        "OTPD_PLAIN_HTTP_TO_TWILIO": ["true", "1", "YES", "on"],
        "OTPD_LOG_LEVEL": [
            "INFO", "warn",
        ],
        "OTPD_LOG_FORMAT": [
            "logfmt"
        ],
        "DATABASE_URL": [
            "mysql://db", "db.example.com", "http://a/?b=c",
        ],
        "OTPD_CALLBACK_PUBLIC_URL": [
            "http://sms.example.com/", "https://a.b/x?y",
        ],
        "OTPD_CA_FILE": [
            "/nonexistent"
        ],
    ]
}
