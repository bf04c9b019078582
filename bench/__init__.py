"""Measures the gateway on the machine at hand; `python -m bench`. See docs/performance.md."""
