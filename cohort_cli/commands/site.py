"""`cohort site`: the guides as a web site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Build or show the web site of the guides.", no_args_is_help=True)


@app.command()
def build(
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; build/site in the kit by default.")
    ] = None,
) -> None:
    """Build the web site from the guides. A warning is a failure.

    Needs a checkout of the kit and: pip install "cohort-kit[site]"

    $ cohort site build
    build/site
    next: cohort site serve
    """
    from cohort_cli.catalog import kit_root
    from cohort_cli.site.build import build_site

    kit = kit_root()
    site = build_site(kit, out or kit / "build" / "site", _program())
    typer.echo(_short(site.folder))
    typer.echo(f"{site.pages} pages", err=True)
    typer.echo("next: cohort site serve")


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
) -> None:
    """Build the site, show it on this machine, and build again when a guide changes.

    $ cohort site serve
    http://127.0.0.1:8000/  (Ctrl-C stops it)
    """
    import tempfile

    from cohort_cli.catalog import kit_root
    from cohort_cli.site.build import build_site
    from cohort_cli.site.serve import HOST, rebuild_on_change, start_server

    kit = kit_root()
    with tempfile.TemporaryDirectory(prefix="cohort-serve-") as scratch:
        folder = Path(scratch) / "site"
        build_site(kit, folder, _program())
        server = start_server(folder, port)
        try:
            rebuild_on_change(
                kit,
                build=lambda: build_site(kit, folder, _program()),
                say=lambda line: typer.echo(line, err=True),
                ready=lambda: typer.echo(f"http://{HOST}:{server.server_port}/  (Ctrl-C stops it)"),
            )
        finally:
            server.shutdown()
            server.server_close()
    typer.echo("next: cohort site build")


def _program() -> Any:
    """The whole command line, whose help becomes a page."""
    from cohort_cli.app import build

    return typer.main.get_command(build())


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
