"""Keeps other sites and other programs out of the page."""

import hashlib
import hmac
import json
import re
import secrets
from urllib.parse import parse_qs, urlencode

# The browser may load from this server only. Gradio's page has inline scripts, and
# compiles some.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "frame-ancestors 'none'; form-action 'self'"
)
# All that Gradio's page needs, by kind. Gradio has more routes, some of which fetch
# other addresses. "open" ones serve nothing private.
ROUTES = (
    ("home", ("GET", "HEAD"), r"/"),
    ("open", ("GET", "HEAD"), r"/(assets|static)(/[\w@+-][\w.@+-]*)+"),
    ("open", ("GET", "HEAD"), r"/(theme\.css|favicon\.ico|manifest\.json)"),
    ("plain", ("GET",), r"/config|/gradio_api/(startup-events|info)"),
    ("file", ("GET", "HEAD"), r"/gradio_api/file=(/.+)"),
    ("heartbeat", ("GET",), r"/gradio_api/heartbeat/([a-z0-9]{1,40})"),
    ("messages", ("GET",), r"/gradio_api/queue/data"),
    ("event", ("POST",), r"/gradio_api/(?:queue/join|run/predict|cancel)"),
    ("upload", ("POST",), r"/gradio_api/upload"),
    ("progress", ("GET",), r"/gradio_api/upload_progress"),
)
# The fields of an event that are passed on; Gradio knows more.
EVENT_FIELDS = ("data", "fn_index", "event_id", "event_data", "trigger_id")
# A page's name, as Gradio's script makes it up.
HASH = r"[a-z0-9]{1,40}"
# In bytes: of an event, and of Gradio's response to an upload.
MAX_BODY = 1 << 20
# Headers by which a request claims to be for another address.
FORWARDING = re.compile(rb"forwarded|x-forwarded\b.*|x-original\b.*|x-rewrite-url")

# Has the browser ask again, now as a request of the page's own.
RELOAD = (
    b'<!doctype html><title>tf_style</title><meta http-equiv="refresh" content="0">'
)


class Middleware:
    """ASGI application around Gradio's.

    Lets through what the page itself requests: to this machine's name, from this
    origin, on the routes that it needs, and with a cookie of this server. On the way,
    the names of pages become "OWNER.HASH", where OWNER is the browser and HASH the name
    that Gradio's page made up: another browser's HASH is of no use to anybody.

    Args:
        app: Gradio's ASGI application.
        port: where it is served.
        sessions: a `sessions.Sessions`.
        max_upload: bytes of an upload.
    """

    def __init__(self, app, port, sessions, max_upload):
        self._app = app
        self._port = port
        self._sessions = sessions
        self._max_upload = max_upload
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":  # the page needs none
            await send({"type": "websocket.close"})
        else:
            response = _Response(send)
            try:
                await self._forward(scope, receive, response)
            except _Refused as refused:
                await response.send_text(refused.status, b"refused")
            except Exception:  # in Gradio; the server would print a traceback
                await response.send_text(500, b"failed")

    async def _forward(self, scope, receive, response):
        kind, part = route(scope["method"], scope["path"])
        if not kind or not is_allowed(scope, self._port):
            raise _Refused(403)
        owner = self._owner(scope)
        if kind == "home" and not owner:
            if {b"cross-site", b"same-site"} & {*_values(scope, b"sec-fetch-site")}:
                # Following a link from another site, the browser withholds its cookie.
                return await response.send_text(200, RELOAD, b"text/html")
            response.headers.append((b"set-cookie", self._new_cookie()))
        elif not owner and kind != "open":
            raise _Refused(403)
        # For some queries, which the page never sends, Gradio would read more files.
        query, scope = scope["query_string"], {**scope, "query_string": b""}
        if kind == "file" and not self._sessions.may_read(owner, part):
            raise _Refused(403)
        if kind == "progress":
            scope["query_string"] = _query(query, "upload_id", r"[a-z0-9]{1,40}")
        elif kind == "messages":
            scope["query_string"] = _query(query, "session_hash", HASH, f"{owner}.")
        elif kind == "event":
            event = _event(await _read_body(receive, MAX_BODY), owner)
            # Gradio is given what was parsed here, as the type that it was parsed as.
            content_type = (b"content-type", b"application/json")
            others = _without(scope, b"content-length", b"content-type")
            scope["headers"] = [*others, content_type]
            receive = _replay(event, receive)
        elif kind == "upload":
            receive = _bounded(scope, receive, response, self._max_upload)
            response.on_success(lambda body: self._record_uploads(owner, body))
            # Else the response would be compressed.
            scope["headers"] = _without(scope, b"accept-encoding")
        if kind != "heartbeat":
            return await self._app(scope, receive, response)
        name = f"{owner}.{part}"
        path = scope["path"].removesuffix(part) + name
        self._sessions.connect(name)
        try:
            scope = {**scope, "path": path, "raw_path": path.encode()}
            await self._app(scope, receive, response)
        finally:
            self._sessions.disconnect(name)

    def _record_uploads(self, owner, body):
        for path in json.loads(body):
            self._sessions.record_upload(owner, path)

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


