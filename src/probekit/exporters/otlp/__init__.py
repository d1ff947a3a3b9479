"""OTLP over HTTP/protobuf, written by an encoder of our own (ADR 0004)."""
