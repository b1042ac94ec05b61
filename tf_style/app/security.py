"""Keeps other sites and other programs out of the page."""

import hashlib
import hmac
import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from tf_style.app.errors import Refused, answer
from tf_style.app.request import MAX_BYTES

# The browser may load from this server only, and what the page makes itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self'; frame-ancestors 'none'; "
    "form-action 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
# Headers by which a request claims to be for another address.
FORWARDING = re.compile(r"forwarded|x-forwarded\b.*|x-original\b.*|x-rewrite-url")
# Paths that serve nothing private.
OPEN = re.compile(r"/(static/[\w.-]+|favicon\.ico)")

# In bytes, of a request that uploads no file, and of one that does.
MAX_JSON = 1 << 16
MAX_UPLOAD = MAX_BYTES + MAX_JSON


class Middleware:
    """ASGI application around the page's.

    Lets through what the page itself requests: to this machine's name, from this
    origin, and with a cookie of this server. It passes on, as `scope["owner"]`, which
    browser that is.
    """

    def __init__(self, app, port):
        self._app = app
        self._port = port
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope, receive, send):
        opens = scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
        owner, cookie = self._owner(scope), None
        if opens and not owner:
            owner = secrets.token_hex(16)
            cookie = f"{self._name()}={owner}.{self._sign(owner)}"
        allowed = owner or OPEN.fullmatch(scope["path"])
        if not (allowed and is_allowed(scope, self._port)):
            refusal = PlainTextResponse("refused", 403, HEADERS)
            return await refusal(scope, receive, send)

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if cookie:
                    rules = "Path=/; HttpOnly; SameSite=Lax"
                    headers.append("set-cookie", f"{cookie}; {rules}")
            await send(message)

        app = self._app
        try:
            check_length(
                scope, MAX_UPLOAD if scope["path"] == "/pictures" else MAX_JSON
            )
        except Refused as error:
            app = answer(error)
        await app({**scope, "owner": owner}, receive, send_with_headers)

    def _name(self):
        return f"tf_style_{self._port}"

    def _owner(self, scope):
        """Returns which browser sent a request; None if it has no cookie of ours."""
        value = Request(scope).cookies.get(self._name(), "")
        owner, _, signature = value.partition(".")
        known = hmac.compare_digest(signature.encode(), self._sign(owner).encode())
        return owner if known else None

    def _sign(self, owner):
        return hmac.new(self._secret, owner.encode(), hashlib.sha256).hexdigest()


def is_allowed(scope, port):
    """Tells whether a request comes from the page itself, or opens it."""
    headers = Headers(scope=scope)
    if not is_local(scope, port) or any(map(FORWARDING.fullmatch, headers)):
        return False
    opens = scope["method"], scope["path"], headers.getlist("sec-fetch-mode")
    follows_link = opens == ("GET", "/", ["navigate"]) and "origin" not in headers
    return follows_link or is_same_origin(scope)


def is_local(scope, port=None):
    """Tells whether a request is for this machine by its own name, at this port."""
    form = r"(127\.0\.0\.1|localhost)" + (rf":{port}" if port else r"(:\d{1,5})?")
    if port == 80:  # browsers leave it out
        form = form.removesuffix(":80") + "(:80)?"
    hosts = Headers(scope=scope).getlist("host")
    return len(hosts) == 1 and re.fullmatch(form, hosts[0]) is not None


def is_same_origin(scope):
    """Tells whether no other site has a browser send a request."""
    headers = Headers(scope=scope)
    origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    own = [[], *([f"http://{host}"] for host in headers.getlist("host"))]
    return origins in own and {*sites} <= {"same-origin", "none"}


def check_length(scope, most):
    """Checks how much a request is going to send; the server holds it to that.

    Raises:
        Refused: it does not say, or it is more than so many bytes.
    """
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers:
        raise Refused("no_length")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise Refused("too_large", most=max(1, most >> 20))
