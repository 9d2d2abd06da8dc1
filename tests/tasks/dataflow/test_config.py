"""The config of the encoding: one language, or a column of them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from welltuned.tasks import Classification
from welltuned.tasks.dataflow import Dataflow


def test_a_language_or_a_column_of_them() -> None:
    with pytest.raises(ValidationError, match="needs 'language' or 'language_column'"):
        Dataflow()
    assert Dataflow(language="c", language_column="lang").language == "c"


def test_a_language_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="language"):
        Dataflow.model_validate({"language": "cobol"})


def test_a_policy_reads_prompts_as_they_are() -> None:
    task = Classification(encoding=Dataflow(language="java"))
    with pytest.raises(Exception, match=r"not by 'task\.encoding'"):
        task.check_policy()
