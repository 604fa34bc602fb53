"""Run the notebooks and write their pages under docs/notebooks: ``python -m notebooks``."""

import re
import shutil
from pathlib import Path

import jupytext
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from traitlets.config import Config

HERE = Path(__file__).parent
PAGES = HERE.parent / "docs" / "notebooks"
PICTURES = "pictures"
LOCAL = Config(KernelManager={"transport": "ipc"})
SHOWN = [
    "text/markdown",
    "image/svg+xml",
    "text/plain",
]  # what a page takes of an output, best first
TABLES = """\
import pandas
from IPython import get_ipython

shown = get_ipython().display_formatter.formatters["text/markdown"]
shown.for_type(
    pandas.DataFrame,
    lambda frame: frame.astype(object)
    .where(frame.notna(), "")
    .to_markdown(intfmt=",", floatfmt=",g"),
)
"""
INDEX = """\
# Notebooks

Each answers one question with the packages themselves. They are scripts under `notebooks/`, which Jupyter opens through
jupytext; `make notebooks` runs them and writes these pages.

"""


def scripts() -> list[Path]:
    """Return the notebooks, in the order to read them in."""
    return sorted(HERE.glob("[0-9]_*.py"))


def run(script: Path) -> NotebookNode:
    """Run a notebook in a kernel of its own, data frames shown as Markdown."""
    notebook = jupytext.read(script)
    notebook.cells.insert(0, new_code_cell(TABLES))
    ExecutePreprocessor(timeout=600, kernel_name="python3", config=LOCAL).preprocess(notebook, {})
    del notebook.cells[0]
    for cell in notebook.cells:  # what libraries say on standard error is not part of the story
        outputs = cell.get("outputs", [])
        cell["outputs"] = [out for out in outputs if out.get("name") != "stderr"]
    return notebook


def write_page(script: Path, notebook: NotebookNode) -> None:
    """Write a notebook that has run as Markdown, its pictures beside it."""
    exporter = MarkdownExporter(config=Config(NbConvertBase={"display_data_priority": SHOWN}))
    body, resources = exporter.from_notebook_node(
        notebook, {"unique_key": script.stem, "output_files_dir": PICTURES}
    )
    for name, picture in resources["outputs"].items():
        (PAGES / name).write_bytes(picture)
        title = re.search(r"<dc:title>(.*?)</dc:title>", picture.decode())[1]
        body = body.replace(f"![svg]({name})", f"![{title}]({name})")
    body = re.sub(r"[ \t]+$", "", body, flags=re.MULTILINE)
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    (PAGES / f"{script.stem}.md").write_text(body + "\n")


def entry(script: Path, notebook: NotebookNode) -> str:
    """Return a notebook's line of the index: its title, and the two sentences that it starts with."""
    title, question, reader, *_ = notebook.cells[0].source.splitlines()
    return f"- [{title.removeprefix('# ')}]({script.stem}.md): {question} {reader}\n"


def main() -> None:
    """Write every page and the index anew."""
    shutil.rmtree(PAGES, ignore_errors=True)
    (PAGES / PICTURES).mkdir(parents=True)
    index = INDEX
    for script in scripts():
        notebook = run(script)
        write_page(script, notebook)
        index += entry(script, notebook)
        print(f"{script.stem}: written")
    (PAGES / "README.md").write_text(index)


if __name__ == "__main__":
    main()
