"""The model of the soft EM: noise, curves, M-step, clock moves, and the problem that the loop solves."""
