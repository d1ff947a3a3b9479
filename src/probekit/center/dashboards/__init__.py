"""Dashboards for other people's viewers, made of one list of questions."""
