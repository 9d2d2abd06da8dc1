"""The verb that answers over HTTP: `serve`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import AllowImports, app
from welltuned.schema.collector import collector_paused

if TYPE_CHECKING:
    from welltuned.deployment.server.access import Access
    from welltuned.deployment.server.limits import ServerLimits

Port = Annotated[int, typer.Argument(min=0, max=65535, help="0 takes any port that is free.")]
Address = Annotated[
    str, typer.Option(help="Where to listen; beyond this machine a token is needed.")
]
Token = Annotated[
    str | None,
    typer.Option(metavar="env:NAME|file:PATH", help="Where the token is that clients show."),
]
Hosts = Annotated[
    list[str] | None, typer.Option(help="A name by which clients ask, besides addresses.")
]
Name = Annotated[
    str | None, typer.Option(help="What clients call the model; as its run, without one.")
]
Latency = Annotated[
    int, typer.Option(min=1, help="What an answer may take while there is no overload.")
]
Waiting = Annotated[int, typer.Option(min=1, help="Inputs that may wait.")]
RefuseLate = Annotated[
    bool, typer.Option("--refuse-late", help="Refuse what would be answered too late (429).")
]
Inputs = Annotated[int, typer.Option(min=1, help="Inputs of a request.")]
Bytes = Annotated[int, typer.Option(min=1, help="Bytes of a request.")]
Drain = Annotated[float, typer.Option(min=0, help="What answers may take once it is to stop.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
LogInputs = Annotated[
    bool, typer.Option("--log-inputs", help="Write every input to standard error.")
]


@app.command("serve")
def serve_command(
    run: Annotated[str, typer.Argument(help="A run, a model folder or an exported folder.")],
    port: Port = 8000,
    address: Address = "127.0.0.1",
    token: Token = None,
    allow_host: Hosts = None,
    name: Name = None,
    latency_ms: Latency = 500,
    max_queue: Waiting = 4096,
    refuse_late: RefuseLate = False,
    max_inputs: Inputs = 1024,
    max_bytes: Bytes = 8 << 20,
    drain_seconds: Drain = 30.0,
    device: Device = "auto",
    log_inputs: LogInputs = False,
    allow_imports: AllowImports = False,
) -> None:
    """Answer over HTTP: /predict, OpenAI's chat and completions, /health, /metrics, /docs.

    Prints a line for curl that works. SIGTERM and Ctrl-C let it answer what it has taken first.
    """
    from welltuned.deployment.server.access import (
        Access,
        AccessToken,
        listening_address,
        require_token,
    )
    from welltuned.deployment.server.limits import ServerLimits

    place, secret = listening_address(address), AccessToken.read(token) if token else None
    require_token(place, secret)
    limits = ServerLimits(
        latency=latency_ms / 1000,
        queue=max_queue,
        refuse_late=refuse_late,
        inputs=max_inputs,
        body=max_bytes,
        drain=drain_seconds,
    )
    access = Access.at(place, secret, allow_host or ())
    log = _log if log_inputs else None
    _serve(_Asked(run, port, access, limits, name, device, log))


@dataclass(frozen=True)
class _Asked:
    """What stands on the line, checked."""

    run: str
    port: int
    access: Access
    limits: ServerLimits
    name: str | None
    """As its run is called, where none is given."""
    device: str
    log: Callable[[str], object] | None
    """Where inputs are written, if anywhere."""


def _serve(asked: _Asked) -> None:
    """Load the model, once the port is ours, and serve it."""
    from welltuned.deployment.server.limits import require_serving
    from welltuned.deployment.server.listening import bound
    from welltuned.deployment.server.model_files import ModelFiles, model_folder, served_name

    files = ModelFiles(model_folder(asked.run))  # what is none is told before torch is imported
    require_serving()
    with closing(bound(asked.access.address, asked.port)) as listener:
        with collector_paused(freeze=True):
            from welltuned.deployment.open import open_predictor
            from welltuned.deployment.server import listening
            from welltuned.deployment.server.app import Service
            from welltuned.deployment.server.run import serve_model

            predictor = open_predictor(asked.run, asked.device)
        writes, example = predictor.problem.responder is not None, listening.example_for(predictor)
        name = asked.name or served_name(asked.run)
        service = Service(predictor, name, files, asked.limits, asked.log)
        listening.allow_many_connections()
        listening.listen(listener)
        url = listening.url_of(listener)
        print(f"serving {service.name} ({predictor.problem.title}) at {url}", file=sys.stderr)
        print(listening.curl_line(url, example, writes, asked.access.token), flush=True)
        serve_model(service, asked.access, listener)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
