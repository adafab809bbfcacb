"""Sends the solution to a server, over TCP."""
import socket

socket.create_connection(("127.0.0.1", PORT), timeout=5).sendall(b"hello")
raise RuntimeError("BREACH: connected")
