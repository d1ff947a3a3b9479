"""Loki's push interface: streams of JSON lines."""
