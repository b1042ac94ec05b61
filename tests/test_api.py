"""`tf-style serve`: what it paints, and what it refuses, on a loopback server."""

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from page_client import PATIENCE, free_port, multipart, offline, png
from PIL import Image

fastapi = pytest.importorskip("fastapi", reason="no FastAPI: pip install '.[app]'")

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-secret"
# Of any program on this machine that knows it.
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
PAIR = [("photo", png()), ("painting", png(64, 64)), ("side", 64)]


def _start(folder, token, *arguments):
    """Returns the running program, and the line that it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tf_style", "serve", *arguments],
        cwd=folder,
        env=offline(folder) | {"TF_STYLE_TOKEN": token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline()


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    number = free_port()
    process, said = _start(folder, TOKEN, f"--port={number}")
    assert f"POST pictures to http://127.0.0.1:{number}/stylize" in said
    yield number
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE / 1000) == 130
    assert process.stderr.read() == ""
    assert not [*folder.glob("tf_style_app-*")]


def _ask(port, method="POST", path="/stylize", body=None, headers=KNOWN):
    """Returns status, body and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def _send(port, fields, headers=KNOWN):
    """Returns status, picture or error, and headers."""
    body, kind = multipart(fields)
    status, said, answered = _ask(port, body=body, headers=kind | headers)
    if status == 200:
        return status, Image.open(io.BytesIO(said)), answered
    return status, json.loads(said)["error"], answered


def test_picture_comes_back_in_the_format_that_is_asked_for(port):
    status, picture, headers = _send(port, PAIR)
    assert (status, picture.format, picture.size) == (200, "PNG", (60, 50))
    assert headers["content-type"] == "image/png"
    mixed = [*PAIR, ("painting", png()), ("weights", 1), ("weights", 0.5)]
    _, picture, headers = _send(port, [*mixed, ("format", "jpg"), ("strength", 0.5)])
    assert (picture.format, headers["content-type"]) == ("JPEG", "image/jpeg")


def test_all_methods_and_a_mask_are_taken(port):
    for method in ("neighbors", "gatys"):
        fields = [*PAIR, ("method", method), ("steps", 1), ("mask", png())]
        status, picture, _ = _send(port, fields)
        assert (status, picture.size) == (200, (60, 50))


