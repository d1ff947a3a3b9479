"""Tables in any database that SQLAlchemy speaks to."""
