"""Keeps the page to itself: nothing of elsewhere in it, nobody of elsewhere at it."""

HOSTS = ("127.0.0.1", "localhost")
# What the browser may load: only what this server gives. Gradio's page has scripts in
# it, and compiles some.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "frame-ancestors 'none'; form-action 'self'"
)
# Gradio fetches what stands behind these, from anywhere.
FETCHING = ("/gradio_api/file=http", "/gradio_api/proxy=", "/gradio_api/file/http")


class Guard:
    """ASGI middleware.

    Refuses requests under a name that is not this machine's, by which a page of
    elsewhere could reach here, and those that would make the server fetch something.
    """

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and not is_welcome(scope):
            start = {"type": "http.response.start", "status": 403, "headers": []}
            await send(start)
            await send({"type": "http.response.body", "body": b"refused"})
            return

        async def send_with_policy(message):
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", POLICY.encode())
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        await self._app(scope, receive, send_with_policy)


def is_welcome(scope):
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").rpartition(":")
    path = scope["path"].lower().lstrip("/")
    return (host[0] or host[2]) in HOSTS and not any(
        path.startswith(prefix.lstrip("/")) for prefix in FETCHING
    )
