"""Real traces of ddtrace (pip install ddtrace==4.16.0) through this library: its writer calls `send`, `shutdown` and `drop`
of an exporter object, so ours takes that one's place. It is no interface that ddtrace promises: hence the pinned version.
"""
import ddtrace
from data_pipeline import Error, TraceExporter
from ddtrace.internal import native
from ddtrace.trace import tracer

PINNED = "4.16.0"


class Exporter(TraceExporter):
    """What ddtrace's writer calls."""

    def send(self, payload):
        try:
            return super().send(payload)
        except Error as error:
            # The writer reads the agent's status from the text of this one.
            raise native.RequestError(str(error)) if error.status else error

    def set_telemetry_handle(self, _worker):
        """Telemetry stays with ddtrace."""


def plug_in(writer):
    """Gives this writer our exporter, now and when it makes another one."""
    def create():
        version = writer._api_version.upper().replace(".", "")
        return Exporter(url=writer.intake_url, inputFormat=version, outputFormat=version, language="python",
                        tracerVersion=ddtrace.__version__)

    writer._create_exporter = create
    old, writer._exporter = writer._exporter, create()
    old.shutdown(1_000_000_000)


def main():
    if ddtrace.__version__ != PINNED:
        print(f"ddtrace is {ddtrace.__version__}; this example was written for {PINNED}")
    writer = tracer._span_aggregator.writer
    plug_in(writer)
    answers = []
    send = writer._exporter.send
    writer._exporter.send = lambda payload: answers.append(send(payload)) or answers[-1]
    for i in range(10):
        with tracer.trace("web.request", service="example-python", resource=f"GET /cart/{i}", span_type="web") as span:
            span.set_tag("http.method", "GET")
            with tracer.trace("db.query", service="example-db", resource="SELECT 1", span_type="sql"):
                pass
    tracer.flush()
    print(f"{len(answers)} payloads, the agent answered {answers[-1] if answers else 'nothing'}")
    assert answers and "rate_by_service" in answers[-1]


main()
