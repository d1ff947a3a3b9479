"""What the application's threads touch: probes, instruments, events, the registry.

Nothing in this room does I/O, waits for a lock, or raises into the host after
decoration. It knows only the foundation; ``runtime`` connects it to the buffer.
"""
