"""Files and stores that velotime writes: whole or not at all, and block by block."""
