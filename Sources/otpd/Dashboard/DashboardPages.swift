internal import CDashboard
internal import HTTPServer

/// The files of the page, which are compiled into the program. They hold no data, so they need no token.
enum DashboardPages {
    static let html = PageAnswer(200, type: "text/html; charset=utf-8", body: unsafe bytes(otp_dashboard_html()))
    static let css = PageAnswer(200, type: "text/css; charset=utf-8", body: unsafe bytes(otp_dashboard_css()))
    static let js = PageAnswer(200, type: "text/javascript; charset=utf-8", body: unsafe bytes(otp_dashboard_js()))

    private static func bytes(_ page: otp_page) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: page.text, count: page.length))
    }
}
