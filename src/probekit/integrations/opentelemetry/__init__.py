"""Any OpenTelemetry SDK over our buffer: exported means stored, then delivered.

```python
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from probekit.integrations.opentelemetry import DurableSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(DurableSpanExporter()))
```

``wrap(exporter)`` puts the buffer in front of an exporter that you have already.
"""

from probekit.integrations.opentelemetry.logs import (
    DurableLogExporter,
    DurableLogProcessor,
)
from probekit.integrations.opentelemetry.metrics import DurableMetricExporter
from probekit.integrations.opentelemetry.spans import (
    DurableSpanExporter,
    DurableSpanProcessor,
)
from probekit.integrations.opentelemetry.wrap import wrap

__all__ = [
    "DurableLogExporter",
    "DurableLogProcessor",
    "DurableMetricExporter",
    "DurableSpanExporter",
    "DurableSpanProcessor",
    "wrap",
]