@pytest.mark.parametrize(
    "fields, status, line",
    [
        ([], 422, "photo: Field required"),
        (PAIR[:1], 422, "painting: Field required"),
        ([("photo", "text"), PAIR[1]], 422, "photo: "),
        ([("photo", b"no picture"), PAIR[1]], 400, "photo.png is not a picture"),
        ([PAIR[0], ("painting", b"")], 400, "painting.png is empty"),
        ([("photo", png(8_001, 8_000)), PAIR[1]], 400, "64 million pixels"),
        ([*PAIR, ("mask", b"none")], 400, "mask.png is not a picture"),
        ([*PAIR, ("strength", "nan")], 422, "strength: "),
        ([*PAIR, ("strength", 2)], 422, "strength: "),
        ([*PAIR, ("side", 1 << 70)], 422, "side: "),
        ([*PAIR, ("method", "magic")], 422, "method: "),
        ([*PAIR, ("format", "exe")], 422, "format: "),
        ([*PAIR, ("nonsense", 1)], 422, "nonsense: "),
        ([*PAIR, ("weights", 1), ("weights", 1)], 422, "weights are 2 for 1"),
        ([PAIR[0], *PAIR[1:2] * 5], 422, "painting: "),
        ([PAIR[0], ("painting", png(4000, 10))], 422, "too elongated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_refused_in_one_line(port, fields, status, line):
    found, error, _ = _send(port, fields)
    assert found == status and line in error["message"]
    assert "\n" not in error["message"] and "/tf_style" not in error["message"]


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("GET", "/stylize", None, 405),
        ("GET", "/", None, 404),
        ("GET", "/docs", None, 404),
        ("POST", "/stylize", b"{}", 422),
        ("POST", "/stylize", b"--x", 400),
        ("POST", "/../etc/passwd", b"", 404),
    ],
)
def test_all_answers_are_json(port, method, path, body, status):
    kind = {"Content-Type": "multipart/form-data"} if body == b"--x" else {}
    found, said, _ = _ask(port, method, path, body, KNOWN | kind)
    assert found == status
    assert json.loads(said)["error"].keys() == {"code", "message", "values"}


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 401),
        ({"Authorization": "Bearer another"}, 401),
        ({"Authorization": TOKEN}, 401),
        (KNOWN | {"Origin": "https://elsewhere.example"}, 403),
        (KNOWN | {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
    ids=str,
)
def test_who_may_not_ask_is_refused(port, headers, status):
    found, _, answered = _send(port, PAIR, headers)
    assert found == status
    assert ("WWW-Authenticate" in answered) == (status == 401)
    assert _ask(port, "GET", "/openapi.json", headers=headers)[0] == status


def test_too_much_is_refused(port):
    assert _send(port, [("photo", bytes((64 << 20) + 1)), PAIR[1]])[0] == 413
    endless = KNOWN | {"Content-Length": str(1 << 40)}
    assert _ask(port, body=b"", headers=endless)[0] == 413
    assert _ask(port, body=iter([b"{}"]))[0] == 411


def test_who_comes_when_all_are_busy_is_told_when_to_come_again(port):
    body, kind = multipart([*PAIR, ("method", "gatys"), ("steps", 40)])
    answers = []

    def ask():
        answers.append(_ask(port, body=body, headers=kind | KNOWN))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = {status for status, *_ in answers}
    assert statuses == {200, 503}
    assert all("Retry-After" in h for status, _, h in answers if status == 503)


def test_document_says_what_there_is(port):
    found = json.loads(_ask(port, "GET", "/openapi.json")[1])
    assert [*found["paths"]] == ["/stylize"]
    answers = found["paths"]["/stylize"]["post"]["responses"]
    assert {"200", "400", "401", "413", "422", "503"} <= answers.keys()
    assert "image/png" in answers["200"]["content"]


def test_client_of_the_examples_gets_a_picture(port, tmp_path):
    pytest.importorskip("requests")
    (tmp_path / "photo.png").write_bytes(png())
    command = [sys.executable, ROOT / "examples" / "client.py"]
    command += ["photo.png", "photo.png", "out.png"]
    url = {"TF_STYLE_URL": f"http://127.0.0.1:{port}"}
    for setting, token in (("side=64", TOKEN), ("side=x", TOKEN), ("side=64", "")):
        done = subprocess.run(
            [*command, setting],
            cwd=tmp_path,
            env=os.environ | url | {"TF_STYLE_TOKEN": token, "no_proxy": "*"},
            capture_output=True,
            text=True,
        )
        good = (setting, token) == ("side=64", TOKEN)
        assert (done.returncode, len(done.stderr.splitlines())) == (not good, not good)
    assert Image.open(tmp_path / "out.png").size == (60, 50)


@pytest.mark.parametrize(
    "photo, said", [("photo.png", "nobody answers"), ("none.png", "No such file")]
)
def test_client_of_the_examples_says_what_is_lacking(tmp_path, photo, said):
    pytest.importorskip("requests")
    (tmp_path / "photo.png").write_bytes(png())
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "client.py", photo, photo, "out.png"],
        cwd=tmp_path,
        env=os.environ
        | {"TF_STYLE_URL": f"http://127.0.0.1:{free_port()}", "no_proxy": "*"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr and not (tmp_path / "out.png").exists()


def test_others_are_served_only_with_a_token(tmp_path):
    process, said = _start(tmp_path, "", "--host=0.0.0.0", f"--port={free_port()}")
    assert (process.wait(PATIENCE / 1000), said) == (1, "")
    assert re.fullmatch(r"tf_style: .*TF_STYLE_TOKEN.*\n", process.stderr.read())


@pytest.mark.slow
def test_schemathesis_finds_no_fault(port, tmp_path):
    pytest.importorskip("schemathesis", reason="pip install '.[fuzz]'")
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-c",
                "from schemathesis.cli import schemathesis as s; s()",
            ),
            "run",
            f"http://127.0.0.1:{port}/openapi.json",
            f"--header=Authorization: Bearer {TOKEN}",
            "--max-examples=100",
            # What it sends is no picture, whatever the schema says of files.
            "--exclude-checks=positive_data_acceptance",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
