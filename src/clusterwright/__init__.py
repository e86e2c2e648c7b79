"""An AI compute centre as code: plan it, prove it, run it."""

__version__ = "0.1.0.dev0"

__all__ = ["__version__"]
