"""`cohort site`: the guides as a web site, looked at in a browser, and as a book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Build, show, check or print the web site of the guides.", no_args_is_help=True)


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


@app.command()
def check(
    site: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The built site; build/site in the kit by default.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every page, not two of each type.")] = False,
) -> None:
    """Open the built site in a headless browser, and say what is wrong with it.

    Looks for complaints of scripts, files that are missing or would come from
    elsewhere, what the content security policy refuses, what is wider than a
    phone, a laptop or a projector, and barriers that axe-core calls serious, in
    light and dark. Ends with 1 if there is something.

    Needs Chromium, Chrome or Edge, and: pip install "cohort-kit[browser]"

    $ cohort site check
    34 of 63 pages, 3 widths, 2 schemes: nothing found
    next: cohort site pdf
    """
    from cohort_cli.bars import bar
    from cohort_cli.catalog import kit_root
    from cohort_cli.prose import clean
    from cohort_cli.site import look

    folder = site or kit_root() / "build" / "site"
    addresses, of = look.pages(folder, every)
    with look.chromium() as browser, bar() as tell:
        troubles = look.look(browser, folder, addresses, lambda done, all: tell("pages", done, all))
        tell("", 0, 0)
    for trouble in troubles:
        where = f" ({trouble.where})" if trouble.where else ""
        typer.echo(clean(f"{trouble.page}: {trouble.what}{where}"))
        typer.echo(clean(f"  {trouble.repair}"))
    count = f"{len(addresses)} of {of}" if len(addresses) < of else f"{of}"
    result = f"{len(troubles)} found" if troubles else "nothing found"
    typer.echo(f"{count} pages, {len(look.SIZES)} widths, {len(look.SCHEMES)} schemes: {result}")
    if troubles:
        raise typer.Exit(1)
    typer.echo("next: cohort site pdf")


@app.command()
def pdf(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="build/guides.pdf in the kit by default.")
    ] = None,
) -> None:
    """Print all guides as one PDF: a cover, contents, and a chapter for each page.

    Links between guides work in it. It takes about a minute.

    Needs Chromium, Chrome or Edge, a checkout of the kit, and:
    pip install "cohort-kit[site]"

    $ cohort site pdf --out guides.pdf
    55 chapters in guides.pdf
    next: cohort site serve
    """
    import tempfile

    from cohort_cli.catalog import kit_root
    from cohort_cli.errors import UsageError
    from cohort_cli.site import book, browser
    from cohort_cli.site.build import require_site_extra
    from cohort_cli.site.stage import stage

    require_site_extra()
    kit = kit_root()
    target = out or kit / "build" / "guides.pdf"
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", "Name a file: cohort site pdf --out guides.pdf")
    with tempfile.TemporaryDirectory(prefix="cohort-book-") as scratch:
        staged = stage(kit, Path(scratch) / "docs", _program(), cache=kit / "build" / "labs")
        text, chapters = book.book(kit / "mkdocs.yml", staged.folder)
        page = Path(scratch) / "guides.html"
        page.write_text(text, encoding="utf-8")
        target.parent.mkdir(parents=True, exist_ok=True)
        browser.print_page(page, target, "Read them as a site instead: cohort site serve", book.PRINTER)
    typer.echo(f"{chapters} chapters in {_short(target)}")
    typer.echo("next: cohort site serve")


def _program() -> Any:
    """The whole command line, whose help becomes a page."""
    from cohort_cli.app import build

    return typer.main.get_command(build())


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
