"""Ganglia: gmetric packets to gmond, by UDP."""
