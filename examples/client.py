"""Sends a photo and a painting to `tf-style serve`, and keeps what comes back.

    python client.py photo.jpg painting.jpg out.png method=neighbors strength=0.8

Plug-ins can do the same; `pip install requests`.
"""

import os
import sys

import requests

photo, painting, output, *settings = sys.argv[1:]
url = os.environ.get("TF_STYLE_URL", "http://127.0.0.1:8000")
token = os.environ.get("TF_STYLE_TOKEN", "")
with open(photo, "rb") as content, open(painting, "rb") as style:
    answer = requests.post(
        f"{url}/stylize",
        files={"photo": content, "painting": style},
        data=dict(setting.split("=") for setting in settings),
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
if not answer.ok:
    sys.exit(answer.json()["error"]["message"])
with open(output, "wb") as file:
    file.write(answer.content)
