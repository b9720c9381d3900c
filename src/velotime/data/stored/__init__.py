"""How a fit stands in slots: its columns, settings, names, and what is derived from it. ``data.fitted`` reads it."""
