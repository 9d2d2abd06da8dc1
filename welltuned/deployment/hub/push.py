"""Pushing: the files of a tuned model, in one commit, into a repository of the Hub.

A repository is private unless somebody asks for anything else: making one public later is a click,
and what has been public stays known. What is uploaded is compared with what is there afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from welltuned.deployment.hub.card import Publication, model_card
from welltuned.deployment.hub.files import Upload, local_names, uploads_of
from welltuned.deployment.hub.subject import Subject
from welltuned.errors import Fault, Faults, InputError, RunFailed, WelltunedError
from welltuned.schema.messages import Message
from welltuned.schema.secrets import masked_text

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_REPO = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
_KEPT = ".gitattributes"
"""The Hub's own file, which says what large files are."""


@dataclass(frozen=True)
class Push:
    """A push that is ready: nothing has been sent."""

    publication: Publication
    uploads: Sequence[Upload]
    notes: Sequence[Message]
    """What a person should know before."""

    @property
    def card(self) -> str:
        """The model card as it would be published."""
        content = next(one.content for one in self.uploads if isinstance(one.content, bytes))
        return content.decode()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(upload.size for upload in self.uploads)


def prepare_push(given: str | Path, publication: Publication) -> Push:
    """What would be published of a run, a model folder or an export; nobody is asked.

    Raises `InputError` with all that stands against it.
    """
    faults = Faults()
    _check(publication, faults)
    faults.raise_if_any()
    subject = Subject.of(given)
    if subject.is_adapter and subject.base_on_hub is None:
        raise InputError(
            Fault(
                "hub.base_not_on_hub",
                "an adapter needs its base model, and '{base}' is not one of the Hub's",
                None,
                "publish it merged: welltuned export {run} to=plain, and push what that writes",
                base=subject.base,
                run=str(given),
            )
        )
    uploads = uploads_of(subject.folder, model_card(subject, publication))
    local = [str(Path.home()), *([subject.base] if subject.base.startswith("/") else [])]
    return Push(publication, uploads, local_names(uploads, local))


def _check(publication: Publication, faults: Faults) -> None:
    if not _REPO.fullmatch(publication.repo) or re.search(r"--|\.\.|\.git$", publication.repo):
        faults.add(
            "hub.bad_repository",
            "'{repo}' is no name of a repository",
            None,
            "write user/name, of letters, digits, '-', '_' and '.'",
            repo=publication.repo,
        )
    if not _LICENSE.fullmatch(publication.license):
        faults.add(
            "hub.bad_license",
            "'{license}' is no licence as the Hub names them",
            None,
            "write its identifier, such as apache-2.0, mit, cc-by-4.0 or llama3.2",
            license=publication.license,
        )
    for language in publication.languages:
        if not _LANGUAGE.fullmatch(language):
            faults.add(
                "hub.bad_language",
                "'{language}' is no code of a language",
                None,
                "write codes such as en or zh, with commas between them",
                language=language,
            )


def send(push: Push, public: bool = False, update: bool = False) -> str:
    """Make the repository and commit every file; returns its address.

    With `update` it may exist: the commit then leaves these files in it and no others, and its
    history keeps what there was. Raises `InputError` where it may not be written, `RunFailed`
    where something is lost on the way.
    """
    from huggingface_hub import HfApi

    api, repo = HfApi(), push.publication.repo
    with _telling(repo):
        _require_login(repo)
        address = str(api.create_repo(repo, private=not public, exist_ok=update))
        old = _files_there(api, repo, public) if update else set()
        commit = api.create_commit(
            repo,
            _operations(push.uploads, old),
            commit_message="Publish a model tuned with welltuned",
        )
        _require_all_there(api, push, commit.oid)
    return address


def _require_login(repo: str) -> None:
    from huggingface_hub import get_token

    if get_token() is None:
        raise InputError(_not_logged_in(repo))


