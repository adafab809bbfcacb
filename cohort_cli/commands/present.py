"""`cohort present`: a meeting's slides in the browser, without a network; or as a PDF."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

STUCK = 7  # checks on the slide of the group


def present(
    number: Annotated[str, typer.Argument(metavar="MEETING", help="Its number, 0 to 6.")],
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
) -> None:
    """Show a meeting's slides: arrow keys, n for the presenter's notes, f for the full screen.

    One file that needs no network. It opens in your browser.

    $ cohort present 2 --board shared/
    9 slides in /tmp/cohort-x1y2z3/slides-2.html
    next: cohort meeting 2 --clock
    """
    from cohort_cli.catalog import kit_root
    from cohort_cli.meetings import find_meeting
    from cohort_cli.site import browser, deck, stage
    from cohort_cli.site.links import Links
    from cohort_cli.training import disk, guards

    meeting = find_meeting(number)
    kit = kit_root().resolve()
    live = [_where_we_stand(board)] if board else []
    live += [_curve(name) for name in run or []]
    count = len(deck.slides(meeting)) + len(live)
    text = deck.deck(meeting, kit, Links(kit, stage.sources(kit)).rewrite, live)
    target = html or Path(tempfile.mkdtemp(prefix="cohort-")) / f"slides-{meeting.guide.number}.html"
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
    typer.echo(f"next: cohort meeting {meeting.guide.number} --clock")


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