def route(method, path):
    """Returns the kind of a route, and its path parameter if it has one.

    Both are None for a route that the page does not need.
    """
    for kind, methods, form in ROUTES:
        found = re.fullmatch(form, path)
        if found and method in methods:
            return kind, found[1] if kind in ("file", "heartbeat") else None
    return None, None


def is_allowed(scope, port):
    """Tells whether a request comes from the page itself, or opens it."""
    hosts, origins, sites, modes = (
        _values(scope, name)
        for name in (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode")
    )
    # Browsers leave out HTTP's default port.
    form = rf"(127\.0\.0\.1|localhost){'(:80)?' if port == 80 else f':{port}'}"
    if len(hosts) != 1 or not re.fullmatch(form.encode(), hosts[0]):
        return False
    if len(origins) > 1 or any(origin != b"http://" + hosts[0] for origin in origins):
        return False
    if any(FORWARDING.fullmatch(name) for name, _ in scope["headers"]):
        return False
    opens = scope["method"], scope["path"], modes == [b"navigate"]
    return opens == ("GET", "/", True) or {*sites} <= {b"same-origin", b"none"}


class _Refused(Exception):
    def __init__(self, status):
        super().__init__(status)
        self.status = status


class _Response:
    """An ASGI `send` that adds headers, and may watch the body or cut it off."""

    def __init__(self, send):
        self.headers = [(b"content-security-policy", POLICY.encode())]
        self.refused = None
        self._send = send
        self._started = False
        self._on_success = None
        self._body = b""

    async def __call__(self, message):
        if self.refused:  # Gradio's response to what was cut off is not sent
            return
        if message["type"] == "http.response.start":
            self._started = True
            if message["status"] != 200:
                self._on_success = None
            message = {**message, "headers": [*message["headers"], *self.headers]}
        elif self._on_success and len(self._body) <= MAX_BODY:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                self._on_success(self._body)
        await self._send(message)

    def on_success(self, callback):
        """Has the body of a response of status 200 passed to a function."""
        self._on_success = callback

    async def send_text(self, status, body, content_type=b"text/plain"):
        """Sends a whole response, unless one was begun."""
        if self._started:
            return
        self._started, status = True, self.refused or status
        headers = [(b"content-type", content_type), *self.headers]
        start = {"type": "http.response.start", "status": status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _values(scope, name):
    return [value for key, value in scope["headers"] if key == name]


def _without(scope, *names):
    return [(key, value) for key, value in scope["headers"] if key not in names]


def _query(query, name, form, prefix=""):
    """Returns a query string with one parameter, if its value is well formed."""
    values = parse_qs(query.decode("latin-1")).get(name, ())
    if len(values) != 1 or not re.fullmatch(form, values[0]):
        raise _Refused(400)
    return urlencode({name: prefix + values[0]}).encode()


def _event(data, owner):
    """Rebuilds an event as JSON for Gradio, with the owner in the page's name."""
    try:
        sent = json.loads(data)
        name = sent["session_hash"]
        if not re.fullmatch(HASH, name):
            raise _Refused(400)
        event = {key: sent[key] for key in EVENT_FIELDS if key in sent}
        # Python reads NaN and infinity, which are not JSON.
        event = json.dumps(event | {"session_hash": f"{owner}.{name}"}, allow_nan=False)
        return event.encode()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _Refused(400) from error


async def _read_body(receive, max_bytes):
    data, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Refused(400)
        data += message.get("body", b"")
        more = message.get("more_body", False)
        if len(data) > max_bytes:
            raise _Refused(413)
    return data


def _replay(body, receive):
    """Returns a `receive` that gives a body first, then whatever else comes."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def give():
        return messages.pop() if messages else await receive()

    return give


def _bounded(scope, receive, response, max_bytes):
    """Returns a `receive` that refuses a body of more bytes."""
    lengths = _values(scope, b"content-length")
    if any(not length.isdigit() or int(length) > max_bytes for length in lengths):
        raise _Refused(413)
    left = max_bytes

    async def give():
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            response.refused = 413
            raise _Refused(413)
        return message

    return give
