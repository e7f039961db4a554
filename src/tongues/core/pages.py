"""Pages of HTML: self-contained, escaped, in the one style that `report.css` gives all reports."""

from pathlib import Path
from typing import Any

from tongues.core.manifest import write_atomically

_HERE = Path(__file__).parent


def write_page(path: Path, templates: Path, name: str, **values: Any) -> Path:
    """Fill a template and write the page in one go.

    Args:
        path: of the page.
        templates: folder of the template; it may include ``report.css``.
        name: of the template.
        values: what it names; one that is missing is an error, never a blank.

    Returns:
        The page's path.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([templates, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(name).render(**values)
    write_atomically(path, page.encode("utf-8", "xmlcharrefreplace"))
    return path
