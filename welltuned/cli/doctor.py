"""The verb that examines the installation: `doctor`."""

from __future__ import annotations

import typer

from welltuned.cli.app import Json, app, print_json


@app.command("doctor")
def doctor_command(as_json: Json = False) -> None:
    """Print versions, devices and disk, and what is wrong."""
    from welltuned.cli.console.doctor import collect_diagnostics, render_diagnostics

    findings = collect_diagnostics()
    if as_json:
        print_json(findings)
    else:
        print(render_diagnostics(findings))
    if findings["problems"]:
        raise typer.Exit(1)
