"""The `demo` verb: serves the page on this machine until Ctrl-C."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd import label_map as label_maps
from ssd.demo import contestants, page, val_pictures
from ssd.errors import InputError

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements/demo.txt"
LOCAL = "127.0.0.1"
_PORTS = range(7860, 7960)  # gradio's own: 7860 is the first that people look at
_LARGEST_PORT = 65535
_LARGEST_PICTURE = "100mb"


def run(
    model: Sequence[str],
    *,
    port: int | None,
    host: str,
    no_browser: bool,
    label_map: str | None,
    data: str | None,
    threads: int,
) -> None:
    """The `demo` verb; arguments are its flags. Comes back by KeyboardInterrupt alone.

    Raises:
      InputError: gradio is missing, the port is taken, a model cannot be loaded.
      KeyboardInterrupt: Ctrl-C.
    """
    gr = require_gradio()
    port = free_port(host, port)
    labels = label_maps.load(label_map) if label_map else None
    models = list(model) or contestants.newest_models()
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        # Where gradio keeps pictures that were dropped; read when a component is made.
        os.environ["GRADIO_TEMP_DIR"] = folder
        downloads, pictures = Path(folder, "downloads"), Path(folder, "pictures")
        downloads.mkdir()
        pictures.mkdir()
        examples = val_pictures.write(Path(data), pictures) if data else []
        contest = contestants.load(models, labels, threads)
        for one in contest.contestants:
            print(f"{one.letter}: {one.path}")
        built = page.build(gr, contest, downloads, examples)
        try:
            _serve(gr, built, host, port, opens_browser=not no_browser)
        finally:
            _close(built)


def require_gradio() -> Any:
    """Returns the module gradio, told to ask nobody in the network.

    Raises:
      InputError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import gradio  # late: only this verb needs it, and it is not in requirements.txt
    except ImportError as error:
        command = shlex.join([sys.executable, "-m", "pip", "install", "-r", str(REQUIREMENTS)])
        raise InputError(f"the page needs gradio; run {command}") from error
    return gradio


def free_port(host: str, port: int | None) -> int:
    """Returns `port`, or without one the first free port from 7860 on.

    Raises:
      InputError: it is taken or not allowed, or `host` is no address of this machine.
    """
    if port is not None and port > _LARGEST_PORT:
        raise InputError(f"--port: {port} is no port; the largest is {_LARGEST_PORT}")
    for candidate in _PORTS if port is None else [port]:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, candidate, type=socket.SOCK_STREAM
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                # As the server does: a port that was closed a moment ago is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            return candidate
        except socket.gaierror as error:
            raise InputError(f"--host: {host} is no address ({error.strerror})") from error
        except OSError as error:
            reason = error.strerror
    if port is None:
        raise InputError(f"--port: none of {_PORTS[0]} to {_PORTS[-1]} can be used ({reason})")
    raise InputError(
        f"--port: {port} on {host} cannot be used ({reason}); give another number, or leave "
        "--port away for a free one"
    )


def _serve(gr: Any, built: Any, host: str, port: int, *, opens_browser: bool) -> None:
    # gradio asks its own server whether it is up, which is no matter for a proxy.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOCAL, "localhost", host]))
    try:
        built.launch(
            server_name=host,
            server_port=port,
            share=False,
            inbrowser=False,
            inline=False,
            prevent_thread_lock=True,
            quiet=True,
            show_error=True,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            enable_monitoring=False,
            max_file_size=_LARGEST_PICTURE,
            footer_links=["api"],
            theme=gr.themes.Default(
                font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
            ),
            css=page.CSS,
        )
    except OSError as error:  # another program was faster
        raise InputError(f"--port: {port} on {host} cannot be used ({error})") from error
    proxy = os.environ.get("GRADIO_ROOT_PATH")  # gradio's: the address that people open
    url = proxy or f"http://{host}:{port}"
    on_colab = bool(os.environ.get("COLAB_RELEASE_TAG"))
    if on_colab and not proxy:
        print("Colab has its own address for this page; docs/demo.md says how to open it")
    print(f"{url} (Ctrl-C ends it)", flush=True)
    if opens_browser and not on_colab and _has_screen():
        webbrowser.open(url)
    threading.Event().wait()


def _has_screen() -> bool:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in names)


def _close(built: Any) -> None:
    server = getattr(built, "server", None)
    if server is not None:
        # Open pages hold connections, which are waited for without end otherwise, and told of.
        server.config.timeout_graceful_shutdown = 1
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        built.close(verbose=False)
