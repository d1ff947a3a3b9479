"""OpenTSDB: telnet and HTTP, which VictoriaMetrics and InfluxDB understand too."""
