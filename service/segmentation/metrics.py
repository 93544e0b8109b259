"""What predictions cost, for Prometheus."""

from prometheus_client import Histogram

PREDICT_DURATION = Histogram(
    "amlp_predict_duration_seconds",
    "Time of a prediction by stage",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
