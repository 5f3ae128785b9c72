"""Clouds for the demo and the tests: they answer, refuse and enforce as the real ones do, on loopback alone."""
