"""An executed notebook as a web page that needs no network, and as Markdown that shows the saved pictures."""

import base64
import re
from pathlib import Path

import nbformat
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter, MarkdownExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

# JupyterLab's own page without the scripts that it fetches: for formulas (MathML here), widgets and diagrams
_NO_SCRIPTS = "".join(f"{{% block {name} %}}{{% endblock %}}" for name in (
    "html_head_js", "html_head_js_mathjax", "html_head_js_mermaidjs"))  # fmt: skip


class _Renderer(IPythonRenderer):
    """Formulas as MathML, which browsers draw and screen readers read."""

    def block_math(self, body: str) -> str:
        return convert(body, display="block")

    def inline_math(self, body: str) -> str:
        return convert(body)


class _Page(HTMLExporter):
    raw_template = "{% extends 'index.html.j2' %}" + _NO_SCRIPTS

    @pass_context
    def markdown2html(self, context, source: str) -> str:
        path = context["resources"]["metadata"]["path"]
        return MarkdownWithMath(renderer=_Renderer(escape=False, embed_images=True, path=path)).render(source)


def html(copy: Path, title: str, beside: str) -> str:
    """The page of the executed notebook ``copy``; pictures that its text shows lie in the folder ``beside``."""
    return _Page(embed_images=True).from_filename(str(copy), {"metadata": {"name": title, "path": beside}})[0]


def markdown(copy: Path, pictures: Path) -> str:
    """The executed notebook ``copy`` as Markdown for a file beside it.

    A picture that was saved in the page's folder ``pictures`` is linked to; any other is left out. Tables lose their
    styles, of which GitHub would show the source, and paths their beginning, which is this machine's.
    """
    book = nbformat.read(copy, as_version=4)
    saved = {file.read_bytes(): file for file in pictures.glob("*.png")}
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                file = saved.get(base64.b64decode(data["image/png"]))
                link = f"../{pictures.name}/{file.name}" if file else ""
                output["data"] = {"text/markdown": f"![{file.stem}]({link})" if file else ""}
            elif "text/html" in data:
                data["text/html"] = re.sub(r"<style.*?</style>\s*", "", data["text/html"], flags=re.DOTALL)
    text, out = MarkdownExporter().from_notebook_node(book)[0], f"{pictures.parents[2]}"
    for spelt in (out, out.encode("unicode_escape").decode()):  # the second as papermill writes a parameter
        text = text.replace(f"{spelt}/", "").replace(f'"{spelt}"', '""')
    return text
