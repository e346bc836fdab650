"""Where each thing that tests open is: a page, or a tab of the page of a run."""

TABS = ("images", "layers", "answers")


def page_of(name: str) -> tuple[str, dict[str, str]]:
    """The page's name in views/ and in the address, and what the address says besides."""
    if name in TABS:
        return "run", {"tab": name}
    return {"compare": ("runs", {}), "bring": ("networks", {"own": "1"})}.get(name, (name, {}))


def address_of(name: str, **more: str) -> str:
    """The path and query of a page or tab."""
    page, params = page_of(name)
    query = "&".join(f"{key}={value}" for key, value in (params | more).items())
    return f"{page}?{query}" if query else page
