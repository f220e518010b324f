"""What the author states about a deposit, once, in a small TOML file."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from a4nn_core.component import explain
from a4nn_core.errors import BadInput
from a4nn_core.publish.deposit.vocabulary import LICENSES, RELATIONS, SUBJECTS
from a4nn_core.toml import toml_tables


def _orcid(value: str) -> str:
    """The full address of an ORCID, its check digit compared (ISO 7064, MOD 11-2)."""
    bare = re.fullmatch(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])", value)
    if bare is None:
        raise ValueError("an ORCID has four groups of four digits, such as 0000-0002-1825-0097")
    digits = bare[1].replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    if digits[-1] != ("X" if check == 10 else str(check)):
        raise ValueError("its check digit is wrong: a digit is mistyped")
    return f"https://orcid.org/{bare[1]}"


def _doi(value: str) -> str:
    """A bare DOI, such as 10.1145/3605573.3605636."""
    bare = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", value)
    if not re.fullmatch(r"10\.\d{4,9}/\S+", bare):
        raise ValueError("a DOI looks like 10.1145/3605573.3605636")
    return bare


def _filled_in(value: str) -> str:
    """A text that is no longer a place of the example, ``<...>``."""
    if re.fullmatch(r"<[^<>]+>", value):
        raise ValueError("this is the example's place, to be filled in")
    return value


def _email(value: str) -> str:
    _filled_in(value)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise ValueError("not an e-mail address")
    return value


def _one_of(words: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"not in the vocabulary; known: {'; '.join(words)}")
        return value

    return AfterValidator(check)


def _distinct(values: list[str]) -> list[str]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice")
    return values


Text = Annotated[str, Field(min_length=1), AfterValidator(_filled_in)]
Doi = Annotated[str, AfterValidator(_doi)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True
    )


class Author(_Part):
    """Someone to be cited."""

    name: Text
    """Family, Given; or the name of an organisation, without a comma"""
    orcid: Annotated[str, AfterValidator(_orcid)] | None = None
    """bare or as an address"""
    affiliation: Text | None = None
    """where the work was done"""


class Contact(_Part):
    """Whom readers write to; Dataverse shows a form, not the address."""

    email: Annotated[str, AfterValidator(_email)]
    """address"""
    name: Text | None = None
    """Family, Given"""
    affiliation: Text | None = None
    """where they are"""


class Grant(_Part):
    """Who paid."""

    agency: Text
    """funder"""
    number: Text
    """of the award"""


class Publication(_Part):
    """A publication that belongs to the data."""

    citation: Text
    """as in a list of references"""
    doi: Doi | None = None
    """bare or as an address"""
    url: Text | None = None
    """where to read it; follows from the DOI if that is given"""
    relation: Annotated[str, _one_of(RELATIONS)] = "IsSupplementTo"
    """what the data are to it"""


class DepositMetadata(_Part):
    """What a deposit is, whose, and on what terms."""

    title: Text
    """of the deposit"""
    description: Text
    """for someone who has never heard of the work"""
    subjects: Annotated[list[Annotated[str, _one_of(SUBJECTS)]], AfterValidator(_distinct)] = Field(
        min_length=1
    )
    """from Dataverse's list"""
    authors: list[Author] = Field(min_length=1)
    """in the order of the citation"""
    contacts: list[Contact] = Field(min_length=1)
    """at least one"""
    keywords: Annotated[list[Text], AfterValidator(_distinct)] = Field(default_factory=list)
    """free"""
    license: Annotated[str, _one_of(tuple(LICENSES))] = "CC-BY-4.0"
    """SPDX identifier"""
    grants: list[Grant] = Field(default_factory=list)
    """if any"""
    publications: list[Publication] = Field(default_factory=list)
    """if any; the first is the one the deposit belongs to"""
    related_datasets: list[Text] = Field(default_factory=list)
    """citations of other data sets"""
    notes: Text | None = None
    """anything else"""

    @property
    def license_name(self) -> str:
        """As Dataverse calls it."""
        return LICENSES[self.license][0]

    @property
    def license_uri(self) -> str:
        """Where its text is."""
        return LICENSES[self.license][1]


def read_metadata(path: Path) -> DepositMetadata:
    """The metadata in a TOML file.

    Raises:
        BadInput: the file cannot be read, or something in it is missing, unknown, in no vocabulary or still
            the example's; all of it is named at once.
    """
    try:
        settings = toml_tables(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"metadata file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"metadata file {path} is not text in UTF-8") from None
    except ValueError as error:
        raise BadInput(f"metadata file {path} is not TOML: {error}") from None
    return make_metadata(settings, str(path))


def make_metadata(settings: dict[str, Any], place: str) -> DepositMetadata:
    """The metadata from parsed TOML tables; see ``read_metadata``."""
    try:
        return DepositMetadata.model_validate(settings)
    except ValidationError as error:
        raise BadInput(explain(error, DepositMetadata, place)) from None


def example() -> str:
    """A metadata file to start from, with places to be filled in."""
    return (files("a4nn_core.publish.deposit") / "example.toml").read_text(encoding="utf-8")
