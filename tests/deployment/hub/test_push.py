"""What leaves the machine is what was shown, it arrives whole, and no secret is among it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest

from faults import fails, noted, refused
from hub_stand_in import TOKEN, HubStandIn
from support import hashed_anew
from welltuned.deployment.hub.card import Publication
from welltuned.deployment.hub.push import prepare_push, send
from welltuned.runs import Run

TO = Publication("me/reviews", "apache-2.0")


@pytest.fixture
def model(finished: Run, tmp_path: Path) -> Path:
    """A model folder of one's own, to be spoilt."""
    return Path(shutil.copytree(finished.model, tmp_path / "model"))


def test_every_file_arrives_as_it_is(hub: HubStandIn, finished: Run) -> None:
    push = prepare_push(finished.folder, TO)
    address = send(push)
    there = hub.repositories["me/reviews"]
    assert address == f"{hub.address}/me/reviews" and there.private
    assert set(there.files) == {one.name for one in push.uploads} | {".gitattributes"}
    for file in finished.model.iterdir():
        if file.name != "README.md":
            assert there.files[file.name] == file.read_bytes(), file.name
    assert there.files["README.md"].decode() == push.card
    assert len(there.commits) == 1, "nobody ever sees half of it"
    assert len(hub.objects) == 1, "weights go by LFS"


def test_preparing_asks_nobody(hub: HubStandIn, finished: Run) -> None:
    push = prepare_push(finished.folder, TO)
    assert hub.asked == []
    sizes = {one.name: one.size for one in push.uploads}
    assert sizes["model.safetensors"] == (finished.model / "model.safetensors").stat().st_size
    assert sizes["README.md"] == len(push.card.encode()) and push.size == sum(sizes.values())
    assert "predictions.jsonl" not in sizes and "trained_on.npy" not in sizes


def test_a_repository_is_public_when_asked_for_alone(hub: HubStandIn, finished: Run) -> None:
    send(prepare_push(finished.folder, TO), public=True)
    assert not hub.repositories["me/reviews"].private


def test_what_exists_is_replaced_when_asked_for_alone(
    hub: HubStandIn, finished: Run, adapted: Run
) -> None:
    send(prepare_push(finished.folder, TO))
    before = dict(hub.repositories["me/reviews"].files)
    with refused("hub.repository_exists"):
        send(prepare_push(finished.folder, Publication("me/reviews", "mit")))
    assert hub.repositories["me/reviews"].files == before
    hub.repositories["me/reviews"].files["old.bin"] = b"of another model"
    send(prepare_push(finished.folder, Publication("me/reviews", "mit")), update=True)
    after = hub.repositories["me/reviews"].files
    assert set(after) == set(before), "what no longer belongs is gone from the newest commit"
    assert b"license: mit" in after["README.md"]


def test_a_public_repository_gets_nothing_that_was_to_be_private(
    hub: HubStandIn, finished: Run
) -> None:
    send(prepare_push(finished.folder, TO), public=True)
    push = prepare_push(finished.folder, Publication("me/reviews", "mit"))
    with refused("hub.repository_public"):
        send(push, update=True)
    assert len(hub.repositories["me/reviews"].commits) == 1
    send(push, public=True, update=True)
    assert len(hub.repositories["me/reviews"].commits) == 2


def test_a_secret_does_not_leave(hub: HubStandIn, model: Path) -> None:
    (model / "notes.md").write_text(f"one\n{TOKEN}\n")
    with refused("hub.secret", place=f"{model / 'notes.md'}:2"):
        prepare_push(model, TO)
    assert hub.asked == []


def test_an_adapter_whose_base_nobody_has_stays(adapted: Run) -> None:
    with refused("hub.base_not_on_hub", base=str(adapted.config["model"]["name"])):
        prepare_push(adapted.folder, TO)


def test_folders_of_this_machine_are_told(finished: Run) -> None:
    base = finished.config["model"]["name"]
    told = noted(prepare_push(finished.folder, TO).notes)
    assert any(one.startswith("hub.names_local_folder file=welltuned.json") for one in told), base


@pytest.mark.parametrize(
    ("publication", "expected"),
    [
        (Publication("reviews", "mit"), ["hub.bad_repository"]),
        (Publication("me/../you", "mit"), ["hub.bad_repository"]),
        (Publication("me/reviews", "Apache License"), ["hub.bad_license"]),
        (Publication("me/a/b", "", ("english",)), ["hub.bad_repository", "hub.bad_license",
                                                  "hub.bad_language"]),
    ],
)  # fmt: skip
def test_bad_names_are_refused_at_once(
    publication: Publication, expected: list[str], tmp_path: Path
) -> None:
    with refused(*expected):
        prepare_push(tmp_path / "nothing-is-read", publication)


# --- What the Hub says -----------------------------------------------------------


def test_without_a_token_nothing_is_sent(
    hub: HubStandIn, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = prepare_push(finished.folder, TO)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with refused("hub.not_logged_in"):
        send(push)
    assert hub.asked == []


def test_a_token_that_the_hub_does_not_take_is_told(
    hub: HubStandIn, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = prepare_push(finished.folder, TO)
    monkeypatch.setenv("HF_TOKEN", "another-token")
    with refused("hub.not_logged_in"):
        send(push)


def test_a_licence_that_the_hub_does_not_know_is_told(hub: HubStandIn, finished: Run) -> None:
    with refused("hub.card_refused") as caught:
        send(prepare_push(finished.folder, Publication("me/reviews", "my-own")))
    assert '"license" must be one' in str(caught.value)
    assert hub.objects == {}, "before any file is uploaded"


def test_a_refused_commit_leaves_nothing_behind(hub: HubStandIn, finished: Run) -> None:
    hub.refuses = 403
    with fails("hub.refused"):
        send(prepare_push(finished.folder, TO))
    assert set(hub.repositories["me/reviews"].files) == {".gitattributes"}
    hub.refuses = None
    send(prepare_push(finished.folder, TO), update=True)
    assert "model.safetensors" in hub.repositories["me/reviews"].files


def test_a_file_that_the_repository_ignores_is_missed(hub: HubStandIn, finished: Run) -> None:
    hub.ignored = ("config.json",)
    with fails("hub.files_lost", number=1, first="config.json"):
        send(prepare_push(finished.folder, TO))


def test_offline_nothing_is_asked(
    hub: HubStandIn, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with refused("hub.offline"):
        send(prepare_push(finished.folder, TO))
    assert hub.asked == []


def test_a_hub_that_is_not_there_is_told(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with fails("hub.not_sent"):
        send(prepare_push(finished.folder, TO))


def test_an_edited_and_hashed_model_is_published(hub: HubStandIn, model: Path) -> None:
    (model / "notes.md").write_text("made on a Monday")
    send(prepare_push(hashed_anew(model), TO))
    assert hub.repositories["me/reviews"].files["notes.md"] == b"made on a Monday"


def test_the_variables_of_the_hub_hold(hub: HubStandIn, finished: Run, tmp_path: Path) -> None:
    """In a process of its own, by `HF_ENDPOINT` and `HF_TOKEN`, without torch."""
    code = (
        "import sys\nfrom welltuned.cli import main\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules"
    )
    asked = ["push", str(finished.folder), "me/reviews", "license=mit", "--json"]
    variables = {
        "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, *asked],
        env={**os.environ, **variables}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert hub.repositories["me/reviews"].private
