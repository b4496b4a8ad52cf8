"""The desk: change one thing and see it. `python -m experiments desk` serves one page, on this machine only."""

from __future__ import annotations

import logging
import os
import socket
import webbrowser

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.server.server import Server
from tornado.ioloop import IOLoop

from experiments.desk.page import Page
from experiments.desk.training import CONTEXT, DATA
from experiments.settings import Mistake
from npgrad import data

__all__ = ["serve"]

HOST = "127.0.0.1"


def serve(port: int, browser: bool = True) -> int:
    """Serve the page until Ctrl-C, which is raised on as KeyboardInterrupt. Raises Mistake if the port is taken."""
    try:
        corpus = data.load(DATA, CONTEXT)
    except OSError as error:
        raise Mistake(f"{DATA} cannot be read: {error.strerror}.") from None
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)  # a tab that is closed is no news
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name != "nt")
            probe.bind((HOST, port))
    except OSError as error:
        raise Mistake(f"port {port} cannot be used: {error.strerror}; --port takes another one.") from None
    application = Application(FunctionHandler(lambda document: Page(corpus).open(document)))
    loop = IOLoop()
    server = Server(
        {"/": application}, loop, address=HOST, port=port, allow_websocket_origin=[f"{HOST}:{port}"],
        # Longer than a busy machine takes from asking for the page to connecting with it.
        unused_session_lifetime_milliseconds=60_000,
    )  # fmt: skip
    address = f"http://{HOST}:{port}/"
    print(f"the desk is at {address}; Ctrl-C ends it", flush=True)
    if browser:
        loop.call_later(0, webbrowser.open, address)
    try:
        server.start()
        loop.start()
    finally:
        server.stop()
    return 0
