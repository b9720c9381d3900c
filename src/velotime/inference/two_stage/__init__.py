"""The two-stage EM: one time per cell, explicit first and exact last."""
