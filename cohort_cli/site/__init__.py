"""The web site: guides from where they lie, staged as a plain docs tree, built by MkDocs.

stage.py      the whole tree: docs/, projects/*/guide.md, meetings/*/guide.md, the CLI reference
markdown.py   one page: walks its lines and leaves code alone
maths.py      LaTeX to MathML, so the page needs no JavaScript for its equations
figures.py    SVG files into the page, so they follow its light and dark colours
links.py      links between guides, rewritten to the staged paths
reference.py  a page from the command line's own help
build.py      MkDocs, strict
inputs.py     whether anything has changed since
serve.py      a small web server that builds again when a guide changes
"""
