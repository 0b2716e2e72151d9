"""Small things that more than one service needs."""
