"""InfluxDB's line protocol, over HTTP, UDP and TCP."""
