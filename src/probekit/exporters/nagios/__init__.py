"""Nagios and its relatives: the plugin convention, and passive results three ways."""
