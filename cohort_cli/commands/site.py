"""`cohort site`: the guides and the gallery as a web site, looked at in a browser, and as a book."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.site.stage import Addition

app = typer.Typer(
    help="Build, show, check or print the web site: the guides, and what the group made.",
    no_args_is_help=True,
)
EntriesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Collected entries; default: showcase/entries here, or in the group's folder."
    ),
]


@app.command()
def build(
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; build/site in the kit by default.")
    ] = None,
    entries: EntriesOption = None,
    force: Annotated[bool, typer.Option("--force", help="Build even if nothing has changed.")] = False,
) -> None:
    """Build the web site: the guides, and a gallery of collected entries. A warning is a failure.

    An entry that is not plain is left out and named; the others are shown. A site whose guides, entries and
    settings have not changed stays as it is. Needs a checkout of the kit and: pip install "cohort-kit[site]"

    $ cohort site build
    build/site
    next: cohort site serve
    """
    from cohort_cli.catalog import kit_root
    from cohort_cli.site.build import build_site

    kit = kit_root()
    site = build_site(kit, out or kit / "build" / "site", _program(), _gallery(kit, entries), force=force)
    typer.echo(_short(site.folder))
    typer.echo(
        f"{site.pages} pages" if site.changed else "nothing has changed; --force builds all the same",
        err=True,
    )
    typer.echo("next: cohort site serve")


@app.command("stage")
def stage_command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="An empty or a new folder.")],
    entries: EntriesOption = None,
) -> None:
    """Write the pages as plain Markdown, with a mkdocs.yml, for any builder that reads one.

    There is no plugin and no hook in it: `mkdocs build`, run in that folder, makes the same pages.

    $ cohort site stage staged
    staged
    next: mkdocs build --config-file staged/mkdocs.yml
    """
    from cohort_cli.catalog import kit_root
    from cohort_cli.site.build import stage_site

    kit = kit_root()
    site = stage_site(kit, out, _program(), _gallery(kit, entries))
    typer.echo(_short(site.folder))
    typer.echo(f"{site.pages} pages", err=True)
    typer.echo(f"next: mkdocs build --config-file {_short(site.folder / 'mkdocs.yml')}")


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    entries: EntriesOption = None,
) -> None:
    """Build the site, show it on this machine, and build again when a guide or an entry changes.

    $ cohort site serve
    http://127.0.0.1:8000/  (Ctrl-C stops it)
    """
    import tempfile

    from cohort_cli.catalog import kit_root
    from cohort_cli.site.build import build_site
    from cohort_cli.site.serve import HOST, rebuild_on_change, start_server

    kit = kit_root()
    gallery = _gallery(kit, entries)
    with tempfile.TemporaryDirectory(prefix="cohort-serve-") as scratch:
        folder = Path(scratch) / "site"
        build_site(kit, folder, _program(), gallery)
        server = start_server(folder, port)
        try:
            rebuild_on_change(
                kit,
                build=lambda: build_site(kit, folder, _program(), gallery),
                say=_say,
                ready=lambda: typer.echo(f"http://{HOST}:{server.server_port}/  (Ctrl-C stops it)"),
                also=[path for addition in gallery for path in addition.reads if path.exists()],
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


def _gallery(kit: Path, entries: Path | None) -> list[Addition]:
    """The pages of the entries, if there is a folder of them."""
    from cohort_cli.showcase.gallery import staging
    from cohort_cli.site.stage import Addition

    folder = staging.find_entries(entries)
    if folder is None:
        return []
    place = folder.absolute()
    return [Addition(lambda docs: staging.write(docs, place, kit, _say), staging.reads(place))]


def _say(line: str) -> None:
    from cohort_cli.prose import clean

    typer.echo(clean(line).replace("\n", " "), err=True)


def _program() -> Any:
    """The whole command line, whose help becomes a page."""
    from cohort_cli.app import build

    return typer.main.get_command(build())


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
