"""Zabbix: values, and discovery of what there is, to a trapper."""
