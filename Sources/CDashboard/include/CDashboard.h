#pragma once

// The files of pages/, compiled in: the dashboard needs nothing beside the program.

#include <stddef.h>

/// One file: its text is not terminated, its length counts.
typedef struct {
    const char *text;
    size_t length;
} otp_page;

/// dashboard.html
otp_page otp_dashboard_html(void);
/// dashboard.css
otp_page otp_dashboard_css(void);
/// dashboard.js
otp_page otp_dashboard_js(void);
