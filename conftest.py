"""What holds for tests and doctests alike."""

# Modules of a framework that wants its settings before it can be imported; their laws
# are tested with a project of their own.
collect_ignore = ["src/probekit/integrations/django"]
