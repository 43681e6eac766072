"""Answers in a plain sentence: to what is not there, to what fails outside of a page, to a request that is too large."""

from flask import Flask, Response, request

from app.trouble import foreseen_in, meet

PARTS = "/_dash-component-suites/"


def plain(sentence: str, status: int) -> Response:
    """A sentence as an answer."""
    return Response(sentence, status, mimetype="text/plain")


def absent(_: object = None) -> Response:
    """The answer where nothing is."""
    return plain("There is no such address.", 404)


def answer_plainly(server: Flask) -> None:
    """Plain sentences for requests that fail outside of a page; never a stack trace."""
    from dash.exceptions import DependencyException

    for problem in (404, DependencyException):  # a part of the framework that is not there
        server.register_error_handler(problem, absent)

    @server.errorhandler(FileNotFoundError)
    def missing(problem: FileNotFoundError):
        if not request.path.startswith(PARTS):
            raise problem
        return absent()

    @server.errorhandler(500)
    def broken(problem: Exception):
        cause = getattr(problem, "original_exception", None) or problem
        return plain(foreseen_in(cause, "a request") or meet(cause, "a request").sentence, 500)

    @server.errorhandler(413)
    def large(_: Exception):
        return plain("This request is larger than the dashboard accepts.", 413)

    @server.before_request
    def odd():
        climbs = ".." in request.path.replace("\\", "/").split("/")
        return absent() if climbs or any(ord(c) < 32 for c in request.path) else None  # no address of ours holds either