def _files_there(api: HfApi, repo: str, public: bool) -> set[str]:
    """What the repository holds. Raises `InputError` where everybody would see what is added."""
    if not public and api.model_info(repo).private is False:
        raise InputError(
            Fault(
                "hub.repository_public",
                "the repository '{repo}' is public, and that was not asked for",
                None,
                "add --public, or make it private first",
                repo=repo,
            )
        )
    return set(api.list_repo_files(repo)) - {_KEPT}


def _operations(uploads: Sequence[Upload], old: set[str]) -> list[Any]:
    """What the commit does: add every file, and delete those that no longer belong."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    gone = sorted(old - {upload.name for upload in uploads})
    return [
        *(CommitOperationAdd(upload.name, upload.content) for upload in uploads),
        *(CommitOperationDelete(name, is_folder=False) for name in gone),
    ]


def _require_all_there(api: HfApi, push: Push, revision: str) -> None:
    """Raise `RunFailed` where a file is not in the commit, or is cut short there."""
    names = [upload.name for upload in push.uploads]
    found = api.get_paths_info(push.publication.repo, names, revision=revision)
    sizes = {one.path: getattr(one, "size", None) for one in found}
    lost = [one.name for one in push.uploads if sizes.get(one.name) != one.size]
    if lost:
        raise RunFailed(
            Fault(
                "hub.files_lost",
                "{number} files did not arrive whole, '{first}' among them",
                None,
                "look whether a .gitignore of the repository leaves them out, and push again with "
                "--update",
                number=len(lost),
                first=lost[0],
            )
        )


# --- What the Hub says ---------------------------------------------------------


@contextmanager
def _telling(repo: str) -> Iterator[None]:
    """Faults in words for what the Hub, or the way there, says."""
    try:
        yield
    except WelltunedError:
        raise
    except Exception as error:  # of many kinds: of the client, of the network, of answers
        raise _meaning(repo, error) from error


def _meaning(repo: str, error: Exception) -> WelltunedError:
    """What went wrong, in words."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return InputError(
            Fault(
                "hub.offline",
                "the Hub may not be asked: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set",
                None,
                "unset it, or look at what would be sent with --dry-run",
            )
        )
    if isinstance(error, HfHubHTTPError):
        return _refusal(repo, error)
    if isinstance(error, ValueError):  # of metadata, which the Hub checks before files are sent
        return InputError(
            Fault(
                "hub.card_refused",
                "the Hub does not take the card of '{repo}': {reason}",
                None,
                "give a licence that it knows, or license=other, and push again with --update",
                repo=repo,
                reason=_brief(error),
            )
        )
    return RunFailed(
        Fault(
            "hub.not_sent",
            "nothing was committed to '{repo}': {reason}",
            None,
            "check the network, and push again with --update",
            repo=repo,
            reason=_brief(error),
        )
    )


def _refusal(repo: str, error: Any) -> WelltunedError:
    """What an answer of the Hub means."""
    status = getattr(error.response, "status_code", None)
    if status == 401:
        return InputError(_not_logged_in(repo))
    if status == 409:
        return InputError(
            Fault(
                "hub.repository_exists",
                "the repository '{repo}' exists",
                None,
                "choose another name, or add --update: what it holds is then replaced, and its "
                "history keeps it",
                repo=repo,
            )
        )
    return RunFailed(
        Fault(
            "hub.refused",
            "the Hub refuses to take '{repo}': {reason}",
            None,
            "check that the token may write there: hf auth whoami",
            repo=repo,
            reason=_brief(error),
        )
    )


def _not_logged_in(repo: str) -> Fault:
    return Fault(
        "hub.not_logged_in",
        "no token that the Hub takes is here, and '{repo}' can be written with one alone",
        None,
        "hf auth login, with a token that may write; or set HF_TOKEN",
        repo=repo,
    )


def _brief(error: Exception) -> str:
    """The first lines of what an error says, without secrets."""
    told = " ".join(str(error).split())[:300]
    return masked_text(told or type(error).__name__)
