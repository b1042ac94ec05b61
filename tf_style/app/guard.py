"""Keeps the page to itself: nothing of elsewhere in it, nobody of elsewhere at it."""

import hashlib
import hmac
import json
import re
import secrets
from urllib.parse import parse_qs, urlencode

# What the browser may load: only what this server gives. Gradio's page has scripts in
# it, and compiles some.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "frame-ancestors 'none'; form-action 'self'"
)
# All that Gradio's page asks for, by kind; Gradio knows more, some of which fetches
# from elsewhere. "open" holds nothing of anybody's.
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
# What an event may say; Gradio knows more.
EVENT = ("data", "fn_index", "event_id", "event_data", "trigger_id")
# How Gradio's page calls itself.
HASH = r"[a-z0-9]{1,40}"
# In bytes: of an event, and of what Gradio answers to an upload.
MOST_TEXT = 1 << 20
# By which a request claims to be one to another address.
FORWARDING = re.compile(rb"forwarded|x-forwarded\b.*|x-original\b.*|x-rewrite-url")


# Asks once more, now from here.
AGAIN = b'<!doctype html><title>tf_style</title><meta http-equiv="refresh" content="0">'


class Guard:
    """ASGI application around Gradio's.

    Lets through what the page itself asks for: under this machine's name, from this
    origin, on the routes that it needs, and with a cookie that it got here. The names
    of pages become "OWNER.HASH" on the way, where OWNER is a browser and HASH what
    Gradio's page calls itself: who learns another browser's HASH gets nothing for it.

    Args:
        app: Gradio's ASGI application.
        port: that it is served at.
        sessions: a `sessions.Sessions`.
        most_bytes: of an upload.
    """

    def __init__(self, app, port, sessions, most_bytes):
        self._app = app
        self._port = port
        self._sessions = sessions
        self._most_bytes = most_bytes
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":  # the page needs none
            await send({"type": "websocket.close"})
        else:
            answer = _Answer(send)
            try:
                await self._pass_on(scope, receive, answer)
            except _Refused as refused:
                await answer.say(refused.status, b"refused")
            except Exception:  # of Gradio's; the server would print a traceback
                await answer.say(500, b"failed")

    async def _pass_on(self, scope, receive, answer):
        kind, part = route(scope["method"], scope["path"])
        if not kind or not is_welcome(scope, self._port):
            raise _Refused(403)
        owner = self._owner(scope)
        if kind == "home" and not owner:
            if {b"cross-site", b"same-site"} & {*_values(scope, b"sec-fetch-site")}:
                # After a link of elsewhere the browser keeps a cookie back that it has.
                return await answer.say(200, AGAIN, b"text/html")
            answer.headers.append((b"set-cookie", self._new_cookie()))
        elif not owner and kind != "open":
            raise _Refused(403)
        # Gradio would read more files for some that the page does not ask.
        query, scope = scope["query_string"], {**scope, "query_string": b""}
        if kind == "file" and not self._sessions.may_read(owner, part):
            raise _Refused(403)
        if kind == "progress":
            scope["query_string"] = _query(query, "upload_id", r"[a-z0-9]{1,40}")
        elif kind == "messages":
            scope["query_string"] = _query(query, "session_hash", HASH, f"{owner}.")
        elif kind == "event":
            event = _event(await _read(receive, MOST_TEXT), owner)
            # Gradio reads what was read here, and as it was.
            kind_of_text = (b"content-type", b"application/json")
            others = _without(scope, b"content-length", b"content-type")
            scope["headers"] = [*others, kind_of_text]
            receive = _again(event, receive)
        elif kind == "upload":
            receive = _bounded(scope, receive, answer, self._most_bytes)
            answer.watch(lambda body: self._note_uploads(owner, body))
            # Else the answer would be packed.
            scope["headers"] = _without(scope, b"accept-encoding")
        if kind != "heartbeat":
            return await self._app(scope, receive, answer)
        name = f"{owner}.{part}"
        path = scope["path"].removesuffix(part) + name
        self._sessions.connect(name)
        try:
            scope = {**scope, "path": path, "raw_path": path.encode()}
            await self._app(scope, receive, answer)
        finally:
            self._sessions.disconnect(name)

    def _note_uploads(self, owner, body):
        for path in json.loads(body):
            self._sessions.note_upload(owner, path)

    def _owner(self, scope):
        """Returns which browser asks; None if it has no cookie of this server."""
        cookies = b";".join(_values(scope, b"cookie")).decode("latin-1")
        # Other servers of this machine can set more of this name.
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
    """Returns the kind of a route, and the part of its path that matters.

    Both are None where the page asks for no such thing.
    """
    for kind, methods, form in ROUTES:
        found = re.fullmatch(form, path)
        if found and method in methods:
            return kind, found[1] if kind in ("file", "heartbeat") else None
    return None, None


