"""The workflow that builds the group's site and puts it on GitHub Pages, as `cohort new` writes it.

The kit is no package of a registry: the workflow takes it from a repository that the group names, at one commit, so what
is published changes only when the group wants it to.
"""

from __future__ import annotations

from pathlib import Path

from cohort_cli.planting import write_new

FILE = ".github/workflows/site.yml"


def write_workflow(folder: Path) -> bool:
    """Write it beside cohort.toml. False if there is one already; it stays as it is."""
    return write_new(folder / FILE, WORKFLOW.encode())


WORKFLOW = """\
# Builds the group's site with what was collected in showcase/entries, and puts it on GitHub Pages.
# Once: fill in KIT and KIT_COMMIT below, and choose "GitHub Actions" in Settings, Pages, Source.
name: site

on:
  push:
    branches: [main]
  workflow_dispatch:

permissions:
  contents: read

concurrency:
  group: pages
  cancel-in-progress: false

env:
  KIT: ""         # FILL IN: where you got the kit from, such as https://github.com/OWNER/cohort.git
  KIT_COMMIT: ""  # FILL IN: which version of it; `git rev-parse HEAD` in your copy of the kit says it

jobs:
  build:
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    steps:
      - name: Is the kit named?
        run: |
          if [ -z "$KIT" ] || [ -z "$KIT_COMMIT" ]; then
            echo "::error file=.github/workflows/site.yml::KIT or KIT_COMMIT is empty. Write the address of the" \\
                 "kit's repository and a commit of it into .github/workflows/site.yml, and push again."
            exit 1
          fi
      - uses: actions/checkout@v5
        with:
          persist-credentials: false
      - uses: actions/setup-python@v6
        with:
          python-version: "3.11"
      - name: Install the kit
        run: |
          git init --quiet "$RUNNER_TEMP/kit"
          git -C "$RUNNER_TEMP/kit" fetch --quiet --depth 1 "$KIT" "$KIT_COMMIT"
          git -C "$RUNNER_TEMP/kit" checkout --quiet FETCH_HEAD
          pip install --quiet --constraint "$RUNNER_TEMP/kit/constraints.txt" --editable "$RUNNER_TEMP/kit[site]"
      - name: Build the site
        run: |
          if [ -d showcase/entries ]; then
            cohort site build --entries showcase/entries --out site
          else
            cohort site build --out site
          fi
      - uses: actions/upload-pages-artifact@v4
        with:
          path: site

  deploy:
    needs: build
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    permissions:
      pages: write
      id-token: write
    environment:
      name: github-pages
      url: ${{ steps.deployment.outputs.page_url }}
    steps:
      - id: deployment
        uses: actions/deploy-pages@v4
"""
