"""The OpenTelemetry tables in ClickHouse."""
