"""The gallery: pages for entries, as a plain docs tree that any builder of sites can take.

staging.py        reads the entries and writes gallery/ into a staged tree; what is refused is left out and named
entry_page.py     a page for each entry               results.py   its tables: numbers, scores, verdicts, files
index_page.py     all entries, and what compares two  meeting_pages.py   what was shown at each meeting
curves.py         charts, with a table behind each    safe.py      a member's text as HTML that does nothing
settings.py       showcase.toml                       measured.py  what the organiser measured, and who reproduced what
scripts.py        the scripts of a page, in their order
"""