def is_welcome(scope, port):
    """Tells whether a request comes from the page itself, or opens it."""
    hosts, origins, sites, modes = (
        _values(scope, name)
        for name in (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode")
    )
    # Browsers leave out the port that HTTP has by itself.
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


class _Answer:
    """What is sent, with more headers."""

    def __init__(self, send):
        self.headers = [(b"content-security-policy", POLICY.encode())]
        self.refused = None
        self._send = send
        self._started = False
        self._watch = None
        self._body = b""

    async def __call__(self, message):
        if self.refused:  # nobody shall hear what Gradio makes of it
            return
        if message["type"] == "http.response.start":
            self._started = True
            if message["status"] != 200:
                self._watch = None
            message = {**message, "headers": [*message["headers"], *self.headers]}
        elif self._watch and len(self._body) <= MOST_TEXT:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                self._watch(self._body)
        await self._send(message)

    def watch(self, done):
        """Has a function called with the body of a good answer, just before its end."""
        self._watch = done

    async def say(self, status, body, kind=b"text/plain"):
        """Answers, if nothing was answered yet."""
        if self._started:
            return
        self._started, status = True, self.refused or status
        headers = [(b"content-type", kind), *self.headers]
        start = {"type": "http.response.start", "status": status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _values(scope, name):
    return [value for key, value in scope["headers"] if key == name]


def _without(scope, *names):
    return [(key, value) for key, value in scope["headers"] if key not in names]


def _query(query, name, form, prefix=""):
    """Returns a query string of one value, if that is as it should be."""
    values = parse_qs(query.decode("latin-1")).get(name, ())
    if len(values) != 1 or not re.fullmatch(form, values[0]):
        raise _Refused(400)
    return urlencode({name: prefix + values[0]}).encode()


def _event(data, owner):
    """Returns an event as JSON for Gradio, with the owner in the page's name."""
    try:
        said = json.loads(data)
        name = said["session_hash"]
        if not re.fullmatch(HASH, name):
            raise _Refused(400)
        event = {key: said[key] for key in EVENT if key in said}
        # NaN and infinity are no JSON, but Python reads them.
        event = json.dumps(event | {"session_hash": f"{owner}.{name}"}, allow_nan=False)
        return event.encode()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _Refused(400) from error


async def _read(receive, most):
    data, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Refused(400)
        data += message.get("body", b"")
        more = message.get("more_body", False)
        if len(data) > most:
            raise _Refused(413)
    return data


def _again(body, receive):
    """Returns a function that gives a body, and then whatever else comes."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def give():
        return messages.pop() if messages else await receive()

    return give


def _bounded(scope, receive, answer, most):
    """Returns a function that receives no more than so many bytes."""
    lengths = _values(scope, b"content-length")
    if any(not length.isdigit() or int(length) > most for length in lengths):
        raise _Refused(413)
    left = most

    async def give():
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            answer.refused = 413
            raise _Refused(413)
        return message

    return give
