"""`cohort present`: a meeting's slides in the browser, without a network; or as a PDF."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

SHOWCASE = "showcase"  # in place of a meeting
STUCK = 7  # checks on the slide of the group


def present(
    number: Annotated[
        str, typer.Argument(metavar="MEETING|showcase", help="Its number, 0 to 6; or what the group made.")
    ],
    chosen: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ENTRY]...", help="Entries of the showcase; without one, all of them."),
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option(metavar="FILE.pdf", help="Print them instead, with the Chromium that is here."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write the one file that is shown, to take along."),
    ] = None,
    board: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE", help="Add a slide: where the group stands, from `cohort share`'s files."
        ),
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option(metavar="RUN", help="Add a slide with the curve of one of your runs.")
    ] = None,
    entries: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the entries are, if not in showcase/entries.")
    ] = None,
) -> None:
    """Show slides, of a meeting or of what the group made: arrow keys, n for notes, f for the full screen.

    One file that needs no network. It opens in your browser. Of each entry: its numbers, measured ones
    where `cohort showcase verify` has any, its curve, a sample, and what went wrong.

    $ cohort present 2 --board shared/
    9 slides in /tmp/cohort-x1y2z3/slides-2.html
    next: cohort meeting 2 --clock
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.site import browser
    from cohort_cli.training import disk, guards

    live = [_where_we_stand(board)] if board else []
    live += [_curve(name) for name in run or []]
    if number == SHOWCASE:
        name, following, count, text = _of_entries(chosen, entries, live)
    elif chosen or entries:
        raise UsageError(
            "Only the showcase has entries.", f"cohort present {SHOWCASE} {' '.join(chosen or [])}"
        )
    else:
        name, following, count, text = _of_meeting(number, live)
    target = html or Path(tempfile.mkdtemp(prefix="cohort-")) / f"slides-{name}.html"
    try:
        disk.replace_bytes(target.absolute(), text.encode("utf-8"))
    except OSError as trouble:
        raise guards.disk_trouble(trouble, str(target)) from None
    if pdf is not None:
        by_hand = f"Open {target.absolute()} in any browser and print it, without margins."
        browser.print_page(target, pdf, by_hand)
        typer.echo(f"{count} slides in {pdf}")
    else:
        typer.echo(f"{count} slides in {target}")
        if html is None:
            import webbrowser

            if not webbrowser.open(target.absolute().as_uri()):
                typer.echo("No browser answered; open that file in one.", err=True)
    typer.echo(f"next: {following}")


def _of_meeting(number: str, live: list[str]) -> tuple[str, str, int, str]:
    """(its name, what to do next, slides, the HTML file)"""
    from cohort_cli.catalog import kit_root
    from cohort_cli.meetings import find_meeting
    from cohort_cli.site import deck, stage
    from cohort_cli.site.links import Links

    meeting = find_meeting(number)
    kit = kit_root().resolve()
    text = deck.deck(meeting, kit, Links(kit, stage.sources(kit)).rewrite, live)
    name = str(meeting.guide.number)
    return name, f"cohort meeting {name} --clock", len(deck.slides(meeting)) + len(live), text


def _of_entries(chosen: list[str] | None, entries: Path | None, live: list[str]) -> tuple[str, str, int, str]:
    from cohort_cli.showcase import places, slides
    from cohort_cli.site import deck

    home = places.entries_home(entries)
    shown, notes = slides.of(places.folders(home, chosen), home)
    for note in notes:
        typer.echo(note, err=True)
    parts = [*shown, *((slide, "") for slide in live)]
    return SHOWCASE, "cohort showcase verify", len(parts), deck.page(slides.TITLE, parts, slides.STYLE)


def _where_we_stand(sources: list[str]) -> str:
    """A slide with the checks that most people are blocked at. Names only of those who gave them."""
    from cohort_cli import sharing

    found = sharing.read(sources, lambda line: typer.echo(line, err=True))
    rows = "".join(
        f"<tr><td>{len(row.blocked)} of {row.started}</td><td><code>{row.project} {row.check}</code></td>"
        f"<td>{', '.join(share.handle for share in row.blocked if share.handle)}</td></tr>"
        for row in sharing.stuck(found)[:STUCK]
    )
    head = "<tr><th>blocked</th><th>check</th><th></th></tr>"
    below = f"<table>{head}{rows}</table>" if rows else "<p>Nobody is blocked.</p>"
    return f"<h2>Where we stand</h2><p>Who has shared so far: {len(found.shares)}.</p>{below}"


def _curve(name: str) -> str:
    from cohort_cli.training.baselines import baselines
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.report import loss_chart
    from cohort_cli.training.runs import find_run

    found = find_run(runs_home(), name)
    drawing = loss_chart(found.config(), found.read_metrics(), baselines(found), found.root.name)
    return f"<h2>A run of ours</h2><figure>{drawing}</figure>"
