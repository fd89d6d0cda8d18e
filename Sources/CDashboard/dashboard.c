#include "CDashboard.h"

// #embed is C23. clang supports it in every mode since version 19, and rebuilds this file when an embedded file changes.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char html[] = {
#embed "pages/dashboard.html"
};
static const char css[] = {
#embed "pages/dashboard.css"
};
static const char js[] = {
#embed "pages/dashboard.js"
};

otp_page otp_dashboard_html(void) {
    return (otp_page){html, sizeof(html)};
}

otp_page otp_dashboard_css(void) {
    return (otp_page){css, sizeof(css)};
}

otp_page otp_dashboard_js(void) {
    return (otp_page){js, sizeof(js)};
}
