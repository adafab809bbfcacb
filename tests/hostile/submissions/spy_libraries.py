"""The same with libraries: http, urllib, a name lookup, asyncio."""
import asyncio, http.client, socket, urllib.request

async def connect():
    await asyncio.open_connection("127.0.0.1", PORT)

for way in (
    lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=5),
    lambda: http.client.HTTPConnection("127.0.0.1", PORT, timeout=5).request("GET", "/"),
    lambda: socket.gethostbyname("localhost"),
    lambda: asyncio.run(connect()),
):
    try:
        way()
    except OSError as error:
        last = error
    else:
        raise RuntimeError("BREACH: a connection")
raise last
