"""The web site: guides from where they lie, staged as a plain docs tree, built by MkDocs.

stage.py      the whole tree: docs/, projects/*/guide.md, meetings/*/guide.md, the CLI reference
markdown.py   one page: walks its lines and leaves code alone
maths.py      LaTeX to MathML, so the page needs no JavaScript for its equations
figures.py    SVG files into the page, so they follow its light and dark colours
links.py      links between guides, rewritten to the staged paths
reference.py  a page from the command line's own help
build.py      MkDocs, strict
inputs.py     whether anything has changed since
policy.py     what each built page may run and fetch; a page that holds more stops the build
second.py     the same for another builder's site, and which pages it left out
look.py       opens a built site in a headless browser, and says what is wrong with it
book.py       all guides as one page to print
browser.py    the browser of this machine: found, and made to print
serve.py      a small web server that builds again when a guide changes
"""
