"""collectd's binary network protocol over UDP, signed where there is a password."""
