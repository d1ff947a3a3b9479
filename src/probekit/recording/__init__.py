"""What the application's threads touch: probes, instruments, events, the registry.

Nothing in this room does I/O, waits for a lock, or raises into the host after
decoration. It knows only the foundation; ``runtime`` connects it to the buffer.

What applications call, and the registry it goes to, is here. Behind it are
``functions`` (timed and counted ones) with ``weave`` (their code), ``errors``, ``hook``
(whole modules) and ``underway`` (what has begun and not ended).
"""
