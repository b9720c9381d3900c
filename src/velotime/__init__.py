"""velotime: latent time and RNA velocity from unspliced and spliced counts."""

from __future__ import annotations

__version__ = "0.1.0"
