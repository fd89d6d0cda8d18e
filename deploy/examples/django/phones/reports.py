import re

from django.views.debug import SafeExceptionReporterFilter


class ReporterFilter(SafeExceptionReporterFilter):
    """Django's own filter hides PASSWORD, SECRET and the like; this one hides the connections' OPTIONS as well."""

    hidden_settings = re.compile(f"{SafeExceptionReporterFilter.hidden_settings.pattern}|^OPTIONS$", re.IGNORECASE)
