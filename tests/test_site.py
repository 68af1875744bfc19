"""The documentation builds into a site without a warning, and no link of it leads nowhere."""

import html.parser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


class Addresses(html.parser.HTMLParser):
    """Collects what a page links to, and the places on it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: any warning is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        from mkdocs.commands.build import build
        from mkdocs.config import load_config

        folder, pictures = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("pictures")
        (pictures / "dashboard.png").write_bytes(b"\x89PNG and so on")
        extra = {"pictures": str(pictures)}
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder), extra=extra))
    return folder


def test_every_page_of_the_repository_is_on_the_site_and_every_link_leads_somewhere(site):
    pages = {path.relative_to(site): Addresses(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path in (ROOT / "docs").rglob("*.md"):
        assert path.relative_to(ROOT / "docs").with_suffix(".html") in pages, path
    for page, found in pages.items():
        if page.name == "404.html":
            continue
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (site / page.parent / unquote(parts.path)).resolve() if parts.path else site / page
            assert target.exists(), (page, link)
            if parts.fragment and target.suffix == ".html":
                assert parts.fragment in pages[target.relative_to(site.resolve())].places, (page, link)


def test_pictures_that_were_taken_are_shown(site):
    assert "pictures/dashboard.png" in Addresses((site / "results.html").read_text(encoding="utf-8")).links
    assert (site / "pictures" / "dashboard.png").read_bytes().startswith(b"\x89PNG")


def test_the_public_names_are_on_the_page_of_their_docstrings(site):
    import tuner

    places = Addresses((site / "reference.html").read_text(encoding="utf-8")).places
    ends = {place.rpartition(".")[2] for place in places}
    assert set(tuner.__all__) - {"__version__"} <= ends
