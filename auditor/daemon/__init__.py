"""The process of `serve`: its timers, its web socket, who leads."""
