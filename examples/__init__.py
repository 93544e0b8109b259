"""Clients of the service, to read and to run."""
