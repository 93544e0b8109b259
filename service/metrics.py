"""The metrics this process counts; gauges of shared state are computed when scraped (health.py)."""

from prometheus_client import Counter, Histogram

HTTP_DURATION = Histogram(
    "amlp_http_request_duration_seconds",
    "Time to answer a request",
    ["method", "route", "status_class"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
AUTH_FAILURES = Counter("amlp_auth_failures_total", "Refused callers", ["reason"])
UPLOADED_FILES = Counter("amlp_uploaded_files_total", "Files stored in data sets")
