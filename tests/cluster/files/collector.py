"""A minimal OpenTelemetry collector: receives metrics with OTLP over HTTP, and returns them as JSON.

It parses messages with OpenTelemetry's own definitions, which Airflow's image contains.
"""

from __future__ import annotations

import gzip
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

METRICS: dict[str, list[object]] = {}
"""Metric → its last data points."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path != "/v1/metrics":
            self.send_error(404)
            return
        for resource in MessageToDict(ExportMetricsServiceRequest.FromString(body)).get("resourceMetrics", []):
            for scope in resource.get("scopeMetrics", []):
                for metric in scope["metrics"]:
                    kind = next(
                        name for name in metric if name in ("sum", "gauge", "exponentialHistogram", "histogram")
                    )
                    METRICS[metric["name"]] = metric[kind]["dataPoints"]
        self.respond(b"")

    def do_GET(self) -> None:
        self.respond(json.dumps(METRICS).encode())

    def respond(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("", 4318), Handler).serve_forever()
