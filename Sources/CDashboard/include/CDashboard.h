#pragma once

// The files of pages/ are compiled into the program, so that the dashboard needs no other files.

#include <stddef.h>

/// One file. Its text has no terminating NUL, so use its length.
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
