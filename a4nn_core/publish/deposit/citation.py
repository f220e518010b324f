"""How a deposit is cited and on what terms: CITATION.cff, codemeta.json, LICENSE."""

from __future__ import annotations

import json

from a4nn_core.publish.deposit.metadata import Author, DepositMetadata
from a4nn_core.version import __version__

PAPER = "10.1145/3605573.3605636"  # Channing et al., ICPP 2023: what a4nn builds on


def citation_cff(metadata: DepositMetadata, date: str) -> str:
    """CITATION.cff 1.2.0. Texts are written as JSON, which YAML contains."""
    papers = [p.citation + (f" https://doi.org/{p.doi}" if p.doi else "") for p in metadata.publications]
    message = " ".join(["If you use these data, please cite them" + (", and:" if papers else "."), *papers])
    lines = [
        "cff-version: 1.2.0",
        f"message: {_quoted(message)}",
        "type: dataset",
        f"title: {_quoted(metadata.title)}",
        f"abstract: {_quoted(metadata.description)}",
        f"license: {metadata.license}",
        f"date-released: {date}",
        "authors:",
        *(f"  - {_quoted(_cff_person(author))}" for author in metadata.authors),
    ]
    if metadata.keywords:
        lines += ["keywords:", *(f"  - {_quoted(keyword)}" for keyword in metadata.keywords)]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cff_person(author: Author) -> dict[str, str]:
    family, comma, given = author.name.partition(", ")
    person = {"family-names": family, "given-names": given} if comma else {"name": author.name}
    if author.affiliation and comma:
        person["affiliation"] = author.affiliation
    if author.orcid:
        person["orcid"] = author.orcid
    return person


def schema_person(author: Author) -> dict[str, object]:
    """An author as schema.org has one, for Croissant and RO-Crate."""
    family, comma, given = author.name.partition(", ")
    person: dict[str, object] = {
        "@type": "Person" if comma else "Organization",
        "name": f"{given} {family}" if comma else author.name,
    }
    if comma:
        person |= {"familyName": family, "givenName": given}
    if author.orcid:
        person["@id"] = author.orcid
    if author.affiliation:
        person["affiliation"] = author.affiliation
    return person


def codemeta(metadata: DepositMetadata) -> dict[str, object]:
    """CodeMeta 2.0 of the software that made the data and reads them: a4nn."""
    return {
        "@context": "https://doi.org/10.5063/schema/codemeta-2.0",
        "@type": "SoftwareSourceCode",
        "name": "a4nn",
        "description": "Analytics for Neural Networks: neural architecture search that stops early and keeps "
        "every network's life",
        "version": __version__,
        "license": "https://spdx.org/licenses/Apache-2.0",
        "programmingLanguage": ["Python", "C++"],
        "author": [{"@type": "Organization", "name": "The A4NN developers"}],
        "keywords": metadata.keywords,
        "referencePublication": f"https://doi.org/{PAPER}",
    }


def license_text(metadata: DepositMetadata) -> str:
    """What LICENSE says."""
    names = "; ".join(author.name for author in metadata.authors)
    return (
        f"{metadata.title}\n\nBy {names}.\n\n"
        f"These data are made available under {metadata.license_name} (SPDX: {metadata.license}).\n"
        f"The text of the licence: {metadata.license_uri}\n"
    )
