"""When things are written, closed and sent: our threads, our clock, our patience.

The pump writes what a process recorded into its segment; the leader folds, closes and
keeps house; a shipper for each exporter sends. ``runtime`` comes here. Nothing of it
ever raises into the host, waits on the host's threads, or holds its exit.
"""
