"""The parts of a document that are generated: between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

import re
from collections.abc import Callable, Iterator, Mapping


def document(text: str, parts: Mapping[str, Callable[[], Iterator[str]]]) -> str:
    """The document `text` with its generated parts as they must be now."""
    for name, make in parts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        assert found, f"the document has no part {name}"
        part = "\n".join(make()).strip()
        text = f"{before}{begin}\n{part}\n\n{end}{after}"
    return re.sub(r"\n{3,}", "\n\n", text)
