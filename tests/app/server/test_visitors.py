"""Two visitors of a shared app: the second sees, and cannot stop, delete or read what is not its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.access import visitors
from app.access.uploads import by_path, uploaded
from app.engine_calls.actions import delete_run, forget_network, fork_run, save_network
from app.engine_calls.choices import may_use
from app.engine_calls.recipes import followed, recipe_of
from app.panels.runs.table import table_key
from app.run_files.run_folders import runs_folder
from engine.core.errors import UserError
from engine.run.folders.control import read_wish
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.folders.owner import FILE, HOST, claim, owner_of
from engine.run.networks import Brought
from tests.app.conftest import CATALOG
from tests.app.fabricate import Fabricated, fabricate
from tests.app.new_run.test_new_run import dialog
from tests.app.test_pages import opened, texts

ANNA, BEN, NOBODY = "a" * 43, "b" * 43, ""
HOST_KEY = "the-key-of-the-host"


class Browser:
    """Whose pages are opened next."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch

    def of(self, token: str) -> None:
        self.patch.setattr("app.access.visitors.token", lambda: token)


@pytest.fixture
def browser(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """A shared app whose visitors may name paths in tmp_path/open; Anna's browser at first."""
    (tmp_path / "open").mkdir()
    monkeypatch.setenv("QUANTOSCOPE_SHARE", "1")
    monkeypatch.setenv("QUANTOSCOPE_HOSTS", "127.0.0.2")
    monkeypatch.setenv("QUANTOSCOPE_FOLDERS", str(tmp_path / "open"))
    monkeypatch.setenv("QUANTOSCOPE_KEY", HOST_KEY)
    monkeypatch.setenv("QUANTOSCOPE_NETWORKS", str(tmp_path / "networks"))
    monkeypatch.setattr(visitors, "_opened", {})
    monkeypatch.setattr(
        "engine.run.workers.launch._launch", lambda folder: folder.write_status("running")
    )
    found = Browser(monkeypatch)
    found.of(ANNA)
    return found


def annas(runs: Path, state: str = "cancelled") -> RunFolder:
    """A run that Anna's browser started."""
    folder = fabricate(runs, Fabricated(state=state))
    (folder.path / FILE).write_text(json.dumps({"owner": visitors.owner_by(visitors.key_of(ANNA))}))
    return folder


def select(at: AppTest) -> AppTest:
    """The only row of the page Runs, chosen."""
    at.session_state[table_key(list_runs(runs_folder()))] = {
        "selection": {"rows": [0], "columns": []}
    }
    return at


# --- who may ---------------------------------------------------------------------------------


def test_a_run_is_of_the_browser_that_starts_it(browser: Browser, runs: Path) -> None:
    at = opened("start")
    at.button(key="card-nearest-2").click().run()
    (folder,) = (RunFolder(path.parent) for path in runs.glob("*/recipe.json"))
    assert owner_of(folder.path) == visitors.owner_by(visitors.key_of(ANNA))
    written = (folder.path / FILE).read_text()
    assert ANNA not in written
    assert visitors.key_of(ANNA) not in written
    assert visitors.may_control(folder.path)
    browser.of(BEN)
    assert not visitors.may_control(folder.path)


WISHES = ("pause", "go on", "fast", "slow", "step", "cancel", "resume")


@pytest.mark.parametrize("token", [BEN, NOBODY])
@pytest.mark.parametrize("wish", WISHES)
def test_what_a_browser_sends_is_refused_whether_or_not_there_is_a_button(
    browser: Browser, runs: Path, wish: str, token: str
) -> None:
    folder = annas(runs, "cancelled" if wish == "resume" else "running")
    before = read_wish(folder.path), (folder.path / "status.json").read_bytes()
    browser.of(token)

    def page() -> None:
        import streamlit as st

        from app.engine_calls.actions import steer
        from app.run_files.run_folders import open_run

        steer(open_run(st.query_params["run"]), st.query_params["wish"])

    at = AppTest.from_function(page)
    at.query_params["run"], at.query_params["wish"] = folder.run_id, wish
    at.run()
    assert not at.exception
    assert "somebody else's" in at.error[0].value
    assert (read_wish(folder.path), (folder.path / "status.json").read_bytes()) == before


@pytest.mark.parametrize("state", ["done", "cancelled", "failed"])
def test_the_second_visitor_sees_and_has_no_button_to_stop_or_delete(
    browser: Browser, runs: Path, state: str
) -> None:
    folder = annas(runs, state)
    for token, theirs in ((ANNA, True), (BEN, False), (NOBODY, False)):
        browser.of(token)
        at = select(opened("runs"))
        at.run()
        labels = {button.label for button in at.button}
        assert "Open" in labels
        assert ("Delete" in labels) == theirs
        assert ("Resume" in labels) == (theirs and state != "done")
        at = opened("images", run=folder.run_id)
        assert len(at.get("bidi_component")) >= 5  # films and charts are for everybody
        assert ("Resume this run" in {button.label for button in at.button}) == (
            theirs and state != "done"
        )
        sent = json.loads(at.get("bidi_component")[0].proto.json)
        assert sent["steerable"] == theirs


def test_the_owners_key_and_the_hosts_open_a_run_and_another_does_not(
    browser: Browser, runs: Path
) -> None:
    folder, hosts = annas(runs), fabricate(runs, Fabricated(seed=1))
    browser.of(BEN)
    assert "your" in texts(opened("runs")).lower()
    for key in ("", "x", visitors.key_of(BEN), "?"):
        assert not visitors.give_key(key, folder.path)
    assert not visitors.may_control(folder.path)
    typed = visitors.key_of(ANNA).lower().replace("-", " ")
    assert not visitors.give_key(typed, hosts.path)  # hers is not the host's
    assert visitors.give_key(typed, folder.path)
    assert visitors.may_control(folder.path)
    assert not visitors.may_control(hosts.path)
    browser.of("c" * 43)
    assert not visitors.may_control(folder.path)
    assert visitors.give_key(HOST_KEY, folder.path)
    assert visitors.may_control(folder.path)
    assert visitors.may_control(hosts.path)
    browser.of(NOBODY)
    assert not visitors.give_key(HOST_KEY, folder.path)  # nobody could be remembered
    assert not visitors.may_control(folder.path)


def test_a_key_is_given_on_the_page(browser: Browser, runs: Path) -> None:
    folder = annas(runs)
    assert visitors.key_of(ANNA) in texts(opened("runs"))
    browser.of(BEN)
    at = opened("images", run=folder.run_id)
    assert visitors.key_of(ANNA) not in texts(at)
    at.text_input(key="head-key-text").set_value("wrong")
    next(b for b in at.button if b.label == "Give the key").click().run()
    assert "opens nothing" in at.error[0].value
    at.text_input(key="head-key-text").set_value(visitors.key_of(ANNA))
    next(b for b in at.button if b.label == "Give the key").click().run()
    assert "Resume this run" in {button.label for button in at.button}


def test_a_damaged_owner_file_is_the_hosts_to_mend(browser: Browser, runs: Path) -> None:
    folder = annas(runs)
    for text in ("", "null", "[]", '{"owner": 3}', '{"owner": ""}', '{"owner": "\u00e9"}', "\0"):
        (folder.path / FILE).write_text(text)
        assert not visitors.may_control(folder.path)
        assert not visitors.give_key("x", folder.path)
    visitors.give_key(HOST_KEY, folder.path)
    assert visitors.may_control(folder.path)


def test_on_ones_own_machine_all_is_ones_own(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUANTOSCOPE_SHARE", raising=False)
    folder = annas(runs)
    assert visitors.may_control(folder.path)
    assert visitors.own_mark() == HOST
    assert followed(str(tmp_path / "anything")) == tmp_path / "anything"
    at = select(opened("runs"))
    at.run()
    assert "Delete" in {button.label for button in at.button}
    assert "Key" not in {field.label for field in at.text_input}


# --- starting what is there -------------------------------------------------------------------


def test_starting_somebody_elses_cancelled_recipe_does_not_resume_it(
    browser: Browser, runs: Path
) -> None:
    at = opened("start")
    at.button(key="card-nearest-2").click().run()
    (folder,) = (RunFolder(path.parent) for path in runs.glob("*/recipe.json"))
    folder.write_status("cancelled")
    browser.of(BEN)
    at = opened("start")
    at.button(key="card-nearest-2").click().run()
    assert "(cancelled), which is somebody else's" in at.error[0].value
    assert folder.run_id not in at.error[0].value  # pages tell runs by what they are
    assert folder.status()["state"] == "cancelled"
    assert owner_of(folder.path) == visitors.owner_by(visitors.key_of(ANNA))
    browser.of(ANNA)
    opened("start").button(key="card-nearest-2").click().run()
    assert folder.status()["state"] == "running"


def test_a_run_of_the_command_line_stays_the_hosts(browser: Browser, runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    claim(folder.path, visitors.owner_by("x"), made="recipe.json")
    assert owner_of(folder.path) == HOST
    assert not visitors.may_control(folder.path)


def test_of_two_who_claim_at_one_instant_the_first_has_it(tmp_path: Path) -> None:
    for owner in ("one", "two"):
        claim(tmp_path / "run", owner, made="recipe.json")
    assert owner_of(tmp_path / "run") == "one"


def test_without_a_cookie_nothing_is_started(browser: Browser, runs: Path) -> None:
    browser.of(NOBODY)
    at = opened("start")
    at.button(key="card-nearest-2").click().run()
    assert "allow cookies" in at.error[0].value
    assert not list(runs.glob("*/recipe.json"))


def test_a_fork_is_the_forkers_and_the_run_itself_goes_on_only_for_its_owner(
    browser: Browser, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = annas(runs, "running"), []

    def fork(source: RunFolder, changes: Any, catalog: Any, *, owner: str) -> RunFolder:
        seen.append(owner)
        return source

    monkeypatch.setattr("engine.run.fork.fork", fork)
    monkeypatch.setattr("engine.run.workers.launch.go_on", lambda folder: seen.append("goes on"))
    browser.of(BEN)
    fork_run(folder, {})
    assert seen == [visitors.owner_by(visitors.key_of(BEN))]
    browser.of(ANNA)
    fork_run(folder, {})
    assert seen[1:] == [visitors.owner_by(visitors.key_of(ANNA)), "goes on"]


# --- paths ------------------------------------------------------------------------------------


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The folder that is open to visitors, with what may lie in one."""
    place = tmp_path / "open"
    (place / "images" / "cat").mkdir(parents=True)
    (place / "images" / "cat" / "1.png").write_bytes(b"x")
    (place / "net.pth").write_bytes(b"x")
    (place / ".hidden").write_bytes(b"x")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "1.png").write_bytes(b"x")
    (place / "out").symlink_to(secret, target_is_directory=True)
    (place / "out.png").symlink_to(secret / "1.png")
    (place / "trap").mkdir()
    (place / "trap" / "1.png").symlink_to(secret / "1.png")
    (place / "near").symlink_to(place / "images", target_is_directory=True)
    return place


def test_a_visitors_path_leads_into_the_open_folders(browser: Browser, inside: Path) -> None:
    assert followed(str(inside / "images")) == inside / "images"
    assert followed(str(inside / "trap" / ".." / "net.pth")) == inside / "net.pth"
    assert followed(str(inside / "near")) == inside / "images"


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "/dev/zero", "/", "{open}/../secret/1.png", "{open}/out", "{open}/out.png",
     "{open}/out/1.png", "{open}/.hidden", "{open}/gone", "{open}-not", "~", "/proc/self/environ",
     "{open}/../runs", "relative", "."],
)  # fmt: skip
def test_a_visitors_path_leads_nowhere_else_and_tells_nothing(
    browser: Browser, inside: Path, name: str
) -> None:
    text = name.format(open=inside)
    with pytest.raises(UserError) as said:
        followed(text)
    assert "is not in a folder that is open to visitors" in str(said.value)
    fields = {"model": "resnet20-fashion", "synthesis": "genie", "quantization": "nearest"}
    for more in (
        {"weights": text}, {"data": text}, {"synthesis_settings": {"folder": text}},
        {"model_settings": {"calibration": text}},
    ):  # fmt: skip
        with pytest.raises(UserError, match="open to visitors"):
            recipe_of(CATALOG, **fields, **more)


def test_a_folder_with_a_link_that_leads_out_is_not_followed(
    browser: Browser, inside: Path
) -> None:
    with pytest.raises(UserError, match=r"'1\.png', which leads out of it"):
        followed(str(inside / "trap"))


def test_the_pages_refuse_such_a_path(browser: Browser, inside: Path) -> None:
    at = dialog(expert=True)
    at.text_input(key="new-1-data").set_value("/etc").run()
    at.button(key="new-start").click().run()
    assert "open to visitors" in at.error[0].value
    at = opened("networks", weights="/etc/passwd")
    at.button(key="network-files-look").click().run()
    assert "open to visitors" in at.error[0].value
    at = opened("bring")
    at.text_input(key="bring-path").set_value("/etc/passwd").run()
    assert "open to visitors" in at.error[0].value


# --- what was brought -------------------------------------------------------------------------


def saved(tmp_path: Path, name: str, owner: str) -> None:
    from engine.models.cards.saved import SavedNetwork

    card = SavedNetwork(
        name=name, architecture="cifar-resnet", title=name, image_shape=(3, 32, 32), mean=(0.5,) * 3,
        std=(0.5,) * 3, resize=32, weights_sha256="0",
    )  # fmt: skip
    folder = tmp_path / "networks" / name
    claim(folder, owner, made="card.json")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_text(card.to_json())


def test_what_one_visitor_brought_no_other_finds_by_its_name(
    browser: Browser, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, "hers", visitors.owner_by(visitors.key_of(ANNA)))
    saved(tmp_path, "workshop", HOST)
    mine = [CATALOG["models"][0] | {"name": f"mine/{name}"} for name in ("hers", "workshop")]
    catalog = CATALOG | {"models": [*CATALOG["models"], *mine]}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    monkeypatch.setattr("app.engine_calls.diagnoses.ask", lambda kind, key, question: _pending())
    for token, hers in ((ANNA, True), (BEN, False)):
        browser.of(token)
        assert may_use("mine/hers") == hers
        assert may_use("mine/workshop")
        at = opened("bring")
        assert ("mine/hers" in texts(at)) == hers
        assert "mine/workshop" in texts(at)
        removable = {str(b.key) for b in at.button if b.label == "Remove"}
        assert removable == ({"bring-forget-hers"} if hers else set())
        at = opened("networks", model="mine/hers")
        assert ("There is no network named" in texts(at)) != hers


def _pending() -> Any:
    from app.engine_calls.background import Answer

    return Answer()


def test_what_one_visitor_brought_no_other_replaces_or_removes(
    browser: Browser, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def save(name: str, brought: Brought, runs: Path, **more: Any) -> dict[str, Any]:
        asked.append((name, more))
        return {"name": f"mine/{name}"}

    monkeypatch.setattr("engine.run.networks.save", save)
    saved(tmp_path, "hers", visitors.owner_by(visitors.key_of(ANNA)))
    browser.of(BEN)
    for act in (
        lambda: save_network("hers", Brought(weights="w"), replace=True),
        lambda: save_network("mine/hers", Brought(weights="w"), replace=True),
        lambda: forget_network("mine/hers"),
    ):
        with pytest.raises(UserError, match="somebody else's"):
            act()
    assert asked == []
    assert (tmp_path / "networks" / "hers" / "card.json").exists()
    save_network("his", Brought(weights="w"), replace=True)  # there is none: nothing is replaced
    assert asked[-1][1] == {"replace": False, "owner": visitors.owner_by(visitors.key_of(BEN))}
    browser.of(ANNA)
    save_network("hers", Brought(weights="w"), replace=True)
    assert asked[-1][1]["replace"]
    forget_network("mine/hers")
    assert not (tmp_path / "networks" / "hers").exists()


class Upload:
    """Of a name that another's has too."""

    name = "net.pth"

    def __init__(self, content: bytes) -> None:
        self.content, self.file_id = content, str(content)

    def getbuffer(self) -> memoryview:
        return memoryview(self.content)


def test_uploads_of_one_name_do_not_mix_and_cannot_be_named(browser: Browser) -> None:
    hers, his = uploaded(Upload(b"hers")), uploaded(Upload(b"his"))
    assert hers.key != his.key
    with hers.file() as one, his.file() as other:
        assert (one.name, one.read_bytes(), other.read_bytes()) == ("net.pth", b"hers", b"his")
        assert one.parent.stat().st_mode & 0o077 == 0
        browser.of(BEN)
        for text in (str(one), "net.pth", "uploads/net.pth"):
            with pytest.raises(UserError, match="open to visitors"):
                by_path(text)
    assert not one.exists()


def test_deleting_is_asked_for_where_it_is_done(browser: Browser, runs: Path) -> None:
    folder = annas(runs)
    browser.of(BEN)
    with pytest.raises(UserError, match="somebody else's"):
        delete_run(folder)
    assert folder.path.exists()
    browser.of(ANNA)
    delete_run(folder)
    assert not folder.path.exists()
