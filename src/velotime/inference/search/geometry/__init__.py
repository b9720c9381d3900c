"""Where cells lie: distances along them, their ends, and the starts that follow."""
