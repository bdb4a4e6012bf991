"""Receives, stores and explains what agents record."""
