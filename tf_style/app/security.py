"""Keeps other sites and other programs out of the page."""

import hashlib
import hmac
import re
import secrets

# The browser may load from this server only, and what the page makes itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self'; frame-ancestors 'none'; "
    "form-action 'none'; base-uri 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# Headers by which a request claims to be for another address.
FORWARDING = re.compile(rb"forwarded|x-forwarded\b.*|x-original\b.*|x-rewrite-url")
# Paths that serve nothing private.
OPEN = re.compile(r"/(static/[\w.-]+|favicon\.ico)")
# Has the browser ask again, now as a request of the page's own.
RELOAD = (
    b'<!doctype html><title>tf_style</title><meta http-equiv="refresh" content="0">'
)


class Middleware:
    """ASGI application around the page's.

    Lets through what the page itself requests: to this machine's name, from this
    origin, and with a cookie of this server. It passes on, as `scope["owner"]`, which
    browser that is.

    Args:
        app: the page's ASGI application.
        port: where it is served.
    """

    def __init__(self, app, port):
        self._app = app
        self._port = port
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":  # the page needs none
            await send({"type": "websocket.close"})
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope, receive, send):
        headers = [*HEADERS]

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        owner = self._owner(scope)
        opens = scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
        if not is_allowed(scope, self._port):
            return await _send_text(send_with_headers, 403, b"refused")
        if opens and not owner:
            if {b"cross-site", b"same-site"} & {*_values(scope, b"sec-fetch-site")}:
                # Following a link from another site, the browser withholds its cookie.
                return await _send_text(send_with_headers, 200, RELOAD, b"text/html")
            headers.append((b"set-cookie", self._new_cookie()))
        elif not owner and not OPEN.fullmatch(scope["path"]):
            return await _send_text(send_with_headers, 403, b"refused")
        await self._app({**scope, "owner": owner}, receive, send_with_headers)

    def _owner(self, scope):
        """Returns which browser sent a request; None if it has no cookie of ours."""
        cookies = b";".join(_values(scope, b"cookie")).decode("latin-1")
        # Other servers on this machine can set further cookies of this name.
        form = (
            rf"(?:^|;) *tf_style_{self._port}=([0-9a-f]{{32}})\.([0-9a-f]{{64}})(?=;|$)"
        )
        for owner, signature in re.findall(form, cookies):
            if hmac.compare_digest(signature, self._sign(owner)):
                return owner
        return None

    def _new_cookie(self):
        owner = secrets.token_hex(16)
        value = f"tf_style_{self._port}={owner}.{self._sign(owner)}"
        return f"{value}; Path=/; HttpOnly; SameSite=Strict".encode()

    def _sign(self, owner):
        return hmac.new(self._secret, owner.encode(), hashlib.sha256).hexdigest()


def is_allowed(scope, port):
    """Tells whether a request comes from the page itself, or opens it."""
    hosts, modes = (_values(scope, name) for name in (b"host", b"sec-fetch-mode"))
    # Browsers leave out HTTP's default port.
    form = rf"(127\.0\.0\.1|localhost){'(:80)?' if port == 80 else f':{port}'}"
    if len(hosts) != 1 or not re.fullmatch(form.encode(), hosts[0]):
        return False
    if any(FORWARDING.fullmatch(name) for name, _ in scope["headers"]):
        return False
    opens = scope["method"], scope["path"], modes == [b"navigate"]
    return is_same_origin(scope) or (
        opens == ("GET", "/", True) and not _values(scope, b"origin")
    )


def is_local(scope):
    """Tells whether a request is for this machine by its own name, at any port."""
    hosts = _values(scope, b"host")
    form = rb"(127\.0\.0\.1|localhost)(:\d{1,5})?"
    return len(hosts) == 1 and re.fullmatch(form, hosts[0]) is not None


def is_same_origin(scope):
    """Tells whether no other site has a browser send a request."""
    hosts, origins, sites = (
        _values(scope, name) for name in (b"host", b"origin", b"sec-fetch-site")
    )
    if len(origins) > 1 or any(
        [origin] != [b"http://" + h for h in hosts] for origin in origins
    ):
        return False
    return {*sites} <= {b"same-origin", b"none"}


def _values(scope, name):
    return [value for key, value in scope["headers"] if key == name]


async def _send_text(send, status, body, content_type=b"text/plain"):
    headers = [(b"content-type", content_type)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
