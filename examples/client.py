"""Sends a photo and a painting to `tf-style serve`, and keeps what comes back.

    python client.py photo.jpg painting.jpg out.png method=neighbors strength=0.8

Plug-ins can do the same; `pip install requests`.
"""

import os
import sys

import requests


def main(photo, painting, output, *settings):
    """Paints a photo, and writes what comes back to a file."""
    url = os.environ.get("TF_STYLE_URL", "http://127.0.0.1:8000")
    token = os.environ.get("TF_STYLE_TOKEN", "")
    with open(photo, "rb") as content, open(painting, "rb") as style:
        answer = requests.post(
            f"{url}/stylize",
            files={"photo": content, "painting": style},
            data=dict(setting.split("=", 1) for setting in settings),
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
    if not answer.ok:
        sys.exit(answer.json()["error"]["message"])
    with open(output, "wb") as file:
        file.write(answer.content)


if __name__ == "__main__":
    if len(sys.argv) < 4 or not all("=" in setting for setting in sys.argv[4:]):
        sys.exit("usage: client.py PHOTO PAINTING OUTPUT [SETTING=VALUE ...]")
    try:
        main(*sys.argv[1:])
    except requests.ConnectionError:
        sys.exit("nobody answers; start tf-style serve, or set TF_STYLE_URL")
    except (OSError, ValueError) as error:  # no such file, or not our server
        sys.exit(str(error))
